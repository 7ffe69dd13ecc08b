"""How is what was measured shown?

As tables on a terminal, in a file of text and in one of JSON, from which plot.py draws.
"""

import json
import sys

from room import progress


class Report:
    """All that is told, and the figures behind it."""

    def __init__(self):
        self.lines = []
        self.lacks = {}
        self.figures = {}

    def say(self, line=""):
        progress("")
        print(line, flush=True)
        self.lines.append(line)

    def title(self, text):
        if self.lines:
            self.say()
        self.say(f"== {text}")

    def table(self, title, head, rows, left=(0,)):
        """Columns as wide as they have to be."""
        self.title(title)
        rows = [[str(cell) for cell in row] for row in rows]
        widths = [max(len(cell) for cell in column) for column in zip(head, *rows)]
        for row in [head, *rows]:
            cells = [cell.ljust(width) if at in left else cell.rjust(width)
                     for at, (cell, width) in enumerate(zip(row, widths))]
            self.say("  ".join(cells).rstrip())

    def times(self, title, key, times, missing, base, ours=None):
        """Medians, spread and ratios; `base` is one, and so is `ours`."""
        self.figures[key] = {name: it.to_json() for name, it in times.items()}
        head = ["", "median", "half of them", "fastest", "cpu", f"of {base}"]
        head += [f"of {ours}"] if ours else []
        rows = []
        for name, it in sorted(times.items(), key=lambda pair: pair[1].median):
            cpu = it.to_json()["cpu"]
            row = [name, ms(it.median), f"{ms(it.at(0.25))} - {ms(it.at(0.75))}",
                   ms(it.at(0.05)), ms(cpu), ratio(it, times.get(base))]
            rows.append(row + ([ratio(it, times.get(ours))] if ours else []))
        self.table(f"{title} (ms)", head, rows)
        for name, why in missing.items():
            self.say(f"not measured: {name}: {why}")

    def write(self, folder):
        """Both files, beside each other."""
        text = "\n".join(self.lines) + "\n"
        (folder / "run.txt").write_text(text)
        (folder / "run.json").write_text(json.dumps(self.figures, indent=1) + "\n")


def ms(seconds):
    return f"{seconds * 1000:.2f}"


def ratio(times, base):
    return f"{times.median / base.median:.2f}" if base else "-"


def fail(what, hint):
    progress("")
    print(f"error: {what}\nhint: {hint}", file=sys.stderr)
    sys.exit(1)
