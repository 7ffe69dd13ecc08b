"""On what machine was it measured, and against which versions?"""

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from room import groups

VERSIONS = {
    "crun": ["crun", "--version"], "runc": ["runc", "--version"],
    "bwrap": ["bwrap", "--version"], "podman": ["podman", "--version"],
    "docker": ["dockerd", "--version"], "unshare": ["unshare", "--version"],
    "hyperfine": ["hyperfine", "--version"], "skopeo": ["skopeo", "--version"],
    "tar": ["tar", "--version"], "rustc": ["rustc", "--version"],
}


def first_line(argv):
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return None
    return next(iter(done.stdout.splitlines()), None)


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(": ", 1)[1]
    return platform.machine()


def cgroups():
    found = groups()
    if found == ["/sys/fs/cgroup"]:
        return "version 2"
    return f"version 1: {', '.join(Path(folder).name for folder in found)}"


def describe(report, kind):
    now = datetime.now(timezone.utc)
    commit = first_line(["git", "-c", "safe.directory=*", "describe", "--always", "--dirty"])
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    report.title("The machine, and all versions")
    report.say(f"scripts/bench{' --quick' if kind == 'quick' else ''}, {now:%Y-%m-%d %H:%M} UTC, "
               f"commit {commit}")
    report.say(f"machine   {os.cpu_count()} processors, {processor()}, "
               f"{memory / 2**30:.0f} GiB; load {os.getloadavg()[0]:.1f} at the beginning")
    report.say(f"kernel    {platform.release()} {platform.machine()}; cgroups of {cgroups()}")
    for name, argv in VERSIONS.items():
        version = first_line(argv)
        if version:
            report.say(f"{name:9} {version}")
    if os.getloadavg()[0] > os.cpu_count() / 2:
        report.say("warning: the machine is busy with something else: ratios are rough")
