"""How long does each of them take, measured in turn?

hyperfine starts the programs and times them. It is asked again and again for a few runs of each, so
that what else the machine does meanwhile meets all of them alike.
"""

import json
import shlex
import statistics
import subprocess
import time

from room import ROOM, Missing, progress, said

# Who takes longer than this, in seconds, is warm enough; and in a quick run, is played once.
SLOW, ONCE = 0.2, 3.0
# What a round may spend on one peer, in seconds, and how many runs it is at most.
SPENT = {"quick": 0.12, "complete": 0.4}
ROUNDS = {"quick": 6, "complete": 15}
MOST = 20


class Times:
    """All runs of one peer, in seconds."""

    def __init__(self):
        self.all = []
        self.cpu = []

    def add(self, result):
        self.all += result["times"]
        self.cpu.append(result["user"] + result["system"])

    @property
    def median(self):
        return statistics.median(self.all)

    def at(self, part):
        """What that part of the runs stays below."""
        ordered = sorted(self.all)
        return ordered[min(int(part * len(ordered)), len(ordered) - 1)]

    def to_json(self):
        return {"median": self.median, "p5": self.at(0.05), "p25": self.at(0.25),
                "p75": self.at(0.75), "runs": len(self.all),
                "cpu": statistics.median(self.cpu)}


def hyperfine(argv, runs, warmup, prepare, within=()):
    """Time a few runs of a program; what `within` plays hyperfine by is not timed."""
    out = ROOM / "hyperfine.json"
    call = [*within, "hyperfine", "--shell", "none", "--style", "none", "--warmup", str(warmup),
            "--runs", str(runs), "--export-json", str(out)]
    if prepare:
        call += ["--prepare", shlex.join(map(str, prepare))]
    done = subprocess.run([*call, shlex.join(map(str, argv))], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Missing(said(done.stderr))
    return json.loads(out.read_text())["results"][0]


def in_turn(what, commands, kind, prepare=None, rounds=None, within=None):
    """Time `commands`, NAME: ARGV, round by round; `prepare` has the command before each run of
    NAME, `within` says where it is played. Who cannot is in the second answer, with the reason."""
    def before(name):
        return prepare(name) if prepare else None

    def where(name):
        return within.get(name, ()) if within else ()

    times, missing, runs, warmups = {}, {}, {}, {}
    for name, argv in commands.items():
        progress(f"{what}: a first run of {name}")
        try:
            first = hyperfine(argv, 1, 0, before(name), where(name))
        except Missing as why:
            missing[name] = str(why)
            continue
        times[name] = Times()
        if kind == "quick" and first["median"] > ONCE:
            times[name].add(first)
            continue
        runs[name] = max(1, min(MOST, int(SPENT[kind] / first["median"])))
        warmups[name] = int(first["median"] < SLOW)
    rounds = rounds or ROUNDS[kind]
    for turn in range(rounds):
        for name in runs:
            progress(f"{what}: round {turn + 1} of {rounds}: {name}")
            times[name].add(
                hyperfine(commands[name], runs[name], warmups[name], before(name), where(name)))
    return times, missing


def once(argv, **more):
    """How long a single run takes, in seconds."""
    start = time.monotonic()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **more)
    if done.returncode != 0:
        raise Missing(said(done.stderr))
    return time.monotonic() - start
