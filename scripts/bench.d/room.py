"""On what do all peers stand, and how is a program started here?

All lies in memory (a tmpfs at /run that only we see), so that no disk decides: the root file
system, which is one static busybox, the stores of all engines, and what they write.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOM = Path("/run/bench")
ROOT = ROOM / "root"
TAR = ROOM / "root.tar"

# How long a program may take that is not measured, in seconds.
PATIENCE = 120

# What the started process says of itself, before it waits for a line.
LOOK = """#!/bin/sh
for name in uts ipc pid mnt net cgroup; do echo "ns $(readlink /proc/self/ns/$name)"; done
echo "mounts $(wc -l < /proc/self/mountinfo)"
echo "root $(awk '$5 == "/" { sub(".* - ", ""); print $1; exit }' /proc/self/mountinfo)"
grep -E '^(CapEff|NoNewPrivs|Seccomp|Seccomp_filters):' /proc/self/status
echo end
read -r line
"""


class Missing(Exception):
    """Something cannot be measured here, and why: one line."""


def said(output):
    """The last line that says something: mostly the reason."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"


def run(argv, patience=PATIENCE, **more):
    """Play a program to its end, and return what it has written."""
    argv = [str(part) for part in argv]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=patience, **more)
    except FileNotFoundError:
        raise Missing(f"there is no {argv[0]}") from None
    except subprocess.TimeoutExpired:
        raise Missing(f"{shlex.join(argv)}: not done after {patience} s") from None
    if done.returncode != 0:
        raise Missing(f"{shlex.join(argv)}: {said(done.stderr)}")
    return done.stdout


def wait_for(happened, what, patience=20):
    """Ask again until it has happened."""
    deadline = time.monotonic() + patience
    while not happened():
        if time.monotonic() > deadline:
            raise Missing(f"{what}: not after {patience} s")
        time.sleep(0.02)


def make_root():
    """A root file system of one program, and the same as a tarball."""
    ROOM.mkdir()
    for name in ("bin", "dev", "proc", "sys", "etc", "tmp"):
        (ROOT / name).mkdir(parents=True)
    program = ROOT / "bin/busybox"
    shutil.copy(shutil.which("busybox"), program)
    for applet in run([program, "--list"]).split():
        if applet != "busybox":
            (ROOT / "bin" / applet).symlink_to("busybox")
    (ROOT / "look").write_text(LOOK)
    (ROOT / "look").chmod(0o755)
    # What engines mount files on.
    for name in ("hosts", "hostname", "resolv.conf"):
        (ROOT / "etc" / name).touch()
    run(["tar", "--create", "--file", TAR, "--directory", ROOT, "."])


def network(name):
    """What plays a program in a network stack of its own, where no other's links and rules are."""
    run(["ip", "netns", "add", name])
    run(["ip", "-n", name, "link", "set", "lo", "up"])
    return ["nsenter", f"--net=/run/netns/{name}"]


def groups():
    """Where a container gets a group: each hierarchy that has controllers, or version 2."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return ["/sys/fs/cgroup"]
    named = [line.split(":")[1] for line in Path("/proc/self/cgroup").read_text().splitlines()]
    names = [name for name in named if name and not name.startswith("name=")]
    return [f"/sys/fs/cgroup/{name}" for name in names]


def progress(text):
    """What is being done now, on a terminal only."""
    if sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        print(f"\r\033[K{text[:width - 1]}", end="", file=sys.stderr, flush=True)


def busy_children():
    """As number 1 of our namespace we are the parent of all orphans."""
    try:
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        pass
