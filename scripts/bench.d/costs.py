"""Where do the milliseconds go: which calls of ours take long, and what do they take in the floor?

strace(1) tells how long each call took. It makes each longer, by what a call takes that does almost
nothing, and that is taken off. Calls that wait for somebody else are left out. Of several runs the
fastest counts, because all that the machine does besides makes a call longer.
"""

import re
import statistics
from collections import defaultdict

from peers import ENGINE, FLOOR, TRUE
from room import ROOM, ROOT, Missing, groups, progress, run

RUNS = 7
WAITS = {"wait4", "waitid", "poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_pwait2", "futex",
         "select", "pselect6", "pause", "rt_sigsuspend", "nanosleep", "clock_nanosleep", "recvmsg",
         "recvfrom", "vfork", "flock"}
# What costs so little that it tells what strace costs.
NOTHING = {"getpid", "getuid", "geteuid", "fcntl", "umask", "rt_sigaction", "rt_sigprocmask"}
LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(.*)<(\d+\.\d+)>$")
BEGUN = re.compile(r"^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
GROUPS = "/sys/fs/cgroup"
SHOWN = 15


def kind_of(name, rest):
    """What is counted together."""
    flags = re.findall(r"CLONE_NEW\w+", rest)
    if name in ("unshare", "clone", "clone3", "setns") and flags:
        return f"{name}({'|'.join(flags)})"
    if name == "mount":
        kind = re.match(r'[^,]*, [^,]*, "(\w+)"', rest)
        return f'mount("{kind.group(1)}")' if kind else "mount(flags)"
    if name in ("fsopen", "socket"):
        return f"{name}({rest.lstrip('(').split(',')[0]})"
    if name == "umount2":
        return name
    if name == "seccomp":
        return f"seccomp({rest.lstrip('(').split(',')[0]})"
    if name == "write":
        # What is written to a group is asked of one controller: the file says which.
        file = re.match(rf"\(?\d+<{GROUPS}[^>]*/([^/>]+)>", rest)
        return f"write to {file.group(1)}" if file else name
    return f"{name} of a group" if GROUPS in rest else name


def waits(name, rest):
    """A pipe is read until somebody else has written; who makes a child that shares its memory
    waits until that has become another program."""
    return "CLONE_VFORK" in rest or (name == "read" and "pipe:" in rest)


def add_up(lines):
    """{KIND: [COUNT, SECONDS]} of a record, and the cost of nothing."""
    begun, calls, nothing = {}, defaultdict(lambda: [0, 0.0]), []
    for line in lines:
        unfinished = BEGUN.match(line)
        if unfinished:
            pid, name, rest = unfinished.groups()
            begun[pid, name] = rest
            continue
        ended = LINE.match(line)
        if not ended:
            continue
        pid, name, rest, seconds = ended.groups()
        rest = begun.pop((pid, name), "") + rest
        if name in NOTHING:
            nothing.append(float(seconds))
        if name in WAITS or waits(name, rest):
            continue
        entry = calls[kind_of(name, rest)]
        entry[0] += 1
        entry[1] += float(seconds)
    return calls, statistics.median(nothing) if nothing else 0.0


def trace(argv):
    """The fastest of several runs: {KIND: (COUNT, SECONDS)}."""
    out, runs = ROOM / "strace", []
    for _ in range(RUNS):
        run(["strace", "-f", "-y", "-T", "-s", "200", "-o", out, *argv])
        calls, nothing = add_up(out.read_text(errors="replace").splitlines())
        runs.append({kind: (count, max(0.0, seconds - count * nothing))
                     for kind, (count, seconds) in calls.items()})
    kinds = set().union(*runs)
    return {kind: min((one[kind] for one in runs if kind in one), key=lambda it: it[1])
            for kind in kinds}


def show(report):
    progress("which calls take long?")
    floor = [FLOOR, ROOT, ROOM / "floor", ":".join(groups()), *TRUE]
    ours = [*ENGINE, "run", "--rm", "--network", "none", "it", *TRUE]
    try:
        base, costs = trace(floor), trace(ours)
        bridge = trace([*ENGINE, "run", "--rm", "it", *TRUE])
    except Missing as why:
        report.say(f"not measured: what takes long: {why}")
        return
    compare(report, "start", "What takes long in `run --rm --network none`", costs, "floor", base)
    compare(report, "bridge", "What takes long in `run --rm`, with a bridge", bridge, "no network",
            costs)


def compare(report, key, title, costs, beside, base):
    """A table of what costs most, beside what the same calls cost in another run."""
    dearest = sorted(costs, key=lambda kind: -costs[kind][1])[:SHOWN]
    rows = [row(kind, costs[kind], base.get(kind)) for kind in dearest]
    rows.append(row("all calls", total(costs), total(base)))
    report.figures.setdefault("costs", {})[key] = [
        (kind, costs[kind][1], base.get(kind, (0, 0.0))[1]) for kind in costs]
    head = ["", "calls", "ms", f"{beside}: calls", "ms"]
    report.table(f"{title}, without who waits", head, rows)


def total(costs):
    return sum(count for count, _ in costs.values()), sum(time for _, time in costs.values())


def row(kind, ours, base):
    count, seconds = base or (0, 0.0)
    return [kind, f"{ours[0]:.0f}", f"{ours[1] * 1000:.3f}", f"{count:.0f}",
            f"{seconds * 1000:.3f}"]
