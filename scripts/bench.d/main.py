"""In what order is measured, and what is kept of it?

scripts/bench starts this where it is alone (apart.py), and has told by the environment where the
programs are that are measured.
"""

import os
import signal
import sys
from pathlib import Path

import builds
import containers
import costs
import images
import machine
import plot
import proof
import scale
import targets
from peers import Docker, all_peers
from report import Report, fail
from room import busy_children, make_root


# The targets that a quick run does not measure.
LEFT_OUT = {"quick": {"workspace"}, "complete": set()}


def measure(report, kind, docker):
    """All tables, one after the other. Returns the targets that were not measured."""
    make_root()
    machine.describe(report, kind)
    peers, missing = all_peers(docker)
    unable = proof.prove(report, peers)
    for name, why in {**missing, **unable}.items():
        report.say(f"not here: {name}: {why}")
    able = {name: peer for name, peer in peers.items() if name not in unable}
    containers.start(report, kind, able)
    containers.join(report, kind, able)
    scale.memory(report, able)
    scale.crowd(report, kind)
    images.bring(report, kind)
    images.pull(report, kind)
    builds.program(report, kind)
    builds.clean(report, kind)
    costs.show(report, able)
    return targets.show(report)


def main(kind, save):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    report, docker = Report(), Docker()
    try:
        unknown = set(measure(report, kind, docker)) - LEFT_OUT[kind]
        folder = Path("benches") if save else Path(os.environ["KEPT"])
        report.write(folder)
        plot.draw(report.figures, folder / "run.svg")
        report.say()
        report.say(f"kept: {folder}/run.txt, run.json, run.svg")
        if unknown:
            fail(f"not measured: {', '.join(sorted(unknown))}", "the reasons are above")
    finally:
        docker.end()
        busy_children()


if __name__ == "__main__":
    try:
        main("quick" if "--quick" in sys.argv else "complete", "--save" in sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)
