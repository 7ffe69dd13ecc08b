"""Where do the milliseconds go: which calls of ours take long, and what do they take in the floor?

strace(1) tells how long each call took. It makes each longer, by what a call takes that does almost
nothing, and that is taken off. Calls that wait for somebody else are left out. Of several runs the
fastest counts, because all that the machine does besides makes a call longer.
"""

import os
import re
import statistics
from collections import defaultdict

from peers import OURS, TRUE
from room import ROOM, Missing, network, progress, run

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
# What is no call: what a program does by itself, the pages that it touches, and its end.
BESIDE = "beside calls"
# Whose starts are looked at.
WATCHED = ["floor", "crun", "crun, seccomp", OURS]


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
    """A pipe or a socket is read until somebody else has written; who makes a child that shares its
    memory waits until that has become another program."""
    reads = name == "read" and re.match(r"\(?\d+<(pipe|socket|UNIX)", rest)
    return "CLONE_VFORK" in rest or reads


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


def trace(argv, within=()):
    """The fastest of several runs: {KIND: (COUNT, SECONDS)}."""
    out, runs = ROOM / "strace", []
    for _ in range(RUNS):
        run([*within, "strace", "-f", "-y", "-T", "-s", "200", "-o", out, *argv])
        calls, nothing = add_up(out.read_text(errors="replace").splitlines())
        runs.append({kind: (count, max(0.0, seconds - count * nothing))
                     for kind, (count, seconds) in calls.items()})
    kinds = set().union(*runs)
    return {kind: min((one[kind] for one in runs if kind in one), key=lambda it: it[1])
            for kind in kinds}


# What the calls of a start are for. The first that fits counts.
SHARES = [
    ("several namespaces at once", r"(unshare|clone3?)\(.*\|.*"),
    ("network namespace", r"unshare\(CLONE_NEWNET\)"),
    ("mount namespace", r"unshare\(CLONE_NEWNS\)"),
    ("UTS namespace", r"unshare\(CLONE_NEWUTS\)|sethostname"),
    ("IPC namespace", r"unshare\(CLONE_NEWIPC\)"),
    ("cgroup namespace", r"unshare\(CLONE_NEWCGROUP\)"),
    ("processes, and the PID namespace", r"v?fork|clone.*"),
    ("groups: made, joined, removed", r'.* of a group|write to .*|mount\("cgroup"\)'),
    ("layers", r'mount\("overlay"\)'),
    ("other mounts, and the new root",
     r"mount.*|umount2|pivot_root|openat2|mkdirat|symlinkat|fs(open|config|mount).*|move_mount"
     r"|open_tree"),
    ("capabilities and filter", r"prctl|seccomp.*|cap[gs]et"),
    ("network", r"send\w+|recv\w+|socket.*|bind|connect"),
    ("programs are started",
     r"exec.*|mmap|munmap|mprotect|brk|pread64|arch_prctl|set_\w+|rseq|access"),
    ("state, notes, files", r".*"),
]


def shares(costs):
    """{SHARE: (COUNT, SECONDS)}"""
    found = {name: (0, 0.0) for name, _ in SHARES}
    for kind, (count, seconds) in costs.items():
        name = next(name for name, kinds in SHARES if re.fullmatch(kinds, kind))
        found[name] = (found[name][0] + count, found[name][1] + seconds)
    return found


class Work:
    """What the kernel counts of a program and all that it starts."""

    def __init__(self, argv):
        argv = [str(part) for part in argv]
        nowhere = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        faults, times = [], []
        for _ in range(RUNS * 3):
            pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=nowhere)
            usage = os.wait4(pid, 0)[2]
            faults.append(usage.ru_minflt)
            times.append(usage.ru_utime + usage.ru_stime)
        self.faults = statistics.median(faults)
        self.seconds = statistics.median(times)


def show(report, peers):
    """Of a start: what the kernel counts, what its calls take, and what they are for."""
    progress("which calls take long?")
    starts = {name: peers[name].start(TRUE, False) for name in WATCHED if name in peers}
    try:
        traces = {name: trace(argv) for name, argv in starts.items()}
        bridge = trace(peers[f"{OURS}, bridge"].start(TRUE, False), network("traced"))
    except (Missing, KeyError) as why:
        report.say(f"not measured: what takes long: {why}")
        return
    rows = []
    for name, costs in traces.items():
        work = Work(starts[name])
        programs = sum(costs.get(kind, (0,))[0] for kind in ("execve", "execveat"))
        rows.append([name, programs, f"{total(costs)[0]:.0f}", f"{work.faults:.0f}",
                     f"{work.seconds * 1000:.2f}"])
    report.figures["work"] = {row[0]: row[1:] for row in rows}
    head = ["", "programs", "calls", "page faults", "cpu ms"]
    report.table("What a start without network makes the kernel do", head, rows)
    # The others wait in their calls, for each other and for the kernel.
    alone = {name: traces[name] for name in ("floor", OURS)}
    told = {name: shares(costs) for name, costs in alone.items()}
    cpu = {name: report.figures["start"][name]["cpu"] for name in told}
    for name, costs in alone.items():
        told[name][BESIDE] = (0, cpu[name] - total(costs)[1])
    kinds = [*(name for name, _ in SHARES), BESIDE]
    rows = [[share, *(ms(of[share]) for of in told.values())] for share in kinds]
    rows.append(["all", *(f"{cpu[name] * 1000:.2f}" for name in told)])
    head = ["", *told]
    report.table("What the milliseconds of a processor are for", head, rows)
    compare(report, "start", "What takes long in `run --rm --network none`", traces[OURS],
            "floor", traces["floor"])
    compare(report, "bridge", "What takes long in `run --rm`, with a bridge", bridge, "no network",
            traces[OURS])


def ms(of):
    return f"{of[1] * 1000:.2f}"


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
