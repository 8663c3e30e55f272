# SPDX-License-Identifier: Apache-2.0
"""A machine of the pod: a QEMU guest with Debian on a disk of its own, and a stretch of memory that all guests share.

Commands reach it through QEMU's guest agent; its power switch is QMP (here) or the BMC (redfish.py), which asks this class.
"""
import base64
import json
import os
import random
import secrets
import shlex
import signal
import socket
import struct
import subprocess
import time

# What makes an emulated machine slow, and is not what is tested here. no_timer_check: on a busy machine the emulated timer is late, and
# the kernel takes it for missing and panics. tsc=reliable: the clock that is left otherwise is a device, and each look at it waits for
# QEMU's one lock. norandmaps: code at another address is translated anew, for each process. Modules nobody uses here test themselves.
# A guest that waits for a device, or for a service, waits as long as we do.
HANG_S = 600  # no limit is nearer: machines differ by more than ten times
KERNEL = (f"systemd.default_timeout_start_sec={HANG_S} systemd.default_device_timeout_sec={HANG_S} console=ttyS0 quiet "
          "nr_cpus=1 tsc=reliable no_timer_check mitigations=off nokaslr norandmaps 8250.nr_uarts=1 systemd.show_status=0 net.ifnames=0 lsm=yama cryptomgr.notests "
          "modprobe.blacklist=kvm_amd,kvm,aesni_intel,ghash_clmulni_intel,sha512_ssse3,sha256_ssse3,sha1_ssse3,"
          "powernow_k8,button,evdev,serio_raw,dm_mod,loop,configfs,binfmt_misc")
ANSWER_S = 120  # of one question: the guest may have gone down while it was asked, and be up again


class Failure(Exception):
    pass


class Refused(Failure):
    """QEMU or a guest's agent has said no: it knows nothing of a command that was given before the guest booted."""


def until(what, condition, poll=0.2):
    """Waits for a state, not for a time. Returns what the condition returned. A machine that is going down, or coming up, may
    leave any question without an answer: then the state is not there yet."""
    end, error = time.monotonic() + HANG_S, None
    while True:
        try:
            if value := condition():
                return value
        except (OSError, ValueError, Refused) as unanswered:
            error = unanswered
        if time.monotonic() > end:
            raise Failure(f"waited in vain: {what}" + (f" ({error!r})" if error else ""))
        time.sleep(poll)
        poll = min(poll * 1.5, max(poll, 1))  # a look takes a guest's time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def exchange(path, messages, begin=lambda file: None, timeout=ANSWER_S):
    """Sends each message (JSON) to a socket of QEMU; the answer to the last."""
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(timeout)
        end.connect(path)
        with end.makefile("rwb") as file:
            begin(file)
            for message in messages:
                file.write(json.dumps(message).encode() + b"\n")
                file.flush()
                while True:
                    answer = json.loads(file.readline())
                    if "error" in answer:
                        raise Refused(f"{path}: {message['execute']}: {answer['error'].get('desc')}")
                    if "return" in answer:
                        break
    return answer["return"]


def synchronize(file):
    """With a guest's agent, which may have got half a question of somebody before it: 0xff ends that, on both ways."""
    number = random.getrandbits(31)
    file.write(b"\xff" + json.dumps({"execute": "guest-sync-delimited", "arguments": {"id": number}}).encode() + b"\n")
    file.flush()
    while True:
        byte = file.read(1)
        if not byte:
            raise OSError("the agent closed the connection")
        if byte == b"\xff" and json.loads(file.readline()).get("return") == number:
            return


TCO = 0x660  # where SeaBIOS has the chipset's watchdog
# It counts down twice, 0.6 s a step. The guest takes that for 0.4 s, and 10 s are 30: an emulated systemd that does not get the processor
# feeds it late, and a machine that lives would be reset.
TICK_MS = 400
REBOOT = 0xfed1c000 + 0x3410  # and the register of the chipset that lets it reset the machine


def watchdog_devices(directory):
    """QEMU's options for a watchdog of hardware: that of the chipset, which ACPI describes (WDAT), as firmware of servers does. Of the
    watchdogs that QEMU knows it is the one that Debian's cloud kernel has a driver for."""
    write, countdown, keep, memory, port = 2, 3, 0x80, 0, 1
    halted, forbidden = 1 << 11, 1 << 5
    entries = [  # action, instruction, address, value, mask
        (1, write, port, TCO, 1, 0x3ff),  # feed it
        (6, countdown | keep, port, TCO + 0x12, 0, 0x3ff),  # set its time
        (9, write | keep, port, TCO + 8, 0, halted), (11, write | keep, port, TCO + 8, halted, halted),  # run, stop
        (17, write | keep, memory, REBOOT, 0, forbidden)]  # it resets the machine: without, it says that time is over, and that is all
    table = struct.pack("<IHBBB3xIIIB3xI", 32, 0xff, 0xff, 0xff, 0xff, TICK_MS, 0x3ff, 2, 1, len(entries))
    for action, instruction, space, address, value, mask in entries:
        width = 16 if space == port else 32
        table += struct.pack("<BBHBBBBQII", action, instruction, 0, space, width, 0, width // 16 + 1, address, value, mask)
    path = f"{directory}/wdat"
    with open(path, "wb") as file:
        file.write(table)
    return ["-global", "ICH9-LPC.noreboot=false", "-acpitable", f"sig=WDAT,rev=1,data={path}"]


class Guest:
    def __init__(self, number, image, directory, pool):
        self.number, self.name = number, f"guest{number}"
        self.image, self.dir, self.pool, self.id = image, directory, pool, secrets.token_hex(16)
        self.qemu, self.devices = None, []  # more of QEMU's options
        self.fence_port = free_port()
        self.acks = f"{directory}/{self.name}.acks"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", os.path.abspath(f"{image}/base.img"), "-F", "raw",
                        self.path("qcow2")], check=True)

    def path(self, what):
        return f"{self.dir}/{self.name}.{what}"

    # -- power --------------------------------------------------------------------

    def power_on(self):
        if self.on():
            return
        size = os.path.getsize(self.pool)
        # Two processors, of which the guest starts one (nr_cpus): of a machine with one QEMU leaves out the lock prefix, and
        # atomics are none between guests; but one that waits for another whose thread has no processor here spins for seconds.
        # tb-size: after a reset each write to a page that had code before looks at all translations of it, and there are
        # those of a life; a machine with 800 MB of them did not boot in ten minutes. QEMU forgets all when they are so many.
        self.qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=96", "-machine", "q35,nvdimm=on", "-cpu", "max", "-smp", "2",
             "-m", "640M,slots=1,maxmem=4G", "-display", "none", "-nodefaults", "-no-user-config", "-name", self.name,
             "-kernel", f"{self.image}/kernel", "-initrd", f"{self.image}/initrd",
             "-append", f"root=/dev/vda rw {KERNEL} systemd.hostname={self.name} systemd.machine_id={self.id}",
             "-drive", f"file={self.path('qcow2')},if=virtio,format=qcow2",
             "-object", f"memory-backend-file,id=pool,share=on,mem-path={self.pool},size={size}",
             "-device", "nvdimm,memdev=pool",
             "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
             "-device", "virtio-serial",
             "-chardev", f"socket,id=agent,path={self.path('agent')},server=on,wait=off",
             "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
             "-chardev", f"file,id=acks,path={self.acks},append=on",
             "-device", "virtserialport,chardev=acks,name=acks",
             "-chardev", f"file,id=console,path={self.path('console')},append=on", "-serial", "chardev:console",
             "-qmp", f"unix:{self.path('qmp')},server=on,wait=off",
             "-qmp", f"tcp:127.0.0.1:{self.fence_port},server=on,wait=off"] + self.devices,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.path("qemu"), "ab"),
            start_new_session=True)  # the scheduler shares the processors among sessions: each machine has its own

    def kill(self):
        """The power cord: not one instruction more."""
        if self.qemu:
            self.qemu.send_signal(signal.SIGKILL)
            self.qemu.wait()

    def on(self):
        return self.qemu is not None and self.qemu.poll() is None

    def processor_s(self):
        """Of a processor of this machine, that the guest has used since it was switched on."""
        if not self.on():
            return 0
        with open(f"/proc/{self.qemu.pid}/stat", encoding="ascii") as file:
            words = file.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def qmp(self, command, **arguments):
        return exchange(self.path("qmp"), [{"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}])

    def stall(self, seconds, seen):
        """It gets no processor for so long. Seen: as beside others on a busy machine, its clock goes on; else that stands still, too."""
        if seen:
            self.qemu.send_signal(signal.SIGSTOP)
        else:
            self.qmp("stop")
        time.sleep(seconds)
        if seen:
            self.qemu.send_signal(signal.SIGCONT)
        else:
            self.qmp("cont")

    # -- as the BMC sees it -----------------------------------------------------------

    def reset(self, kind):
        if kind in ("ForceOff", "ForceRestart"):
            self.kill()
        if kind in ("On", "ForceRestart"):
            self.power_on()

    # -- commands -----------------------------------------------------------------

    def ask(self, command, timeout=ANSWER_S, **arguments):
        return exchange(self.path("agent"), [{"execute": command, "arguments": arguments}], synchronize, timeout)

    def up(self):
        try:
            return self.ask("guest-ping", timeout=10) == {}
        except (OSError, ValueError, Failure):
            return False

    def wait_up(self):
        try:
            until(f"{self.name} to boot", lambda: self.up() or not self.on())
        except Failure as failure:
            raise Failure(f"{failure}: {self.silence()}") from None
        if not self.on():
            raise Failure(f"{self.name}: QEMU has ended: {self.silence()}")

    def silence(self):
        """Where to look when it does not boot."""
        for what in ("qemu", "console"):
            with open(self.path(what), encoding="ascii", errors="replace") as file:
                if said := file.read().strip().splitlines():
                    return f"{what} said at last: {said[-1].strip()}; all of it with --keep, in {self.path(what)}"
        return ("its kernel has not printed a byte, and QEMU neither: this QEMU does not run it. Version 7.2 does, emulating (TCG), with or without "
                "/dev/kvm; make the image anew (rm -r build/vm/image), or begin QEMU by hand as in guest.py with -d int,guest_errors")

    def start(self, command, stdin=""):
        return self.ask("guest-exec", path="/bin/sh", arg=["-c", command],
                        **{"capture-output": True, "input-data": base64.b64encode(stdin.encode()).decode()})["pid"]

    def finish(self, command, pid):
        """Its exit status and what it said, both streams."""
        poll, end = 0.05, time.monotonic() + HANG_S
        while not (state := self.ask("guest-exec-status", pid=pid))["exited"]:
            if time.monotonic() > end:
                raise Failure(f"{self.name}: does not end: {command}")
            time.sleep(poll)
            poll = min(poll * 1.5, 1)
        said = b"".join(base64.b64decode(state.get(key, "")) for key in ("out-data", "err-data"))
        return state.get("exitcode", 128 + state.get("signal", 0)), said.decode(errors="replace")

    def try_run(self, command, stdin=""):
        return self.finish(command, self.start(command, stdin))

    def run(self, command, stdin=""):
        status, said = self.try_run(command, stdin)
        if status:
            raise Failure(f"{self.name}: exit status {status} of: {command}\n{said}")
        return said

    def put(self, directory, files):
        """Files {name: text}, which root alone may read."""
        self.run(f"mkdir -p {directory}; cd {directory}; umask 077; " +
                 "; ".join(f"printf %s {shlex.quote(text)} >{name}" for name, text in files.items()))


def on_all(guests, command):
    """One command on all of them at once; what each said."""
    pids = [guest.start(command) for guest in guests]
    ends = [guest.finish(command, pid) for guest, pid in zip(guests, pids)]
    for guest, (status, said) in zip(guests, ends):
        if status:
            raise Failure(f"{guest.name}: exit status {status} of: {command}\n{said}")
    return [said for _, said in ends]
