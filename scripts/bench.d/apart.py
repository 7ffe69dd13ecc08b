"""How is all that is measured kept apart from the machine?

It has namespaces of its own (mount, network, PID, cgroup), and a group of its own in each
hierarchy, which it sees as the topmost one. Bridges, rules, mounts, processes and notes in /run go
with them, whatever ends us; other containers on this machine neither wait for ours nor make them
wait. Only the groups have to be removed by hand, and they are all below one.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

NAME = f"fakedocker-bench-{os.getpid()}"
LEAF = "bench"
TOP = Path("/sys/fs/cgroup")
CLONE_NEWCGROUP = 0x02000000
# How long ended processes may take to leave their groups, in seconds.
PATIENCE = 20


def hierarchies():
    """Of each that has controllers: their names, where it is mounted, and our group in it."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        own[controllers] = group
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, behind = line.partition(" - ")
        root, at = before.split()[3:5]
        kind, _, options = behind.split()[:3]
        if root != "/" or kind not in ("cgroup", "cgroup2"):
            continue
        for controllers, group in own.items():
            if (kind == "cgroup2") != (controllers == ""):
                continue
            if set(controllers.split(",")) <= {"", *options.split(",")}:
                found.setdefault(controllers, (Path(at), group))
    if any(found):
        # Beside version 1 there is little on version 2, and some peers refuse both together.
        found.pop("", None)
    return [(controllers, at, group) for controllers, (at, group) in found.items()]


def make_groups():
    """In version 1 below our own, so that its limits hold on; in version 2 below the topmost
    one, because a group that has processes lets no controller through."""
    folders = []
    for controllers, at, group in hierarchies():
        above = at / group.strip("/") if controllers else at
        folder = above / NAME
        folder.mkdir()
        folders.append(folder)
        if not controllers:
            allow(at)
            allow(folder)
            # The topmost one of a namespace is none to the kernel: only leaves may have processes.
            (folder / LEAF).mkdir()
        # A cpuset of version 1 has no processors at first, and takes no process then.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if controllers and (folder / name).exists():
                (folder / name).write_text((above / name).read_text())
    return folders


def allow(folder):
    """Let all controllers through to the groups of version 2 in `folder`."""
    has = (folder / "cgroup.controllers").read_text().split()
    (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in has))


def join(folders):
    """Enter our groups, and from then on see them as the topmost ones."""
    for folder in folders:
        (folder / "cgroup.procs").write_text("0")
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWCGROUP) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWCGROUP)")
    for folder in folders:
        if (folder / LEAF).exists():
            (folder / LEAF / "cgroup.procs").write_text("0")


def let_through():
    """What the topmost group of version 2 lets through: its file, and what it says."""
    files = [at / "cgroup.subtree_control" for names, at, _ in hierarchies() if not names]
    return {file: set(file.read_text().split()) for file in files}


def forbid(before):
    """Take back what was not let through before."""
    for file, names in before.items():
        for name in set(file.read_text().split()) - names:
            file.write_text(f"-{name}")


def remove(folder):
    """Remove a group and all below, when their processes have gone."""
    deadline = time.monotonic() + PATIENCE
    while folder.exists():
        for below, _, _ in os.walk(folder, topdown=False):
            try:
                os.rmdir(below)
            except OSError:
                # Who has ended is in its group until its parent has waited for it.
                pass
        if folder.exists() and time.monotonic() > deadline:
            print(f"warning: {folder} is left: it has processes", file=sys.stderr)
            return
        if folder.exists():
            time.sleep(0.05)


def outside(command):
    """Play `command` apart, and return its exit status."""
    folders = []
    through = let_through()
    child = None

    def end(*_):
        if child:
            child.kill()
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    own = ["mount", "net", "pid", "fork", "kill-child", "mount-proc"]
    try:
        folders = make_groups()
        names = [controllers for controllers, _, _ in hierarchies()]
        inside = [sys.executable, __file__, ":".join(names) or "-", *command]
        child = subprocess.Popen(["unshare", *(f"--{it}" for it in own), *inside],
                                 preexec_fn=lambda: join(folders))
        return child.wait()
    except KeyboardInterrupt:
        give_time(child)
        return 130
    finally:
        if child:
            # The kernel ends all that is in the PID namespace with its first process.
            child.kill()
            child.wait()
        for folder in folders:
            remove(folder)
        forbid(through)


def give_time(child):
    """Ctrl-C is heard inside, too, and files in target/ are taken away there."""
    try:
        if child:
            child.wait(10)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        pass


def mount(kind, options, at):
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", kind, "-o", options, kind, str(at)], check=True)


def settle(hierarchies):
    """What is seen inside: our own groups as the topmost ones, nothing in /run, and `lo`."""
    # This one shows our network. The groups are mounted anew in it.
    mount("sysfs", "nosuid,nodev,noexec", Path("/sys"))
    if hierarchies == [""]:
        mount("cgroup2", "nosuid,nodev,noexec", TOP)
    else:
        mount("tmpfs", "nosuid,nodev,noexec,mode=755", TOP)
        for names in hierarchies:
            mount("cgroup", names, TOP / names.removeprefix("name="))
    mount("tmpfs", "mode=755", Path("/run"))
    # Where podman keeps its locks, and the addresses that it has given away.
    for place in filter(Path.is_dir, map(Path, ("/dev/shm", "/var/lib/cni"))):
        mount("tmpfs", "mode=1777", place)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


if __name__ == "__main__":
    if sys.argv[1] == "--outside":
        sys.exit(outside(sys.argv[2:]))
    settle([] if sys.argv[1] == "-" else sys.argv[1].split(":"))
    os.execvp(sys.argv[2], sys.argv[2:])
