"""On what machine was it measured, and against which versions?"""

import os
import platform
import subprocess
import time
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


# For how long it is watched, in seconds, and what part of that may be others'.
WATCHED, MUCH = 2, 0.1


def taken():
    """What part of the processors' time somebody has while we do nothing: proc(5), /proc/stat."""
    def times():
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        return sum(map(int, fields)), int(fields[3]) + int(fields[4])

    (all_before, idle_before), _, (all_after, idle_after) = times(), time.sleep(WATCHED), times()
    return 1 - (idle_after - idle_before) / (all_after - all_before)


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
    others = taken()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    report.title("The machine, and all versions")
    report.say(f"scripts/bench{' --quick' if kind == 'quick' else ''}, {now:%Y-%m-%d %H:%M} UTC, "
               f"commit {commit}")
    report.say(f"machine   {os.cpu_count()} processors, {processor()}, "
               f"{memory / 2**30:.0f} GiB; {others:.0%} of their time was others' before")
    report.say(f"kernel    {platform.release()} {platform.machine()}; cgroups of {cgroups()}")
    for name, argv in VERSIONS.items():
        version = first_line(argv)
        if version:
            report.say(f"{name:9} {version}")
    if others > MUCH:
        report.say("warning: the machine is busy with something else: ratios are rough")
