"""How long does a container take from start to exit, and how long is joining one?"""

import os
import subprocess

from hyper import in_turn
from peers import OURS, TRUE
from room import Missing, progress, run, wait_for


def start(report, kind, peers):
    """`true`, in front of us; those with a bridge for themselves."""
    commands = {name: peer.start(TRUE, False) for name, peer in peers.items()}
    bridged = {name: argv for name, argv in commands.items() if name.endswith("bridge")}
    plain = {name: argv for name, argv in commands.items() if name not in bridged}
    times, missing = in_turn("start", plain, kind)
    report.times("From start to exit, no network", "start", times, missing, "floor", OURS)
    times, missing = in_turn("start, bridge", bridged, kind)
    report.times("From start to exit, with a place at a bridge", "bridge", times, missing,
                 "podman, bridge", f"{OURS}, bridge")


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


def stay(peer, name):
    """Start one that stays, and return the processes that are new."""
    before = set(children())
    # Its streams are nobody's: who reads them to their end would wait for the container's.
    done = subprocess.run([str(part) for part in peer.stay(name)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
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
