"""How fast does an image come: from a tarball, from a registry?"""

import os
import subprocess
import urllib.request

from hyper import in_turn
from peers import DOCKER, ENGINE, PODMAN
from room import ROOM, Missing, progress, run, wait_for

PLACE = "127.0.0.1:5000"
NAME = f"{PLACE}/debian:latest"
CONFIG = """version: 0.1
storage: {{filesystem: {{rootdirectory: {room}/registry}}}}
http: {{addr: "{place}"}}
"""
# One run each a round: they take long enough.
ROUNDS = {"quick": 3, "complete": 8}


def empty(*folders):
    """The command that empties them."""
    return ["find", *folders, "-mindepth", "1", "-delete"]


def layers():
    """The tarball of a Debian root file system, plain and by gzip, in memory."""
    plain = ROOM / "layer.tar"
    if not plain.exists():
        progress("images: packing a layer")
        run(["cp", os.environ["LAYER"], plain])
        run(["gzip", "-1", "--keep", plain])
    return plain, ROOM / "layer.tar.gz"


def others():
    """How the engines are called that keep images of their own, and are there."""
    return {"podman": PODMAN} | ({"docker": DOCKER} if (ROOM / "docker/socket").exists() else {})


def forget(call, image):
    """The command that lets an engine forget an image, if it has it."""
    words = " ".join(str(part) for part in [*call, "rmi", "-f", image])
    return ["sh", "-c", f"{words} > /dev/null 2>&1 || true"]


def bring(report, kind):
    """tar(1), what a pull does with a layer, and the whole command, which also keeps the tarball,
    sums it up, and makes an image of it. What others do: cp(1), and two more engines."""
    to, store = ROOM / "unpacked", ROOM / "imported"
    to.mkdir()
    store.mkdir()
    plain, _ = layers()
    commands = {"cp, plain": ["cp", plain, to]}
    engines = {f"{name} import, plain": call for name, call in others().items()}
    commands |= {name: [*call, "import", plain, "it"] for name, call in engines.items()}
    for name, layer in zip(("plain", "gzip"), layers()):
        commands |= {f"tar, {name}": ["tar", "-xf", layer, "-C", to],
                     f"unpack, {name}": [os.environ["UNPACK"], layer, to],
                     f"import, {name}": [ENGINE[0], "--root", store, "import", layer, "it"]}

    def before(name):
        return forget(engines[name], "it") if name in engines else empty(to, store)

    times, missing = in_turn("import", commands, kind, before, ROUNDS[kind])
    report.times("A Debian root file system from a tarball", "import", times, missing,
                 "tar, plain")
    run(empty(to, store))


def serve():
    """Debian's registry, with that image in it."""
    config = ROOM / "registry.yml"
    config.write_text(CONFIG.format(room=ROOM, place=PLACE))
    with (ROOM / "registry.log").open("w") as log:
        served = subprocess.Popen(["docker-registry", "serve", config],
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wait_for(answers, "docker-registry does not answer")
    store = ["--root", str(ROOM / "pushed")]
    run([ENGINE[0], *store, "import", ROOM / "layer.tar.gz", NAME])
    run([ENGINE[0], *store, "push", NAME])
    return served


def answers():
    try:
        return urllib.request.urlopen(f"http://{PLACE}/v2/").status == 200
    except OSError:
        return False


def pull(report, kind):
    """skopeo copies what is packed; all others unpack it as well."""
    to = ROOM / "pulled"
    to.mkdir()
    engine = [ENGINE[0], "--root", to / "store"]
    engines = others()
    insecure = {"podman": ["--tls-verify=false"]}
    commands = {
        "fakedocker": [*engine, "pull", "--quiet", NAME],
        "skopeo": ["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{NAME}",
                   f"oci:{to}/layout:it"],
    }
    commands |= {name: [*call, "pull", "--quiet", *insecure.get(name, ()), NAME]
                 for name, call in engines.items()}

    def before(name):
        return forget(engines[name], NAME) if name in engines else empty(to)

    try:
        served = serve()
    except Missing as why:
        report.say(f"not measured: pull: {why}")
        return
    times, missing = in_turn("pull", commands, kind, before, ROUNDS[kind])
    served.terminate()
    served.wait()
    report.times("A pull of it from a registry on this machine", "pull", times, missing, "skopeo")
