"""What does a running container cost, and what do many of them?"""

import time

from containers import STAYING, sleeper, stay
from hyper import in_turn
from peers import ENGINE, FLOOR, OURS, STAY, TRUE
from room import ROOM, ROOT, Missing, groups, progress, run

COUNTS = {"quick": (1, 10, 50, 200), "complete": (1, 10, 50, 200, 500)}
# How many of each engine's are weighed.
WEIGHED = 4


def private_dirty(pid):
    """What is in memory for this process alone, in KiB: 0 if it has gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as lines:
            return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))
    except OSError:
        return 0


def weigh(peer):
    """KiB a container, beyond the user's process; and how many processes that is."""
    names = [f"weighed-{peer.name}-{number}" for number in range(WEIGHED)]
    keepers = []
    try:
        for name in names:
            new = stay(peer, name)
            keepers += new - {sleeper(new)}
        sizes = [private_dirty(pid) for pid in keepers]
    finally:
        for name in names:
            run(peer.end(name))
    return sum(sizes) / len(names), len([size for size in sizes if size]) / len(names)


def memory(report, peers):
    """Of each engine that has containers that stay; Docker's daemons are not counted."""
    rows, found = [], {}
    for peer in (peers[name] for name in STAYING if name in peers):
        progress(f"memory: containers of {peer.name}")
        try:
            size, keepers = weigh(peer)
        except Missing as why:
            report.say(f"not measured: memory of {peer.name}: {why}")
            continue
        found[peer.name] = size
        rows.append([peer.name, f"{size:.0f}", f"{keepers:.1f}"])
    report.figures["memory"] = found
    report.table("Memory of a running detached container, beyond the user's process (KiB)",
                 ["", "Private_Dirty", "processes"], rows)


def fill(count, to):
    """Start more that stay; how many a second."""
    start = time.monotonic()
    for number in range(count, to):
        progress(f"scale: starting container {number + 1} of {to}")
        run([*ENGINE, "run", "-d", "--network", "none", "--name", f"of-{number}", "it", *STAY])
    return (to - count) / (time.monotonic() - start)


def crowd(report, kind):
    """How fast the next one starts, and `ps` is, while so many run. The floor is timed beside
    it, because what else the machine does changes meanwhile."""
    floor = [FLOOR, ROOT, ROOM / "floor", ":".join(groups()), *TRUE]
    commands = {"floor": floor, OURS: [*ENGINE, "run", "--rm", "--network", "none", "it", *TRUE],
                "ps": [*ENGINE, "ps"]}
    rows, found, running = [], {}, 0
    for count in COUNTS[kind]:
        rate = fill(running, count)
        running = count
        times, missing = in_turn(f"scale, {count} running", commands, kind)
        for name, why in missing.items():
            report.say(f"not measured: {name} with {count} running: {why}")
        if missing:
            continue
        base = times["floor"].median
        found[count] = {"rate": rate, **{name: it.to_json() for name, it in times.items()}}
        rows.append([count, f"{rate:.1f}", *(f"{it.median * 1000:.2f}" for it in times.values()),
                     f"{times[OURS].median / base:.2f}", f"{times['ps'].median / base:.2f}"])
    progress(f"scale: ending {running}")
    run([*ENGINE, "rm", "-f", *(f"of-{number}" for number in range(running))])
    report.figures["crowd"] = found
    head = ["running", "run -d a second", "floor", "run --rm", "ps", "run of floor", "ps of floor"]
    report.table("With so many containers running already (ms)", head, rows)
