"""How long does a container take from start to exit, and how long is joining one?"""

import os
import subprocess

from hyper import in_turn
from peers import OURS, TRUE
from room import ROOM, Missing, network, progress, run, wait_for


# What the kernel itself needs for a bridge and a cable, or a cable only: ip(8) makes and removes
# them.
CABLE = "link add bench1 type veth peer name bench2\nlink set bench1 up\nlink del bench1\n"
BRIDGE = f"link add bench0 type bridge\n{CABLE}link del bench0\n"
KERNEL = "ip(8): links only"


def start(report, kind, peers):
    """`true`, in front of us; those with a bridge for themselves."""
    commands = {name: peer.start(TRUE, False) for name, peer in peers.items()}
    bridged = {name: argv for name, argv in commands.items() if name.endswith("bridge")}
    plain = {name: argv for name, argv in commands.items() if name not in bridged}
    times, missing = in_turn("start", plain, kind)
    report.times("From start to exit, no network", "start", times, missing, "floor", OURS)
    # Whatever rules the others have made in this network: they are not there.
    within = {f"{OURS}, bridge": network("ours"), KERNEL: network("kernel")}
    links = {KERNEL: batch("bridge", BRIDGE)}
    times, missing = in_turn("start, bridge", {**bridged, **links}, kind, within=within)
    report.times("From start to exit, with a place at a bridge", "bridge", times, missing,
                 "podman, bridge", f"{OURS}, bridge")
    beside(report, kind, {name: peers[name] for name in bridged}, within)


def batch(name, commands):
    """How ip(8) is called, so that it plays these."""
    (ROOM / name).write_text(commands)
    return ["ip", "-batch", str(ROOM / name)]


def beside(report, kind, peers, within):
    """The same while another container has a place at the bridge: it need not be made."""
    commands, missing, began = {KERNEL: batch("cable", CABLE)}, {}, []
    for name, peer in peers.items():
        progress(f"bridge: a container of {name}")
        try:
            stay(peer, "neighbour", within.get(name, ()))
            began.append(peer)
            commands[name] = peer.start(TRUE, False)
        except Missing as why:
            missing[name] = str(why)
    times, more = in_turn("start, bridge there", commands, kind, within=within)
    report.times("The same, while another container is at the bridge", "beside", times,
                 {**missing, **more}, "podman, bridge", f"{OURS}, bridge")
    for peer in began:
        run([*within.get(peer.name, ()), *peer.end("neighbour")])


# Those that start one that stays, one of each kind.
STAYING = [OURS, "crun", "runc", "podman", "docker"]


def children():
    """All processes that we see, and the number of each in its innermost namespace."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/status") as status:
                numbers = next(line for line in status if line.startswith("NSpid:")).split()[1:]
            found[int(name)] = numbers
        except (OSError, StopIteration):
            pass
    return found


def stay(peer, name, within=()):
    """Start one that stays, and return the processes that are new."""
    before = set(children())
    # Its streams are nobody's: who reads them to their end would wait for the container's.
    done = subprocess.run([str(part) for part in (*within, *peer.stay(name))],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Missing(f"exit status {done.returncode}")
    wait_for(lambda: sleeper(set(children()) - before), f"{peer.name}: no process is there")
    return set(children()) - before


def sleeper(pids):
    """The user's process among them: the one that has become `sleep`."""
    for pid in pids:
        try:
            with open(f"/proc/{pid}/cmdline") as line:
                if line.read().split("\0")[:1] == ["/bin/sleep"]:
                    return pid
        except OSError:
            pass
    return None


def join(report, kind, peers):
    """`true` in a container that runs, beside nsenter(1), which enters the namespaces only."""
    commands, missing, began = {}, {}, []
    for peer in (peers[name] for name in STAYING if name in peers):
        progress(f"exec: a container of {peer.name}")
        name = f"joined-{peer.name}"
        try:
            new = stay(peer, name)
            began.append((peer, name))
            commands[peer.name] = peer.join(name)
            if peer.name == OURS:
                commands["nsenter"] = ["nsenter", "--target", str(sleeper(new)), "--all", *TRUE]
        except Missing as why:
            missing[peer.name] = str(why)
    times, more = in_turn("exec", commands, kind)
    report.times("`exec` into a running container", "exec", times, {**missing, **more},
                 "nsenter", OURS)
    for peer, name in began:
        run(peer.end(name))
