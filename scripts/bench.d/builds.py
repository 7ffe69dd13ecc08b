"""How long does a student wait for the compiler, and how big is what comes of it?"""

import os
import shutil
import statistics
from pathlib import Path

from hyper import in_turn, once
from peers import ENGINE
from room import ROOT, Missing, progress

WHAT = {"uts": ["-p", "uts"], "workspace": ["--workspace"]}
# How often each is built from nothing.
TIMES = {"quick": {"uts": 1}, "complete": {"uts": 3, "workspace": 1}}


def program(report, kind):
    """The release binary: what it weighs, and what it takes until it can begin."""
    size = Path(ENGINE[0]).stat().st_size
    commands = {"fork and exec": [f"{ROOT}/bin/true"],
                "fakedocker --version": [ENGINE[0], "--version"]}
    times, missing = in_turn("--version", commands, kind)
    report.figures["size"] = size
    report.times(f"The release binary has {size / 2**20:.1f} MiB; until it begins", "version",
                 times, missing, "fork and exec")


def clean(report, kind):
    """Builds from nothing, as a student does them, with two jobs and without a network."""
    folder = Path(os.environ["KEPT"]) / "clean"
    # What the caller has set would be measured, too.
    own = {name: value for name, value in os.environ.items()
           if not name.startswith(("CARGO_PROFILE", "CARGO_BUILD", "CARGO_INCREMENTAL",
                                   "RUSTFLAGS"))}
    found, rows = {}, []
    for name, count in TIMES[kind].items():
        argv = ["cargo", "build", "--quiet", "--offline", "--locked", "--jobs", "2", *WHAT[name]]
        seconds = []
        try:
            for turn in range(count):
                shutil.rmtree(folder, ignore_errors=True)
                progress(f"cargo build of {name}: {turn + 1} of {count}")
                seconds.append(once(argv, env={**own, "CARGO_TARGET_DIR": str(folder)}))
        except Missing as why:
            report.say(f"not measured: cargo build of {name}: {why}")
            continue
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        found[name] = statistics.median(seconds)
        rows.append([" ".join(argv[:2] + WHAT[name]), f"{found[name]:.1f}",
                     f"{min(seconds):.1f}", count])
    report.figures["build"] = found
    report.table("Builds from nothing, two jobs (s)", ["", "median", "fastest", "times"], rows)
