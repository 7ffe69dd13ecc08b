//! Is a container's root nobody in particular outside?
//!
//! With `--userns` it is root of what is its own, and of nothing else.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::{Child, Command};

use nix::sys::signal::Signal;

use super::flags::unpack;
use super::killing::await_noted;
use crate::support::engine::{Ending, Engine, Folder, Store};
use crate::support::machine::{Machine, undisturbed};
use crate::support::processes::{self, Process, await_one};
use crate::support::rootfs::{busybox, debian};
use crate::support::skip::skip;

const FIRST: u32 = 700_000;
const FLAGS: [&str; 2] = ["--userns", "700000:65536"];

fn run(store: &Store, args: &[&str]) -> Ending {
    store.run(&[&FLAGS, args].concat()).end()
}

/// A container called `box` that runs until it is ended, and its first process.
fn endless(store: &Store, image: &str) -> (Child, Process) {
    let run = ["run", "--rm", "--name", "box", "-e", processes::MARK];
    let tail = ["--network", "none", image, "tail", "-f", "/dev/null"];
    let child = store.engine(&[&run[..], &FLAGS, &tail].concat()).start();
    let is_first = |it: &Process| it.name == "tail" && it.is_number_one();
    (child, await_one("tail", is_first))
}

/// Why no container can have users of its own here, if that is so: its files would have to show
/// other owners, which overlayfs can since Linux 5.19, but not every file system below it. Where
/// all is on one that can, a refusal is a fault of ours, and nothing is skipped.
pub fn impossible() -> Option<String> {
    let kinds = Command::new("stat").args(["-fc", "%T", "/", "/var/tmp"]).output();
    let kinds = String::from_utf8(kinds.expect("stat is there").stdout).expect("text");
    if kinds.lines().all(|kind| ["ext2/ext3", "xfs", "btrfs"].contains(&kind)) {
        return None;
    }
    let ending = run(&Store::new(), &["host", "true"]);
    let why = ending.err.lines().find(|line| line.contains("cannot show other owners"));
    why.map(|line| line.trim_start_matches("hint: ").to_string())
}

/// Play `scene`, or say why it cannot be played here.
fn with_own_users(test: &str, scene: impl FnOnce()) {
    undisturbed(|| match impossible() {
        Some(why) => skip(&format!("engine::userns::{test}"), why),
        None => scene(),
    });
}

#[test]
fn root_owns_the_image_and_can_give_it_away() {
    with_own_users("root_owns_the_image_and_can_give_it_away", || {
        let store = Store::with("debian", &debian());
        let script = "id; stat -c %u:%g / /etc /etc/shadow /usr/bin/passwd; cat /etc/shadow > /x;
            chown 33:33 /x /usr/bin/passwd; stat -c %u:%g /x /usr/bin/passwd; dpkg -V;
            rm -r /etc/apt; mkdir -p /etc/apt/new; ls /etc/apt; su -s /bin/sh -c id www-data";
        let ending = run(&store, &["debian", "bash", "-c", script]);
        let root = "uid=0(root) gid=0(root) groups=0(root)\n";
        let www = "uid=33(www-data) gid=33(www-data) groups=33(www-data)\n";
        let shadow = "0:0\n0:0\n0:42\n0:0\n33:33\n33:33\n";
        let said = &ending.assert_status(0).out;
        assert!(said.starts_with(&format!("{root}{shadow}")), "{ending:?}");
        assert!(said.ends_with(&format!("new\n{www}")), "{ending:?}");
        // What it has done to its image, others do not see.
        let again = run(&store, &["debian", "stat", "-c", "%u:%g", "/usr/bin/passwd"]);
        assert_eq!(again.assert_status(0).assert_quiet().out, "0:0\n");
        let without = store.run(&["debian", "stat", "-c", "%u:%g", "/usr/bin/passwd"]);
        assert_eq!(without.end().assert_status(0).out, "0:0\n");
        store.assert_no_container();
    });
}

#[test]
fn every_kind_of_image_has_all_that_it_had() {
    with_own_users("every_kind_of_image_has_all_that_it_had", || {
        let (store, folder) = (Store::with("busybox", &busybox()), Folder::new("rootfs"));
        unpack(folder.path());
        let rootfs = folder.path().display().to_string();
        let script = "echo $$ $(id -u) $(cat /proc/sys/kernel/hostname | wc -l);
            echo x > /dev/null && head -c 1 /dev/zero | wc -c; ls -d /dev/pts/ptmx;
            echo shared > /dev/shm/x && cat /dev/shm/x; ls -d /sys/class/net/lo /dev/mqueue;
            ls /sys/fs/cgroup; mount -t tmpfs x /sys/firmware && echo mounted";
        let expected = "1 0 1\n1\n/dev/pts/ptmx\nshared\n";
        for network in ["none", "host", "bridge"] {
            let images: [&[&str]; 3] = [&["host"], &["busybox"], &["--rootfs", &rootfs]];
            for image in images {
                let flags =
                    [&["--network", network], image, &["sh", "-c", script]].concat();
                let ending = run(&store, &flags);
                assert!(
                    ending.out.starts_with(expected),
                    "{network} {image:?} {ending:?}"
                );
                assert!(ending.out.contains("/sys/class/net/lo"), "{ending:?}");
            }
        }
        let read_only = run(&store, &["--read-only", "busybox", "touch", "/new"]);
        assert!(read_only.err.contains("Read-only file system"), "{read_only:?}");
        assert_eq!(run(&store, &["busybox", "sh", "-c", "exit 9"]).status, Some(9));
        run(&store, &["busybox", "no-such-command"])
            .assert_status(127)
            .assert_one_error();
        run(&store, &["busybox", "/etc"]).assert_status(126).assert_one_error();
    });
}

#[test]
fn outside_it_is_somebody_else() {
    with_own_users("outside_it_is_somebody_else", || {
        let (store, folder) = (Store::with("busybox", &busybox()), Folder::new("volume"));
        let hosts = folder.write("hosts", "the host's\n");
        fs::set_permissions(&hosts, Permissions::from_mode(0o600)).expect("it is ours");
        fs::create_dir(folder.path().join("own")).expect("it is ours");
        chown(folder.path().join("own"), Some(FIRST), Some(FIRST)).expect("we are root");
        let volume = format!("{}:/v", folder.path().display());
        let script = "stat -c %u /v/hosts /v/own; touch /v/own/new; chown 33:34 /v/own/new;
            touch /v/own/mine; cat /v/hosts; echo x > /v/hosts; rm -f /v/hosts; touch /v/new;
            chown 0 /v/hosts; mknod /v/own/disk b 8 0; mount -o remount,dev,suid /v";
        let ending = run(&store, &["-v", &volume, "busybox", "sh", "-c", script]);
        assert_eq!(ending.out, "65534\n0\n");
        assert_eq!(ending.err.lines().count(), 7, "{ending:?}");
        let owner = |name: &str| {
            let about = fs::metadata(folder.path().join(name)).expect("it is there");
            (about.uid(), about.gid())
        };
        assert_eq!(owner("own/mine"), (FIRST, FIRST));
        assert_eq!(owner("own/new"), (FIRST + 33, FIRST + 34));
        assert_eq!(owner("hosts"), (0, 0));
        assert_eq!(fs::read_to_string(&hosts).expect("we are root"), "the host's\n");
    });
}

/// A folder on the way that only the host's root may enter is no hindrance.
#[test]
fn a_volume_may_lie_behind_a_closed_door() {
    with_own_users("a_volume_may_lie_behind_a_closed_door", || {
        let (store, folder) = (Store::with("busybox", &busybox()), Folder::new("closed"));
        fs::create_dir(folder.path().join("in")).expect("it is ours");
        folder.write("in/file", "inside\n");
        let closed = Permissions::from_mode(0o700);
        fs::set_permissions(folder.path(), closed).expect("it is ours");
        for (source, target) in [("in", "/v:ro"), ("in/file", "/v/file")] {
            let volume = format!("{}:{target}", folder.at(source));
            let ending = run(&store, &["-v", &volume, "busybox", "cat", "/v/file"]);
            assert_eq!(ending.assert_status(0).assert_quiet().out, "inside\n");
        }
        // What is read-only is so for good: the container's root may mount, but not that.
        let volume = format!("{}:/v:ro", folder.at("in"));
        let script = "for what in bind,rw bind,dev bind,suid
            do mount -o remount,$what /v; done; grep -o ' /v ro' /proc/self/mountinfo
            mkdir /w; mount --bind /v /w; mount -o remount,bind,rw /w";
        let flags = ["--cap-add", "SYS_ADMIN", "-v", &volume];
        let ending =
            run(&store, &[&flags[..], &["busybox", "sh", "-c", script]].concat());
        assert_eq!(ending.out, " /v ro\n");
        assert_eq!(ending.err.lines().count(), 2, "{ending:?}");
        // But the container's root must get to its own files.
        let root = folder.at("store");
        let args = [&["run", "--rm"], &FLAGS[..], &["host", "true"]].concat();
        let ending = Engine::on(&root, &args).end();
        let line = ending.assert_status(125).assert_one_error();
        assert!(line.contains(&folder.path().display().to_string()), "{line}");
    });
}

#[test]
fn who_joins_is_in_the_same_user_namespace() {
    with_own_users("who_joins_is_in_the_same_user_namespace", || {
        let store = Store::with("busybox", &busybox());
        let (child, first) = endless(&store, "busybox");
        await_noted(&store, first.pid);
        let map = fs::read_to_string(format!("/proc/{}/uid_map", first.pid));
        let map: Vec<String> =
            map.expect("it runs").split_whitespace().map(String::from).collect();
        assert_eq!(map, ["0", "700000", "65536"]);
        let owner = fs::metadata(format!("/proc/{}", first.pid)).expect("it runs").uid();
        assert_eq!(owner, FIRST);
        let exec = |flags: &[&str], script: &str| {
            let args = [&["exec"], flags, &["box", "sh", "-c", script]].concat();
            store.engine(&args).end().assert_status(0).assert_quiet().out.clone()
        };
        for kind in ["user", "uts", "ipc", "pid", "mnt", "net"] {
            let both =
                format!("readlink /proc/1/ns/{kind}; readlink /proc/self/ns/{kind}");
            let both = exec(&[], &both);
            let (one, other) = both.split_once('\n').expect("two lines");
            assert_eq!(one, other.trim_end());
        }
        assert_eq!(exec(&[], "id -u; touch /new; stat -c %u /new"), "0\n0\n");
        assert_eq!(exec(&["-u", "nobody"], "id -u; echo > /dev/stdout"), "65534\n\n");
        assert_eq!(
            exec(&["-u", "33:44"], "touch /tmp/x; stat -c %u:%g /tmp/x"),
            "33:44\n"
        );
        first.signal(Signal::SIGKILL);
        Ending::from(child.wait_with_output().expect("it ends")).assert_status(137);
        store.assert_no_container();
    });
}

#[test]
fn signals_and_pipes_get_through() {
    with_own_users("signals_and_pipes_get_through", || {
        let store = Store::with("busybox", &busybox());
        let script = "trap 'echo heard; exit 4' TERM; echo ready > /dev/stdout; read x;
            cat /dev/stdin; while :; do sleep 0.1; done";
        let args = [&["-i"], &FLAGS[..], &["busybox", "sh", "-c", script]].concat();
        let child = store.run(&args).start();
        let shell = await_one("the shell", |it| it.name == "sh" && it.is_number_one());
        drop(shell);
        let engine = await_one("the engine", |it| it.pid.cast_unsigned() == child.id());
        let sleeps = |it: &Process| it.name == "sleep";
        let mut child = child;
        use std::io::Write;
        let mut input = child.stdin.take().expect("it is piped");
        input.write_all(b"go on\nsaid\n").expect("it reads");
        drop(input);
        await_one("a loop", sleeps);
        engine.signal(Signal::SIGTERM);
        let ending = Ending::from(child.wait_with_output().expect("it ends"));
        assert_eq!(ending.assert_status(4).out, "ready\nsaid\nheard\n");
    });
}

#[test]
fn whoever_is_killed_nothing_is_left() {
    with_own_users("whoever_is_killed_nothing_is_left", || {
        let store = Store::new();
        let before = Machine::look();
        // The engine itself, and its child that stays outside.
        for who in ["engine", "child"] {
            let (mut child, first) = endless(&store, "host");
            match who {
                "engine" => child.kill().expect("it is there"),
                _ => await_one("the child", |it| it.pid == first.parent)
                    .signal(Signal::SIGKILL),
            }
            child.wait().expect("it ends");
            before.assert_same(&["processes", "mounts"]);
            store.on_host("true");
            store.assert_no_container();
        }
    });
}

#[test]
fn ranges_that_cannot_be_are_refused() {
    with_own_users("ranges_that_cannot_be_are_refused", || {
        let store = Store::new();
        store.on_host("true");
        let before = store.contents();
        let ranges = [
            "",
            ":",
            "5",
            "5:",
            ":5",
            "x:y",
            "-1:5",
            "5:0",
            "0:65536",
            "1:2:3",
            "4294967295:1",
            "4294967000:65536",
            "1:4294967295",
            "99999999999:1",
            "container:x",
        ];
        for range in ranges {
            let ending = store.run(&["--userns", range, "host", "true"]).end();
            let line = ending.assert_status(125).assert_one_error();
            assert!(line.len() < 200, "{line}");
            assert_eq!(store.contents(), before, "{range}");
        }
        for user in ["10", "9:10", "9:99999"] {
            let ending =
                store.run(&["--userns", "700000:10", "-u", user, "host", "true"]).end();
            ending.assert_status(125).assert_one_error();
            assert_eq!(store.contents(), before, "{user}");
        }
        let few = store.run(&["--userns", "700000:1", "host", "id", "-u"]).end();
        assert_eq!(few.assert_status(0).assert_quiet().out, "0\n");
        let host =
            store.run(&["--userns", "host", "host", "cat", "/proc/self/uid_map"]).end();
        assert!(host.assert_status(0).out.contains("4294967295"), "{host:?}");
    });
}
