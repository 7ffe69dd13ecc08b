"""What is an OCI runtime told, so that it makes the same container as we do?

The engine describes each container as an OCI runtime configuration. The runtimes get that one, with
a folder instead of layers, the file system of cgroups, which the engine adds by itself, and the
options of mounts that it takes for granted.
"""

import json
from pathlib import Path

from room import ROOM, ROOT, Missing

PODMANS = Path("/usr/share/containers/seccomp.json")
FIXED = ["nosuid", "nodev", "noexec"]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def mounts(ours):
    """The engine's, as others want them."""
    found = []
    for mount in ours:
        kind, place = mount["type"], mount["destination"]
        if place == "/":
            continue
        options = [option for option in mount["options"] if option not in FIXED]
        if kind == "bind":
            # The container that it belongs to may have gone: the files of ours are in the room.
            mount = {**mount, "source": str(ROOT / place.strip("/"))}
            options += ["bind"]
        elif place == "/dev":
            options += ["nosuid", "strictatime"]
        elif place == "/dev/pts":
            options += ["nosuid", "noexec", "newinstance"]
        else:
            options += FIXED
        if place == "/sys":
            options += ["ro"]
        found.append({**mount, "options": options})
    group = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}
    return [*found, {**group, "options": [*FIXED, "relatime", "ro"]}]


def podmans_rules(capabilities, machine):
    """The profile of podman, which is Docker's, for these capabilities: what holds of it."""
    if not PODMANS.exists():
        raise Missing(f"there is no {PODMANS}")
    profile = json.loads(PODMANS.read_text())
    here = ARCHITECTURES.get(machine, machine)

    def holds(rule):
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        return (set(includes.get("caps", [])) <= capabilities
                and here in includes.get("arches", [here])
                and not set(excludes.get("caps", [])) & capabilities
                and here not in excludes.get("arches", []))

    keys = ("names", "action", "args", "errnoRet")
    rules = [rule for rule in profile["syscalls"] if holds(rule)]
    native = f"SCMP_ARCH_{machine.upper()}"
    of = [it for it in profile.get("archMap", []) if it["architecture"] == native]
    return {"defaultAction": profile["defaultAction"],
            "defaultErrnoRet": profile.get("defaultErrnoRet", 1),
            "architectures": [native, *(of[0]["subArchitectures"] if of else [])],
            "syscalls": [{key: rule[key] for key in keys if rule.get(key) is not None}
                         for rule in rules]}


def bundle(config, name, args, seccomp):
    """A folder that a runtime starts `args` from."""
    folder = ROOM / "bundles" / name
    folder.mkdir(parents=True, exist_ok=True)
    linux = {**config["linux"], "cgroupsPath": f"/{name}"}
    linux.pop("seccomp", None)
    if seccomp:
        linux["seccomp"] = seccomp
    made = {**config, "linux": linux, "mounts": mounts(config["mounts"]),
            "process": {**config["process"], "args": args},
            "root": {"path": str(ROOT), "readonly": False}}
    made.pop("annotations", None)
    # What runtimes of 2023 know. Nothing newer is used.
    made["ociVersion"] = "1.0.2"
    (folder / "config.json").write_text(json.dumps(made))
    return folder
