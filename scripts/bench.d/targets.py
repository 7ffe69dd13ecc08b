"""Which targets are met, by how much, and if not, why?"""

from containers import KERNEL
from peers import OURS, READ_ONLY

# What repeats differ by: below that, it is called the same.
SAME = 1.2
# How many reasons are told of a start that is late.
REASONS = 6
# Who does most of what we do.
LIKE_OURS = "crun, seccomp"


class Targets:
    """The rows of the last table, and the figures that they are made from."""

    def __init__(self, figures):
        self.figures = figures
        self.rows, self.missed, self.unknown = [], [], []

    def at_most(self, key, what, most, measured, unit=""):
        """One row. None is what this run has not measured."""
        row = [what, f"<= {most}{unit}"]
        if measured is None:
            self.rows.append([*row, "-", "not measured"])
            self.unknown.append(key)
            return
        met = measured <= most
        self.rows.append([*row, f"{measured:.2f}{unit}", "met" if met else "NOT MET"])
        if not met and key not in self.missed:
            self.missed.append(key)

    def ratio(self, key, ours, others):
        """Of medians that were measured in one table."""
        table = self.figures.get(key, {})
        if ours not in table or others not in table:
            return None
        return table[ours]["median"] / table[others]["median"]

    def crowd(self, name, count):
        """What `name` took with so many running, for the floor that was timed beside it."""
        found = self.figures.get("crowd", {}).get(count)
        return found and found[name]["median"] / found["floor"]["median"]

    def late(self):
        """A start with 200 running, for one with one."""
        one, many = self.crowd(OURS, 1), self.crowd(OURS, 200)
        return many / one if one and many else None

    def listed(self):
        """What each of the last 150 adds to `ps`, for what each of the first 50 adds."""
        one, fifty, many = (self.crowd("ps", count) for count in (1, 50, 200))
        if not (one and fifty and many) or fifty <= one:
            return None
        return (many - fifty) / 150 / ((fifty - one) / 49)


def show(report):
    """The last table of a run. Returns what could not be measured."""
    it, figures = Targets(report.figures), report.figures
    bridge = f"{OURS}, bridge"
    it.at_most("start", "start, of crun's without seccomp", 0.8, it.ratio("start", OURS, "crun"))
    it.at_most("start", "start, of the floor's", 2.7, it.ratio("start", OURS, "floor"))
    it.at_most("bridge", "start with a bridge, of podman's", 0.05,
               it.ratio("bridge", bridge, "podman, bridge"))
    it.at_most("beside", "the same, beside another", 0.05,
               it.ratio("beside", bridge, "podman, bridge"))
    it.at_most("memory", "memory of a running container", 1024,
               figures.get("memory", {}).get(OURS), " KiB")
    it.at_most("crowd", "start with 200 running, of that with 1", SAME, it.late())
    it.at_most("crowd", "ps: each from 50 to 200, of each to 50", SAME, it.listed())
    it.at_most("import", "import, of tar -x", 1.0,
               it.ratio("import", "import, plain", "tar, plain"))
    it.at_most("import", "import by gzip, of tar -x", 1.0,
               it.ratio("import", "import, gzip", "tar, gzip"))
    builds = figures.get("build", {})
    it.at_most("uts", "cargo build -p uts", 20, builds.get("uts"), " s")
    it.at_most("workspace", "cargo build --workspace", 90, builds.get("workspace"), " s")
    report.table("Targets", ["", "target", "measured", ""], it.rows, left=(0, 1, 3))
    for key in it.missed:
        explain(report, it, key)
    return it.unknown


def explain(report, it, key):
    """Who has to pay for what is late: the kernel, which others pay as well, or we."""
    costs = it.figures.get("costs", {}).get(key)
    report.say()
    if costs:
        beside = {"start": "the floor", "bridge": "a start without network"}[key]
        report.say(f"why it is late, {key}: the calls that cost most beyond {beside} (ms)")
        for kind, ours, base in sorted(costs, key=lambda cost: cost[2] - cost[1])[:REASONS]:
            report.say(f"  {ours * 1000:8.3f}  there {base * 1000:8.3f}  {kind}")
        if key == "bridge":
            links_alone(report, it, key, "a bridge and a cable")
        again = it.ratio("start", READ_ONLY, OURS)
        if key == "start" and again:
            report.say(f"  from a file that cannot be written it takes {again:.2f} of its time: "
                       "the rest is to start itself once more, safe from containers")
            dear = sorted(costs, key=lambda cost: -cost[2])[:3]
            paid = ", ".join(f"{kind} {base * 1000:.3f}" for kind, _, base in dear)
            report.say(f"  the floor itself pays most for: {paid}")
            like_crun(report, it)
    elif key == "beside":
        links_alone(report, it, key, "a cable")
    elif key == "import":
        for name in ("plain", "gzip"):
            part = it.ratio("import", f"unpack, {name}", f"tar, {name}")
            whole = it.ratio("import", f"import, {name}", f"tar, {name}")
            if part and whole:
                report.say(f"why it is late, import, {name}: unpacking and summing up take "
                           f"{part:.2f} of tar's time, keeping a copy {whole - part:.2f}")
        paid = {name: it.ratio("import", f"{name}, plain", "tar, plain")
                for name in ("cp", "docker import", "podman import")}
        paid = ", ".join(f"{name} takes {time:.2f}" for name, time in paid.items() if time)
        report.say(f"  who keeps a copy pays for it: of tar's time, {paid}")
    elif key == "crowd":
        one, many = (it.figures["crowd"][count][OURS]["median"] for count in (1, 200))
        report.say(f"why it is late, crowd: each container that is there adds "
                   f"{(many - one) / 199 * 1000:.3f} ms: it is asked whether whoever keeps it lives")
    elif key in ("uts", "workspace"):
        report.say(f"why it is late, {key}: see cargo build --timings, and how busy the machine was")
    else:
        report.say(f"why it is late, {key}: see the table above")


def like_crun(report, it):
    """What crun does for the same container, but for its layers."""
    theirs, ours = (it.figures.get("work", {}).get(name) for name in (LIKE_OURS, OURS))
    of_ours = it.ratio("start", LIKE_OURS, OURS)
    if theirs and ours and of_ours:
        count = [f"{their} {what} where we have {our}" for what, their, our in
                 zip(("programs", "calls", "page faults"), theirs, ours)]
        report.say(f"  crun with the same filter, and no layers, has {', '.join(count)}; "
                   f"it takes {of_ours:.2f} of our time")


def links_alone(report, it, key, links):
    """What is left of the target when the kernel has done its part."""
    of_podmans, of_ours = (it.ratio(key, KERNEL, f"{name}, bridge") for name in ("podman", OURS))
    if of_podmans and of_ours:
        report.say(f"why it is late, {key}: ip(8) makes and removes {links} in {of_podmans:.2f} of "
                   f"podman's time, {of_ours:.2f} of ours: whoever removes a link waits until no "
                   "processor can use it any more")
