"""Who does the same work as we do, and how is each asked for it?"""

import json
import os
import platform
import shutil
import signal
import subprocess
from pathlib import Path

import oci
from room import ROOM, ROOT, TAR, Missing, groups, run, said, wait_for

ENGINE = [os.environ["ENGINE"], "--root", str(ROOM / "store")]
FLOOR = os.environ["FLOOR"]
OURS = "fakedocker"
READ_ONLY = f"{OURS}, read-only file"
PODMAN = ["podman", "--root", ROOM / "podman/store", "--runroot", ROOM / "podman/run",
          "--tmpdir", ROOM / "podman/tmp", "--network-config-dir", ROOM / "podman/networks",
          "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
DOCKER = ["docker", "--host", f"unix://{ROOM}/docker/socket"]
TRUE, LOOK, STAY = ["/bin/true"], ["/look"], ["/bin/sleep", "1000000"]


class Peer:
    """What starts a container: in front of us, and perhaps to stay."""

    def __init__(self, name, start, stay=None, join=None, end=None):
        self.name = name
        # ARGS, WHETHER IT LISTENS: the whole command.
        self.start = start
        # NAME: the commands that start one that stays, play `true` in it, and end it.
        self.stay, self.join, self.end = stay, join, end


def plain(name, *argv):
    return Peer(name, lambda args, _: [*argv, *args])


def engine(name, call, *flags, at_once=()):
    """One with Docker's command line; `at_once` tells it not to wait for who hears no SIGTERM."""
    def start(args, listens):
        return [*call, "run", "--rm", *(["-i"] if listens else []), *flags, "it", *args]
    return Peer(name, start,
                lambda it: [*call, "run", "-d", "--name", it, *flags, "it", *STAY],
                lambda it: [*call, "exec", it, *TRUE],
                lambda it: [*call, "rm", "-f", *at_once, it])


def runtime(name, program, config, seccomp):
    """An OCI runtime: it is told by a file what to start."""
    label = "".join(c if c.isalnum() else "-" for c in name)
    call = [program, "--root", str(ROOM / label)]

    def folder(it, args):
        return oci.bundle(config, it, args, seccomp)

    def start(args, _):
        it = f"{label}-{Path(args[0]).name}"
        return [*call, "run", "--bundle", folder(it, args), it]

    return Peer(name, start,
                lambda it: [*call, "run", "--detach", "--bundle", folder(it, STAY), it],
                lambda it: [*call, "exec", it, *TRUE],
                lambda it: [*call, "delete", "--force", it])


def read_only(program):
    """The same program where nobody can write to it: there it need not start itself once more
    to be safe from containers."""
    place = ROOM / "read-only"
    place.mkdir()
    shutil.copy(program, place)
    run(["mount", "--bind", place, place])
    run(["mount", "-o", "remount,bind,ro", place])
    return str(place / Path(program).name)


def ours():
    """Our own image, and what the engine says of a container of it."""
    run([*ENGINE, "import", TAR, "it"])
    return [engine(OURS, ENGINE, "--network", "none"),
            engine(READ_ONLY, [read_only(ENGINE[0]), *ENGINE[1:]], "--network", "none"),
            engine(f"{OURS}, no seccomp", ENGINE, "--network", "none",
                   "--security-opt", "seccomp=unconfined"),
            engine(f"{OURS}, bridge", ENGINE)]


def description():
    run([*ENGINE, "create", "--network", "none", "--name", "described", "it", *TRUE])
    file = next((ROOM / "store/containers").glob("*/config.json"))
    config = json.loads(file.read_text())
    run([*ENGINE, "rm", "described"])
    return config


def runtimes(config):
    """Each with no filter, with ours, and with podman's profile, which holds for three kinds of
    programs (x86_64, x86 and x32) where ours holds for one."""
    bounding = set(config["process"]["capabilities"]["bounding"])
    found = []
    for program in ("crun", "runc"):
        found += [runtime(program, program, config, None),
                  runtime(f"{program}, seccomp", program, config, config["linux"]["seccomp"])]
        if oci.PODMANS.exists():
            rules = oci.podmans_rules(bounding, platform.machine())
            found.append(runtime(f"{program}, podman's profile", program, config, rules))
    return found


def podman():
    run([*PODMAN, "import", TAR, "it"])
    private = ["--cgroupns", "private"]
    return [engine("podman", PODMAN, "--network", "none", *private, at_once=["--time", "0"]),
            engine("podman, bridge", PODMAN, *private)]


class Docker:
    """Docker's engine, which is a daemon: ours, with all that it has in our room."""

    def __init__(self):
        self.daemon = None

    def peers(self):
        if not shutil.which("dockerd"):
            raise Missing(os.environ.get("DOCKER_IS_MISSING") or "there is no dockerd")
        room = ROOM / "docker"
        room.mkdir()
        log = (room / "log").open("w")
        # It has a network of its own here; rules for the world are not what is measured.
        self.daemon = subprocess.Popen(
            ["dockerd", "--data-root", room / "data", "--exec-root", room / "exec",
             "--pidfile", room / "pid", "--host", f"unix://{room}/socket",
             "--iptables=false", "--ip6tables=false"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "HOME": str(room)})
        wait_for(self.answers, "dockerd does not answer")
        run([*DOCKER, "import", TAR, "it"])
        private = ["--cgroupns", "private"]
        return [engine("docker", DOCKER, "--network", "none", *private),
                engine("docker, bridge", DOCKER, *private)]

    def answers(self):
        if self.daemon.poll() is not None:
            raise Missing("dockerd ends: " + said((ROOM / "docker/log").read_text()))
        try:
            run([*DOCKER, "version"])
        except Missing:
            return False
        return True

    def end(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(20)
            except subprocess.TimeoutExpired:
                self.daemon.kill()


def all_peers(docker):
    """NAME: PEER of all that can be here, and NAME: REASON of the others."""
    (ROOM / "floor").mkdir()
    bind = ["--bind", str(ROOT), "/", "--proc", "/proc", "--dev", "/dev"]
    found = [Peer("fork and exec", lambda args, _: [f"{ROOT}{args[0]}", *args[1:]]),
             plain("floor", FLOOR, ROOT, ROOM / "floor", ":".join(groups())),
             Peer("unshare", lambda args, _: ["unshare", "-muinpf", "--mount-proc",
                                              f"{ROOT}{args[0]}", *args[1:]]),
             plain("bwrap", "bwrap", "--unshare-all", *bind), *ours()]
    missing = {}
    more = {"crun and runc": lambda: runtimes(description()), "podman": podman,
            "docker": docker.peers}
    for name, make in more.items():
        try:
            found += make()
        except Missing as why:
            missing[name] = str(why)
    return {peer.name: peer for peer in found}, missing
