# SPDX-License-Identifier: Apache-2.0
"""The pod that the guests make: set up from the packages as docs/OPERATIONS.md says, looked at, put under load and judged."""
import json
import os
import resource
import time

import redfish
from guest import Failure, Guest, on_all, until

DEPLOY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy")
GUESTS, MANAGERS = 3, 2
POOL_BYTES = 256 << 20
INODES = 32768  # what all scenarios create under load and keep, on a quick machine, too; after those of 40 minutes on a slow one there were 5700
CHOSEN_MS = 200  # by mkfs, in a guest
HEARTBEAT_MS = 500  # then set, for what is not about that: dead after 5 s of silence: guests without KVM wait for a processor of the machine for as long as seconds
MOUNT = "/mnt/daxfs"

FABRICD = """pool = {pool}
fence-agent = fence_daxfs_qmp
fence-option = login_timeout=10
{qmp}
fence-agent-2 = fence_redfish
fence-option-2 = username={user}
fence-option-2 = ssl_insecure=1
fence-secret-2 = password=/etc/daxfs/bmc-password
{bmc}
fence-action = cycle
fence-timeout-ms = 120000
expect-backup = yes
{expect}
"""
FABRICD_ALONE = """pool = {pool}
fence-agent = fence_daxfs_watchdog
{hosts}
fence-timeout-ms = {timeout_ms}
expect-backup = yes
{expect}
"""
FIND_WATCHDOG = "udevadm trigger --action=add --subsystem-match=platform --sysname-match=wdat_wdt"
LATE_WATCHDOG = f"""[Service]
ExecStart=/bin/sh -c 'while [ $(systemctl show -P ConditionTimestampMonotonic daxfs-node-agent@pod0) = 0 ]; do sleep 0.2; done; \
	sleep 2; {FIND_WATCHDOG}'
[Install]
WantedBy=multi-user.target
"""
AGENT = """pool = {pool}
host = {number}
mount = {mount}
join-wait = 60
"""


class Pod:
    def __init__(self, image, directory):
        self.began, self.doing, self.done = time.monotonic(), "setting up", []
        self.before, self.guests = 0, []
        self.before = self.processor_s()  # of what was done before there were guests
        path = f"{directory}/pool"
        with open(path, "wb") as file:
            file.truncate(POOL_BYTES)
        self.guests = [Guest(number, image, directory, path) for number in range(GUESTS)]
        self.runs, self.deaths, self.bmc, self.pool, self.fabricd = 0, 0, None, None, None

    def processor_s(self):
        """What the guests have cost: beside other work the clock says little. Those that are off are children that were waited for."""
        over = resource.getrusage(resource.RUSAGE_CHILDREN)
        return over.ru_utime + over.ru_stime + sum(guest.processor_s() for guest in self.guests) - self.before

    def say(self, text):
        print(f"check-vm: {time.monotonic() - self.began:6.1f} s, {self.processor_s():4.0f} s  {text}", flush=True)

    # -- setting up -----------------------------------------------------------------

    def boot(self):
        for guest in self.guests:
            guest.power_on()
        for guest in self.guests:
            guest.wait_up()

    def make_device(self):
        """The shared memory as /dev/dax0.0 of each: one guest makes it that, the others look again.

        The kernels' descriptors of its pages are in memory of their own (mem). With ndctl's default (dev) they are on the
        device, all kernels would write over one another's, and oops where they look up a page."""
        status, said = self.guests[0].try_run("ndctl create-namespace -f -e namespace0.0 -m devdax -M dev -a 2M && "
                                              "udevadm settle && daxfsctl mkfs /dev/dax0.0 --name pod0")
        if not status or "--map=mem" not in said:
            raise Failure(f"a device that holds its own page descriptors is not refused: {said}")
        self.guests[0].run("ndctl create-namespace -f -e namespace0.0 -m devdax -M mem -a 2M")
        on_all(self.guests[1:], "ndctl disable-region all && ndctl enable-region all")
        on_all(self.guests, "udevadm settle && test -c /dev/dax0.0")

    def make_pool(self):
        said = self.guests[0].run(f"daxfsctl mkfs /dev/dax0.0 --name pod0 --hosts {GUESTS} --inodes {INODES}")
        if f"heartbeat {CHOSEN_MS} ms" not in said:
            raise Failure(f"mkfs did not notice that it runs in a guest: {said}")
        self.guests[0].run(f"daxfsctl heartbeat /dev/dax0.0 --ms {HEARTBEAT_MS}")
        on_all(self.guests, "udevadm trigger --settle --action=add /dev/dax0.0")
        self.pool = self.guests[0].run("echo /dev/daxfs/by-uuid/*").strip()
        pids = [(guest, guest.start(f"daxfsctl selftest /dev/dax0.0 --hosts {GUESTS} --host {guest.number}")) for guest in self.guests]
        ends = [guest.finish("selftest", pid) for guest, pid in pids]
        if any(status for status, _ in ends):
            raise Failure(f"selftest: {ends}")
        return ends[0][1].strip().splitlines()[-1]

    def lines_of(self, key, value):
        return "\n".join(f"{key} = {value(guest)}" for guest in self.guests)

    def put_fabricd(self, settings):
        """One after the other, as an operator does it."""
        for guest in self.guests[:MANAGERS]:
            guest.put("/etc/daxfs", {"fabricd-pod0.conf": settings})
            guest.run("systemctl restart fabricd@pod0 && sync")

    def configure(self):
        self.fabricd = FABRICD.format(
            pool=self.pool, user=redfish.USER, expect=self.lines_of("expect-host", lambda guest: guest.name),
            qmp=self.lines_of("fence-host", lambda guest: f"{guest.name} ip=10.0.2.2 ipport={guest.fence_port}"),
            bmc=self.lines_of("fence-host-2", lambda guest: f"{guest.name} ip=10.0.2.2 ipport={self.bmc.server_port} "
                                                            f"systems_uri=/redfish/v1/Systems/{guest.number}"))
        for guest in self.guests:
            files = {"node-agent-pod0.conf": AGENT.format(pool=self.pool, number=guest.number, mount=MOUNT)}
            if guest.number < MANAGERS:
                files |= {"fabricd-pod0.conf": self.fabricd, "bmc-password": redfish.PASSWORD + "\n"}
            guest.put("/etc/daxfs", files)
        on_all(self.guests[:MANAGERS], "systemctl enable --now fabricd@pod0")
        on_all(self.guests, f"mkdir {MOUNT} && systemctl enable --now daxfs-node-agent@pod0 && sync")

    def feed_watchdogs(self, seconds):
        """Machines without a BMC, as OPERATIONS.md says: systemd feeds the watchdog, no agent runs without, and fabricd waits for
        so long. Its condition that a guest has no watchdog is left out: here nobody pauses a guest and lets it go on."""
        with open(f"{DEPLOY}/node-agent-watchdog.conf", encoding="utf-8") as file:
            lines = file.read().splitlines(keepends=True)
        fit = [line for line in lines if "systemd-detect-virt" not in line]
        if len(fit) + 1 != len(lines):
            raise Failure("node-agent-watchdog.conf does not refuse guests")
        for guest in self.guests:
            guest.put("/etc/systemd/system/daxfs-node-agent@.service.d", {"watchdog.conf": "".join(fit)})
            guest.put("/etc/systemd/system.conf.d", {"watchdog.conf": "[Manager]\nRuntimeWatchdogSec=10\n"})
            # At boot udev finds the driver, here later than the agent is started: elsewhere that may be.
            guest.put("/etc/systemd/system", {"late-watchdog.service": LATE_WATCHDOG})
        # No driver yet: an emulated systemd that begins anew feeds nothing for more than 10 s.
        on_all(self.guests, "systemctl -q enable late-watchdog && systemctl daemon-reexec")
        on_all(self.guests, FIND_WATCHDOG)
        on_all(self.guests, "systemctl restart daxfs-node-agent@pod0 && sync")
        self.put_fabricd(FABRICD_ALONE.format(
            pool=self.pool, timeout_ms=(seconds + 60) * 1000, expect=self.lines_of("expect-host", lambda guest: guest.name),
            hosts=self.lines_of("fence-host", lambda guest: f"{guest.name} dead_after={seconds}")))
        self.wait_whole()
        return self.guests[0].run("cd /sys/class/watchdog/watchdog0 && echo $(cat identity), $(cat timeout) s, $(cat state)").strip()

    # -- looking ------------------------------------------------------------------

    def status(self, guest):
        """What fabricd says, of whichever guest that runs one; None if it does not answer."""
        status, said = guest.try_run("daxfsctl status --json")
        try:
            return json.loads(said) if status == 0 or said.startswith("{") else None
        except ValueError:
            return None

    def host(self, via, number):
        """One host, as the pool says it."""
        said = json.loads(via.run(f"daxfsctl status {self.pool} --direct --json"))
        return next((host for host in said["hosts"] if host["id"] == number), {"state": "FREE"})

    def wait_state(self, via, number, *states):
        return until(f"host {number} to be {' or '.join(states)}, seen by {via.name}",
                     lambda: (host := self.host(via, number))["state"] in states and host)

    def whole(self):
        """All machines are up, in the pool, mounted; fabricd finds nothing wrong."""
        if not all(guest.up() for guest in self.guests):
            return False
        said = self.status(self.guests[0])
        if not said or not said.get("healthy"):
            return False
        return not any(guest.try_run(f"mountpoint -q {MOUNT}")[0] for guest in self.guests)

    def wait_whole(self):
        until("the pod to be whole again, unaided", self.whole, 2)

    def postmortem(self, via, number):
        return json.loads(via.run(f"daxfsctl show {number} {self.pool} --postmortem --json"))

    def heartbeat(self):
        """How often hosts beat, and by what they are judged, ms."""
        said = json.loads(self.guests[0].run(f"daxfsctl heartbeat {self.pool} --json"))
        return said["beat_ms"], said["judged_ms"]

    def set_heartbeat(self, ms):
        """... and hosts are judged by it, which for a shorter one takes until all have followed."""
        self.guests[0].run(f"daxfsctl heartbeat {self.pool} --ms {ms}")
        until(f"hosts to be judged by {ms} ms", lambda: self.heartbeat()[1] <= ms)

    def lengthened(self):
        """The last change of the heartbeat by a host: {host, text}; None: there was none."""
        events = json.loads(self.guests[0].run(f"daxfsctl events {self.pool} --json"))["events"]
        return next((event for event in reversed(events) if event["kind"] == "heartbeat" and event["host"] is not None), None)

    def generations(self):
        return [self.host(self.guests[0], guest.number).get("generation") for guest in self.guests]

    def primary(self):
        """The guest with the primary fabricd."""
        def find():
            hosts = json.loads(self.guests[-1].run(f"daxfsctl status {self.pool} --direct --json"))["hosts"]
            return next((guest for guest, host in zip(self.guests, hosts) if "primary" in host["roles"]), None)
        return until("a primary fabricd", find)

    def last_words(self):
        for guest in self.guests:
            try:
                if guest.on() and guest.up():
                    said = guest.try_run("daxfsctl status --json | head -c 3000; journalctl -b --no-pager -q -o short-monotonic "
                                         "-u 'fabricd@*' -u 'daxfs-node-agent@*' | tail -n 15")[1]
                    print(f"-- {guest.name}\n{said}")
            except (OSError, ValueError, Failure) as error:
                print(f"-- {guest.name}: {error!r}")

    # -- load ---------------------------------------------------------------------

    def prepare_load(self):
        self.guests[0].run(f"mkdir {MOUNT}/load && load prepare {MOUNT}/load")

    def start_load(self):
        self.runs += 1
        on_all(self.guests, "systemctl reset-failed load 2>/dev/null; true")
        for guest in self.guests:
            guest.run(f"systemd-run -q --unit=load load write {MOUNT}/load {guest.number} {self.runs} {GUESTS}")
        for guest in self.guests:
            self.wait_progress(guest, 30)

    def ease_load(self, victims):
        """What was to be seen at full speed has been: the processors are for who boots. The load goes on, a quarter of the time."""
        for guest in self.guests:
            if guest not in victims:
                guest.try_run("systemctl kill --kill-who=main -s USR1 load 2>/dev/null")

    def lines(self, guest):
        try:
            with open(guest.acks, encoding="ascii", errors="replace") as file:
                return file.readlines()
        except FileNotFoundError:
            return []

    def wait_progress(self, guest, operations):
        """So many more operations of this guest are acknowledged."""
        goal = len(self.lines(guest)) + operations
        until(f"{guest.name} to work", lambda: len(self.lines(guest)) >= goal)

    def longest(self, guest, since):
        """The longest operation (ms) of a guest since a line of its acknowledgements, but for those that wait for a lock."""
        times = [int(words[3]) for words in map(str.split, self.lines(guest)[since:]) if len(words) > 4 and words[2] != "count"]
        return len(times), max(times, default=0)

    def stop_load(self, victims):
        """Ends the load; but for the victims', it must not have met an error."""
        on_all(self.guests, "systemctl stop load 2>/dev/null; true")
        for guest in self.guests:
            if guest not in victims and guest.try_run("systemctl is-failed -q load")[0] == 0:
                raise Failure(f"{guest.name}: its load failed:\n" + guest.run("journalctl -b -q -o cat -u load | tail -n 20"))

    def verify(self, via):
        """All that any host was told, seen through this one's mount; then every structure of the pool."""
        acks = "".join("".join(self.lines(guest)) for guest in self.guests)
        status, said = via.try_run(f"load verify {MOUNT}/load {self.deaths}", acks)
        if status:
            raise Failure(f"seen by {via.name}: {said}")
        found = via.try_run(f"daxfsctl check {self.pool} --direct")
        if found[0]:
            raise Failure(f"daxfsctl check: {found[1]}")
        return said.strip().splitlines()[-1]
