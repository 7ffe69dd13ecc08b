"""How does a run look as a picture?

Bars of medians, on a logarithmic scale where one is a thousand times another, with a line over the
half of all runs in the middle. The picture brings its own dark ground, as those of the lessons do,
so that it can be read on a page of any colour.
"""

from math import log10
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, LINE = 900, 230, 160, 22
GROUND, FRAME, TEXT, PALE = "#14171c", "#4a5160", "#d5d9e0", "#949cab"
OURS, PEERS, SPREAD = "#7ed491", "#5f8fd0", "#e9c46a"
# Which figures, what they are, and whose are one.
PANELS = [("start", "From start to exit, no network", "floor"),
          ("bridge", "From start to exit, with a place at a bridge", "podman, bridge"),
          ("beside", "The same, while another container is at the bridge", "podman, bridge"),
          ("exec", "exec into a running container", "nsenter"),
          ("import", "A root file system of Debian from a tarball", "tar, plain"),
          ("pull", "A pull of it from a registry on this machine", "skopeo"),
          ("version", "Until a program begins", "fork and exec")]


class Picture:
    """What has been drawn so far, from the top."""

    def __init__(self):
        self.parts = []
        self.y = 20

    def text(self, x, y, words, colour=TEXT, anchor="start", weight="normal"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" '
                          f'font-weight="{weight}">{escape(words)}</text>')

    def line(self, x1, y1, x2, y2, colour, width=1):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{colour}" stroke-width="{width}"/>')

    def title(self, words):
        self.y += LINE * 1.4
        self.text(20, self.y, words, weight="bold")
        self.y += LINE * 0.5

    def svg(self):
        height = self.y + 24
        style = 'font-family="ui-monospace,Menlo,Consolas,monospace" font-size="13"'
        frame = (f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="8" '
                 f'fill="{GROUND}" stroke="{FRAME}"/>')
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
                f'viewBox="0 0 {WIDTH} {height:.0f}" role="img" {style}>'
                "<title>A run of scripts/bench</title>")
        return "\n".join([head, frame, *self.parts, "</svg>", ""])


def scale(low, high):
    """Where a time is on the paper: logarithmic, from below the least."""
    low, high = log10(low * 0.7), log10(high * 1.1)
    room = WIDTH - LEFT - RIGHT
    return lambda value: LEFT + room * (log10(value) - low) / (high - low)


def bars(picture, title, table, base):
    """A bar for each, the fastest first, and how many times as long as `base` it takes."""
    picture.title(f"{title} (ms, of {base})")
    one = table.get(base)
    at = scale(min(it["p5"] for it in table.values()), max(it["p75"] for it in table.values()))
    for name, it in sorted(table.items(), key=lambda pair: pair[1]["median"]):
        picture.y += LINE
        y = picture.y
        colour = OURS if name.startswith(("fakedocker", "import", "unpack")) else PEERS
        picture.text(LEFT - 10, y, name, anchor="end")
        picture.parts.append(f'<rect x="{LEFT}" y="{y - 12:.1f}" height="14" fill="{colour}" '
                             f'width="{max(1, at(it["median"]) - LEFT):.1f}"/>')
        picture.line(at(it["p25"]), y - 5, at(it["p75"]), y - 5, SPREAD, 3)
        times = f"   {it['median'] / one['median']:.2f}" if one else ""
        picture.text(max(at(it["median"]), at(it["p75"])) + 8, y,
                     f"{it['median'] * 1000:.2f}{times}", PALE)


def weights(picture, table):
    picture.title("Memory of a running container, beyond the user's process (KiB)")
    most = max(table.values()) or 1
    for name, size in sorted(table.items(), key=lambda pair: pair[1]):
        picture.y += LINE
        width = max(1, (WIDTH - LEFT - RIGHT) * size / most)
        colour = OURS if name == "fakedocker" else PEERS
        picture.text(LEFT - 10, picture.y, name, anchor="end")
        picture.parts.append(f'<rect x="{LEFT}" y="{picture.y - 12:.1f}" height="14" '
                             f'width="{width:.1f}" fill="{colour}"/>')
        picture.text(LEFT + width + 8, picture.y, f"{size:.0f}", PALE)


def crowd(picture, table):
    """Lines: times of the floor, against how many run already."""
    picture.title("With so many running already: a start (green) and ps, of the floor")
    top, height = picture.y + 14, 150
    counts = sorted(table)
    ratios = {name: [table[count][name]["median"] / table[count]["floor"]["median"]
                     for count in counts] for name in ("fakedocker", "ps")}
    most = max(max(values) for values in ratios.values()) * 1.15
    x = scale(counts[0], counts[-1])
    for count in counts:
        picture.text(x(count), top + height + 18, str(count), PALE, "middle")
    picture.line(LEFT, top + height, WIDTH - RIGHT, top + height, FRAME)
    for name, colour in (("fakedocker", OURS), ("ps", PEERS)):
        points = [(x(count), top + height * (1 - value / most))
                  for count, value in zip(counts, ratios[name])]
        for (x1, y1), (x2, y2) in zip(points, points[1:]):
            picture.line(x1, y1, x2, y2, colour, 2)
        for (px, py), value in zip(points, ratios[name]):
            picture.parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"/>')
            picture.text(px, py - 7, f"{value:.1f}", PALE, "middle")
    picture.y = top + height + 22


def draw(figures, path):
    """The whole picture of a run."""
    picture = Picture()
    picture.text(20, picture.y + 10, "Medians, on logarithmic scales, and half of all runs (yellow)",
                 PALE)
    picture.y += 10
    for key, title, base in PANELS:
        if figures.get(key):
            bars(picture, title, figures[key], base)
    if figures.get("memory"):
        weights(picture, figures["memory"])
    if len(figures.get("crowd", {})) > 1:
        crowd(picture, figures["crowd"])
    path.write_text(picture.svg())
