# SPDX-License-Identifier: Apache-2.0
"""What happens to the machines. Each scenario begins with a whole pod under load, and returns whom it did harm to; run() waits
until the pod is whole again, unaided, and judges what was acknowledged."""
import random
import socket
import time

from guest import Failure, until, watchdog_devices
from pod import CHOSEN_MS, HEARTBEAT_MS

LIVES = ("ALIVE", "SUSPECT")
STEAL_S, STEAL_SEED = 120, 7
DEAD_AFTER_S = 120  # of a kernel that stands still the hardware is all of OPERATIONS.md's table: 30 s here. And time to boot within


def survivors(pod, victim):
    return [guest for guest in pod.guests if guest is not victim]


def died(pod, victim, generation):
    """The victim, whose generation this was, is declared dead, cut off and recovered; how long it took, while the others work."""
    via, began = survivors(pod, victim)[0], time.monotonic()
    marks = {guest: len(pod.lines(guest)) for guest in survivors(pod, victim)}

    def dead():
        host = pod.host(via, victim.number)
        return host["state"] not in LIVES or host["generation"] > generation

    def recovered():
        host = pod.host(via, victim.number)
        return host["state"] in ("RECOVERED", "FREE") or host["generation"] > generation and host["state"] in LIVES

    until(f"{victim.name} to be declared dead", dead)
    declared = time.monotonic() - began
    for guest in marks:
        pod.wait_progress(guest, 20)
    pod.ease_load([victim])
    until(f"{victim.name} to be recovered", recovered)
    worked = ", ".join("%s did %d operations, the longest %d ms" % ((guest.name,) + pod.longest(guest, mark))
                       for guest, mark in marks.items())
    pod.say(f"  declared dead after {declared:.1f} s, recovered after {time.monotonic() - began:.1f} s; meanwhile {worked}")


def generation(pod, victim):
    return pod.host(survivors(pod, victim)[0], victim.number)["generation"]


def struck(pod, victim, blow):
    """Something happens to a machine that it does not survive: it dies, as died() says."""
    before = generation(pod, victim)
    pod.deaths += 1
    blow()
    died(pod, victim, before)
    return [victim]


def kill(pod):
    """the power cord of a machine"""
    return struck(pod, pod.guests[2], pod.guests[2].kill)


def panic(pod):
    """the kernel of the machine with the primary fabricd panics, and stays there"""
    victim = pod.primary()
    return struck(pod, victim, lambda: victim.start("sleep 1; echo c >/proc/sysrq-trigger"))  # its agent answers first


def pause(pod):
    """a machine stands still for less than it takes to be declared dead: nothing happens"""
    victim = pod.guests[2]
    before = generation(pod, victim)
    victim.qmp("stop")
    time.sleep(1.5)
    victim.qmp("cont")
    pod.wait_progress(victim, 20)
    if pod.host(pod.guests[0], victim.number)["generation"] != before:
        raise Failure(f"{victim.name} was declared dead")
    return []


def zombie(pod):
    """a machine stands still, is declared dead, and goes on before any fence agent can cut it off"""
    victim = pod.guests[2]
    before = generation(pod, victim)
    pod.deaths += 1
    bmc = pod.bmc.machines.pop(str(victim.number))
    with socket.create_connection(("127.0.0.1", victim.fence_port)):  # the one client that QEMU serves
        victim.qmp("stop")
        for guest in survivors(pod, victim):
            pod.wait_state(guest, victim.number, "FENCING")
        for guest in survivors(pod, victim):  # beside one that is dead and not recovered
            pod.wait_progress(guest, 200)
        if pod.host(pod.guests[0], victim.number)["state"] != "FENCING":
            raise Failure(f"{victim.name} could not be cut off, and was believed dead")
        went_on = time.monotonic()
        victim.qmp("cont")
        until(f"{victim.name} to be back by itself", lambda: (host := pod.host(pod.guests[0], victim.number))["state"] == "ALIVE" and
              host["generation"] > before)
        pod.say(f"  back by its own proof {time.monotonic() - went_on:.1f} s after it went on")
    pod.bmc.machines[str(victim.number)] = bmc
    return [victim]


def frozen(pod):
    """a machine stands still for good: it is cut off, and boots"""
    return struck(pod, pod.guests[2], lambda: pod.guests[2].qmp("stop"))


def reboot(pod):
    """a machine is rebooted as an operator does it: it leaves, and comes back"""
    victim = pod.guests[1]
    pod.deaths += 1  # its load is ended, perhaps between a change and its acknowledgement
    boot, before = victim.run("cat /proc/sys/kernel/random/boot_id"), generation(pod, victim)
    victim.start("systemctl reboot")
    until(f"{victim.name} to leave", lambda: (host := pod.host(pod.guests[0], victim.number))["state"] == "FREE" or
          host["generation"] > before)
    pod.say("  it has left")
    pod.ease_load([victim])
    until(f"{victim.name} to boot anew", lambda: victim.up() and victim.try_run("cat /proc/sys/kernel/random/boot_id")[1] != boot, 1)
    return [victim]


def reset(pod):
    """the reset button of a machine"""
    return struck(pod, pod.guests[1], lambda: pod.guests[1].qmp("system_reset"))


def power(pod):
    """all machines lose power at once, and get it back; the memory does not lose it"""
    pod.deaths += len(pod.guests)
    for guest in pod.guests:
        guest.qemu.kill()
    for guest in pod.guests:
        guest.kill()
    for guest in pod.guests:
        guest.power_on()
    pod.wait_whole()
    return pod.guests


def stalls(pod, seconds):
    """Guests in turn get no processor for 0.3 to 0.7 s, and some between. How often, and the longest."""
    rng, end, n, longest = random.Random(STEAL_SEED), time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        began = time.monotonic()
        rng.choice(pod.guests).stall(rng.uniform(0.3, 0.7), seen=n % 2 == 0)
        longest = max(longest, time.monotonic() - began)
        time.sleep(rng.uniform(0.2, 0.8))
        n += 1
    return n, longest


def lengthens(pod, victim):
    """With a heartbeat that allows 1.5 s, a guest that is stopped for 0.9 s has it made what mkfs would have chosen."""
    pod.set_heartbeat(150)
    victim.stall(0.9, seen=True)
    until("a longer heartbeat", lambda: pod.heartbeat()[0] == CHOSEN_MS)
    pod.say(f"  {pod.lengthened()['text']}")  # by that guest, or one that the emulator kept waiting as long


def dies_of_the_default(pod, victim, before):
    """With 50 ms a guest is declared dead that does nothing but stand still now and then: unseen, so that its agent does not help
    itself. The others' do, as the emulator keeps them waiting; each once, for what is then set stays."""
    pod.set_heartbeat(50)
    began = time.monotonic()

    def dead():
        if pod.generations() != before:
            return True
        if pod.heartbeat()[0] != 50:
            pod.set_heartbeat(50)
        victim.stall(0.7, seen=False)
        return False

    until("a guest to be declared dead with 50 ms, for else nothing is shown of 200", dead, 0.3)
    until("the heartbeat to be set", lambda: pod.set_heartbeat(HEARTBEAT_MS) or True)
    pod.say(f"  with 50 ms one is declared dead after {time.monotonic() - began:.1f} s")


def steal(pod):
    """the hypervisor takes the processors of guests away, again and again: with the heartbeat that mkfs chose nobody dies"""
    victim, before = pod.guests[2], pod.generations()
    pod.set_heartbeat(CHOSEN_MS)
    n, longest = stalls(pod, STEAL_S)
    for guest in pod.guests:
        pod.wait_progress(guest, 20)
    if pod.generations() != before:
        raise Failure(f"a guest was declared dead; the longest of {n} stalls took {longest:.2f} s")
    pod.say(f"  nobody died of {n} stalls, the longest {longest:.2f} s")
    lengthens(pod, victim)
    dies_of_the_default(pod, victim, before)
    pod.wait_whole()
    dead = [guest for guest, was, now in zip(pod.guests, before, pod.generations()) if was != now]
    pod.deaths += len(dead)
    return dead


def stands_still(pod, victim):
    """Its kernel panics, and stays there: nobody feeds the watchdog any more. Which generation that was."""
    before = generation(pod, victim)
    pod.deaths += 1
    victim.start("sleep 1; echo c >/proc/sysrq-trigger")
    return before


def excluded(pod, victim, before):
    """What proved that the tenant is gone, and how long after it was declared dead: never sooner than the watchdog has had its time."""
    said = pod.postmortem(survivors(pod, victim)[0], victim.number)
    proof, declared = said["proof_of_exclusion"], said["declared_dead"]
    if said["generation"] != before or not proof or not declared:
        raise Failure(f"the death of {victim.name} is not told: {said}")
    waited = (proof["wall_ns"] - declared["wall_ns"]) / 1e9
    by_waiting = "fence_daxfs_watchdog" in proof["more"]
    if by_waiting and waited < DEAD_AFTER_S or not by_waiting and proof["reason"] != "rebooted":
        raise Failure(f"{victim.name} was taken for off after {waited:.1f} s: {proof}")
    return by_waiting, waited


def feed_watchdogs(pod):
    pod.say(f"  {pod.feed_watchdogs(DEAD_AFTER_S)}")


def watchdog(pod):
    """machines without a BMC: a watchdog of hardware resets one that stands still, and then switches it off; who waits long enough knows"""
    victim = pod.guests[2]
    pod.ease_load([])
    boot = victim.run("cat /proc/sys/kernel/random/boot_id")
    before, began = stands_still(pod, victim), time.monotonic()
    until(f"{victim.name} to be reset, and to boot", lambda: victim.up() and
          victim.try_run("cat /proc/sys/kernel/random/boot_id")[1] != boot, 1)
    booted = time.monotonic() - began
    pod.wait_whole()
    by_waiting, waited = excluded(pod, victim, before)
    pod.say(f"  reset, and up again after {booted:.1f} s; {'waited for' if by_waiting else 'its own proof'} {waited:.1f} s after it was declared dead")

    victim.qmp("watchdog-set-action", action="poweroff")
    before, began = stands_still(pod, victim), time.monotonic()
    until(f"{victim.name} to be switched off", lambda: not victim.on())
    off = time.monotonic() - began
    via = survivors(pod, victim)[0]
    pod.wait_state(via, victim.number, "FENCING")  # and nothing else for a long time yet
    for guest in survivors(pod, victim):
        pod.wait_progress(guest, 200)
    until(f"{victim.name} to be recovered", lambda: (host := pod.host(via, victim.number))["state"] == "FREE" and host["generation"] > before)
    by_waiting, waited = excluded(pod, victim, before)
    if not by_waiting:
        raise Failure(f"{victim.name} is off, and proved that itself")
    pod.say(f"  switched off after {off:.1f} s, taken for off {waited:.1f} s after it was declared dead, recovered by another")
    victim.power_on()
    pod.wait_whole()
    pod.put_fabricd(pod.fabricd)
    return [victim]


# What it takes before the load begins: on this kernel (6.1) a restart of the agent ends requests in progress.
watchdog.devices, watchdog.prepare = watchdog_devices, feed_watchdogs

ALL = (kill, panic, pause, zombie, frozen, reboot, reset, power)
BY_NAME = ALL + (steal, watchdog)  # the first alone takes half as long as ALL together, the second waits for minutes


def set_up(pod):
    pod.boot()
    pod.say("three machines have booted")
    pod.make_device()
    pod.say("each has /dev/dax0.0")
    pod.say(f"pool made; {pod.make_pool()}")
    pod.configure()
    pod.wait_whole()
    pod.say("the pod is whole")
    pod.prepare_load()


def chosen(names):
    """Scenarios by their names, in that order; ALL if there are none."""
    known = {scenario.__name__: scenario for scenario in BY_NAME}
    for name in names:
        if name not in known:
            raise Failure(f"{name}: no such scenario; there are {', '.join(known)}")
    return [known[name] for name in names] or ALL


def run(pod, names):
    scenarios = chosen(names)
    for guest in pod.guests:
        guest.devices = [word for scenario in scenarios if hasattr(scenario, "devices") for word in scenario.devices(guest.dir)]
    set_up(pod)
    for scenario in scenarios:
        pod.doing = scenario.__name__
        pod.say(f"{scenario.__name__}: {scenario.__doc__}")
        if hasattr(scenario, "prepare"):
            scenario.prepare(pod)
        pod.start_load()
        victims = scenario(pod)
        pod.ease_load(victims)  # as some scenarios have before
        pod.wait_whole()
        pod.say("  whole again, unaided")
        pod.stop_load(victims)
        pod.say("  " + pod.verify(pod.guests[len(pod.done) % len(pod.guests)]))
        pod.done.append(scenario.__name__)
