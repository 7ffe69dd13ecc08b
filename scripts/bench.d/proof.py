"""Did each peer really do the same work?

Each starts a process that says what it sees, and waits: meanwhile it is looked at from outside,
too, because only there its groups have names. Who does less than we do is marked with what it lacks.
"""

import os
import subprocess
from pathlib import Path

from peers import LOOK, OURS
from room import PATIENCE, Missing, progress, said

NAMES = {"uts": "u", "ipc": "i", "pid": "p", "mnt": "m", "net": "n", "cgroup": "c"}


class Sight:
    """What one started process is."""

    def __init__(self, lines, groups):
        fields = [line.split() for line in lines]
        spaces = {words[1] for words in fields if words[0] == "ns"}
        here = {os.readlink(f"/proc/self/ns/{name}") for name in NAMES}
        self.namespaces = {space.split(":")[0] for space in spaces - here}
        said_of = {words[0].rstrip(":"): words[1] for words in fields if len(words) > 1}
        self.mounts, self.root = int(said_of["mounts"]), said_of.get("root", "?")
        self.capabilities = bin(int(said_of["CapEff"], 16)).count("1")
        self.no_new_privs = said_of["NoNewPrivs"] == "1"
        self.filters = int(said_of.get("Seccomp_filters", said_of["Seccomp"]))
        self.groups = groups

    def row(self):
        spaces = "".join(letter if name in self.namespaces else "-"
                         for name, letter in NAMES.items())
        return [spaces, str(self.mounts), self.root, str(self.groups), str(self.capabilities),
                "yes" if self.no_new_privs else "no", str(self.filters)]

    def lacks(self, ours):
        """What it does less than we do."""
        shared = [name for name in NAMES if name in ours.namespaces - self.namespaces]
        found = [f"shares {', '.join(shared)}"] if shared else []
        if self.root != "overlay" and ours.root == "overlay":
            found.append("no layers")
        if self.mounts < ours.mounts and "mnt" not in shared:
            found.append(f"{ours.mounts - self.mounts} mounts less")
        if self.groups < ours.groups:
            found.append("no groups" if self.groups == 0 else "fewer groups")
        if self.capabilities > ours.capabilities:
            found.append("more capabilities")
        if ours.no_new_privs and not self.no_new_privs:
            found.append("no no_new_privs")
        if ours.filters and not self.filters:
            found.append("no seccomp")
        return ", ".join(found)


def groups_of(pid):
    """In how many hierarchies it is elsewhere than we are."""
    own = Path("/proc/self/cgroup").read_text().splitlines()
    its = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    named = [line for line in set(its) - set(own) if ":name=" not in line]
    return len(named)


def in_namespace(space):
    """The processes in that PID namespace, seen from here."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "ns/pid") == space:
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def look(peer):
    """Start a process by this peer, and see what it is."""
    child = subprocess.Popen([str(part) for part in peer.start(LOOK, True)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    lines = []
    for line in child.stdout:
        if line.strip() == "end":
            break
        lines.append(line.strip())
    else:
        raise Missing(said(child.communicate(timeout=PATIENCE)[1]))
    space = next(line.split()[1] for line in lines if line.startswith("ns pid"))
    inside = [child.pid] if space == os.readlink("/proc/self/ns/pid") else in_namespace(space)
    groups = max(map(groups_of, inside), default=0)
    child.communicate("\n", timeout=PATIENCE)
    return Sight(lines, groups)


def prove(report, peers):
    """The table; who cannot start is left out of all that follows."""
    sights, missing = {}, {}
    for peer in peers.values():
        progress(f"what does {peer.name} make?")
        try:
            sights[peer.name] = look(peer)
        except Missing as why:
            missing[peer.name] = str(why)
    ours = sights.get(OURS)
    rows = []
    for name, sight in sights.items():
        lacks = sight.lacks(ours) if ours else "?"
        report.lacks[name] = lacks
        rows.append([name, *sight.row(), lacks or "-"])
    head = ["", "ns", "mounts", "root", "groups", "caps", "nnp", "filters", "less than we do"]
    report.table("What each makes", head, rows, left=(0, 1, 3, 8))
    return missing
