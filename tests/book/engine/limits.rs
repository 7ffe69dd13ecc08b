//! Is a container held to what it may use, and nobody else?
//!
//! A test for each limit, on whatever version of cgroups the machine has: also in the lab VM,
//! which is slow and has no network. The limit is read back where `inspect` says it is, and
//! felt by a program in the container.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use block_io::disk::Disk;
use cgroup::{Group, Version};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use stage::{Pid, Stage};

use crate::support::engine::{Ending, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::processes::MARK;
use crate::support::rootfs::busybox;
use crate::support::skip::skip;
use crate::support::wait::{slowness, until, within};

/// A container called `box` that runs until it is ended.
struct Container {
    store: Store,
    /// Its engine, until it has ended.
    child: Option<Child>,
    /// What `inspect` says of it.
    known: Value,
    /// Its first process, and its group as lesson 9 finds it.
    first: Pid,
    group: Group,
    _root: Folder,
}

/// A root file system as a folder. In the lab VM that is faster than an image.
fn root() -> Folder {
    let root = Folder::new("root");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(root.path()).arg("-xf").arg(busybox());
    assert!(tar.status().expect("tar starts").success());
    root
}

impl Container {
    /// With these `flags`, playing `script`.
    fn playing(flags: &[&str], script: &str) -> Container {
        let (store, root) = (Store::new(), root());
        let named = ["--name", "box", "--network", "none", "--rootfs", &root.at("")];
        let child =
            store.run(&[&named[..], flags, &["sh", "-c", script]].concat()).start();
        Container::watched(store, child, root)
    }

    fn doing_nothing(flags: &[&str]) -> Container {
        Container::playing(flags, "exec tail -f /dev/null")
    }

    fn watched(store: Store, child: Child, root: Folder) -> Container {
        let known = until("a container that runs", || {
            let seen = store.engine(&["inspect", "box"]).end();
            let list: Value = serde_json::from_str(&seen.out).ok()?;
            list[0]["State"]["Pid"]
                .as_i64()
                .filter(|pid| *pid > 0)
                .map(|_| list[0].clone())
        });
        let pid = known["State"]["Pid"].as_i64().and_then(|pid| pid.try_into().ok());
        let first = Pid::from_raw(pid.expect("a PID is an i32"));
        let group = Group::of(known["Id"].as_str().expect("it is text"), first);
        let group = group.expect("its groups can be read").expect("it has one");
        Container { store, child: Some(child), known, first, group, _root: root }
    }

    fn engine(&self, args: &[&str]) -> Ending {
        self.store.engine(args).end()
    }

    /// What is in a file of its group: by the path that `inspect` shows, as by hand.
    fn read(&self, controller: &str, [old, new]: [&str; 2]) -> String {
        let (name, file) = match self.group.version(controller) {
            Ok(Version::V1) => (controller, old),
            _ if controller == "blkio" => ("io", new),
            _ => (controller, new),
        };
        let folder = self.known["Cgroups"][name].as_str();
        let folder = folder.unwrap_or_else(|| panic!("{:#}", self.known));
        let text = fs::read_to_string(PathBuf::from(folder).join(file));
        text.expect("it is there").trim().to_string()
    }

    /// What `command` in there prints.
    fn ask(&self, command: &[&str]) -> Ending {
        self.engine(&[&["exec", "box"][..], command].concat())
    }

    /// End it by a signal to its engine.
    fn end(mut self) -> Ending {
        let child = self.child.take().expect("it has not ended yet");
        let pid = i32::try_from(child.id()).expect("a PID is an i32");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it is there");
        let ending = Ending::from(child.wait_with_output().expect("it ends"));
        self.store.assert_no_container();
        ending
    }

    /// End its engine, and not it.
    fn kill_engine(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is our child");
            child.wait().expect("it ends");
        }
    }
}

impl Drop for Container {
    /// A test that fails leaves no engine behind.
    fn drop(&mut self) {
        self.kill_engine();
    }
}

/// Let `time` pass, because that is how long something is looked at.
fn pass(time: Duration) {
    within(time, || None::<()>);
}

/// Microseconds that the container has used, waited for a processor, and the quota's periods,
/// in all and those in which it was used up.
fn usage(running: &Container) -> [u64; 4] {
    let usage = cgroup_cpu::usage(&running.group).expect("it is counted");
    let waited = fs::read_to_string(format!("/proc/{}/schedstat", running.first));
    let waited = waited.expect("it runs");
    let waited = waited.split(' ').nth(1).and_then(|it| it.parse::<u64>().ok());
    [usage.micros, waited.expect("a number") / 1000, usage.periods, usage.throttled]
}

/// What it used of one core in `time`, what it wanted to use, and in which part of the periods
/// the quota was used up.
fn share(running: &Container, time: Duration) -> [f64; 3] {
    let (start, before) = (Instant::now(), usage(running));
    pass(time);
    let after = usage(running);
    let window = start.elapsed().as_secs_f64() * 1e6;
    let [used, waited, periods, throttled] =
        [0, 1, 2, 3].map(|it| (after[it] - before[it]) as f64);
    [used / window, (used + waited) / window, throttled / periods.max(1.0)]
}

#[test]
fn time_on_the_processors() {
    undisturbed(|| {
        let quota = ["--cpu-period=100000", "--cpu-quota=20000"];
        let busy = Container::playing(&quota, "while :; do :; done");
        let limit = busy.read("cpu", ["cpu.cfs_quota_us", "cpu.max"]);
        assert!(["20000", "20000 100000"].contains(&limit.as_str()), "{limit}");
        // Where others took the core, the quota was not used up in so many periods.
        let [used, _, felt] = share(&busy, Duration::from_secs(2));
        assert!(used <= 0.23 && used >= 0.17 * felt && felt > 0.0, "{used} {felt}");
        busy.engine(&["update", "--cpu-quota=-1", "box"]).assert_status(0).assert_quiet();
        // On a machine that is itself one of many, moments are missing that nobody counts.
        let has_all = || (share(&busy, Duration::from_secs(1))[1] > 0.8).then_some(());
        until("all of a core, used or waited for", has_all);
        busy.engine(&["update", "--cpus", "0.5", "box"]).assert_status(0).assert_quiet();
        let limit = busy.read("cpu", ["cpu.cfs_quota_us", "cpu.max"]);
        assert!(["50000", "50000 100000"].contains(&limit.as_str()), "{limit}");
        busy.engine(&["update", "--cpu-shares", "512", "box"]).assert_status(0);
        let weight = busy.read("cpu", ["cpu.shares", "cpu.weight"]);
        assert!(["512", "50"].contains(&weight.as_str()), "{weight}");
        busy.end().assert_status(137);
    });
}

#[test]
fn which_processors() {
    undisturbed(|| {
        let last = fs::read_to_string("/sys/devices/system/cpu/online").expect("sysfs");
        let last =
            last.trim().rsplit(['-', ',']).next().expect("there is one").to_string();
        let bound =
            Container::doing_nothing(&["--cpuset-cpus", &last, "--cpuset-mems", "0"]);
        assert_eq!(bound.read("cpuset", ["cpuset.cpus"; 2]), last);
        assert_eq!(bound.read("cpuset", ["cpuset.mems"; 2]), "0");
        let allowed = bound.ask(&["grep", "_allowed_list", "/proc/self/status"]);
        let lists =
            allowed.assert_status(0).out.lines().map(|line| line.split_whitespace());
        let lists: Vec<&str> = lists.filter_map(Iterator::last).collect();
        assert_eq!(lists, [&last, "0"]);
        bound.end().assert_status(137);
    });
}

#[test]
fn memory_and_what_happens_to_a_hog() {
    undisturbed(|| {
        let sibling = Sibling::start();
        let (store, root) = (Store::new(), root());
        let hog = "x=0123456789abcdef; while :; do x=$x$x; done";
        let limits = ["--memory", "32m", "--network", "none", "--name", "hog"];
        let script = ["--rootfs", &root.at(""), "sh", "-c", hog];
        let run = [&["run"], &limits[..], &script].concat();
        let ending = store.engine(&run).end();
        let told = "warning: out of memory: the kernel killed a process of the container; \
                    --memory is 32MiB\n";
        assert_eq!(ending.assert_status(137).err, told);
        let format = "{{.State.OOMKilled}} {{.State.ExitCode}} {{.HostConfig.Memory}}";
        let seen = store.engine(&["inspect", "--format", format, "hog"]).end();
        assert_eq!(seen.assert_status(0).out, "true 137 33554432\n");
        store.engine(&["rm", "hog"]).end().assert_status(0);
        sibling.goes_on();

        let small = Container::doing_nothing(&["-m", "64m", "--memory-swap", "64m"]);
        let file = ["memory.limit_in_bytes", "memory.max"];
        assert_eq!(small.read("memory", file), "67108864");
        small
            .engine(&["update", "-m", "128m", "--memory-swap", "-1", "box"])
            .assert_status(0);
        assert_eq!(small.read("memory", file), "134217728");
        let refused = small.engine(&["update", "-m", "1k", "box"]);
        let error = refused.assert_status(1).assert_one_error();
        assert_eq!(error, "error: --memory 1k: it takes an amount from 6m on");
        assert_eq!(small.read("memory", file), "134217728");
        small.end().assert_status(137);
    });
}

/// Only version 1 refuses a limit to who uses more.
#[test]
fn a_refused_update_changes_nothing() {
    undisturbed(|| {
        let fill = "dd if=/dev/zero of=/dev/shm/full bs=1M count=40 && touch /dev/shm/is
            exec tail -f /dev/null";
        let full = Container::playing(&["-m", "64m", "--memory-swap", "64m"], fill);
        if full.group.version("memory").expect("it has memory") == Version::V1 {
            until("40 MiB in use", || {
                let asked = full.ask(&["test", "-e", "/dev/shm/is"]);
                (asked.status == Some(0)).then_some(())
            });
            let limits = || {
                let files = [("memory", "memory.limit_in_bytes"), ("pids", "pids.max")];
                let cpu = [("cpu", "cpu.cfs_quota_us"), ("cpu", "cpu.shares")];
                [files, cpu]
                    .concat()
                    .into_iter()
                    .map(|(of, file)| full.read(of, [file; 2]))
            };
            let before: Vec<String> = limits().collect();
            let half = ["--memory-swap", "16m", "--cpus", "0.5", "--cpu-shares", "9"];
            let update =
                [&["update", "-m", "16m", "--pids-limit", "9"], &half[..], &["box"]];
            let refused = full.engine(&update.concat());
            refused.assert_status(1).assert_one_error();
            assert!(refused.err.contains("which it cannot do without"), "{refused:#?}");
            assert_eq!(limits().collect::<Vec<_>>(), before);
        } else {
            let test = "engine::limits::a_refused_update_changes_nothing";
            skip(test, "version 2 refuses no limit, and ends who uses more");
        }
        full.end().assert_status(137);
    });
}

/// A program of the host's that makes one process after the other, as long as it may.
struct Sibling {
    child: Child,
    folder: Folder,
}

impl Sibling {
    fn start() -> Sibling {
        let folder = Folder::new("sibling");
        let script = "i=0; while env true; do i=$((i+1)); echo $i >$0; done";
        let mut command = Command::new("sh");
        command.args(["-c", script, &folder.at("count")]);
        let child = crate::support::processes::mark(&mut command).spawn();
        let sibling = Sibling { child: child.expect("sh starts"), folder };
        sibling.goes_on();
        sibling
    }

    fn count(&self) -> u32 {
        let text = fs::read_to_string(self.folder.at("count")).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }

    /// It makes as many processes as it likes.
    fn goes_on(&self) {
        let before = self.count();
        until("progress", || (self.count() > before + 20).then_some(()));
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn tasks_and_what_happens_to_a_fork_bomb() {
    undisturbed(|| {
        let sibling = Sibling::start();
        // Its first process makes others without end, and goes on when that fails.
        let bomb = "exec awk 'BEGIN { while (1) system(\"sleep 1000 &\") }' 2>/dev/null";
        let bomb = Container::playing(&["--pids-limit", "20"], bomb);
        assert_eq!(bomb.read("pids", ["pids.max"; 2]), "20");
        let refused = || pids::refusals(&bomb.group).is_ok_and(|count| count > 20);
        until("a fork that is refused", || refused().then_some(()));
        sibling.goes_on();
        let tasks = bomb.read("pids", ["pids.current"; 2]);
        assert!(tasks.parse::<u32>().is_ok_and(|tasks| tasks <= 20), "{tasks}");
        // Its processes go with it, as `undisturbed` sees.
        bomb.end().assert_status(137);
        sibling.goes_on();
    });
}

/// A disk of `size` bytes. Made by a thread of its own: a stage keeps signals from its thread,
/// and from the programs that the thread starts.
fn disk(size: u64) -> Disk {
    let make = move || Disk::make(&Stage::of_engine(false)?, size);
    let made = thread::spawn(make).join().expect("no panic");
    made.expect("root may have a loop device")
}

#[test]
fn how_fast_to_and_from_a_disk() {
    undisturbed(|| {
        const MIB: u64 = 1 << 20;
        let disk = disk(16 * MIB);
        let [path, numbers] = [disk.path.display().to_string(), disk.device.to_string()];
        let rate = format!("{path}:1mb");
        let mut flags = vec!["--device", &path, "--device-read-bps", &rate];
        flags.extend(["--device-write-bps", &rate]);
        let slow = Container::doing_nothing(&flags);
        for [old, new] in [
            ["blkio.throttle.read_bps_device", "rbps=1048576"],
            ["blkio.throttle.write_bps_device", "wbps=1048576"],
        ] {
            let limit = slow.read("blkio", [old, "io.max"]);
            let is_right = limit == format!("{numbers} 1048576") || limit.contains(new);
            assert!(limit.starts_with(&numbers) && is_right, "{limit}");
        }
        let [from, to] = [format!("if={path}"), format!("of={path}")];
        for dd in [
            [&from, "of=/dev/null", "iflag=direct"],
            ["if=/dev/zero", &to, "oflag=direct"],
        ] {
            let start = Instant::now();
            let ended = slow.ask(&[&["dd", "bs=64k", "count=48"][..], &dd].concat());
            ended.assert_status(0);
            // 3 MiB, of which the kernel may let some go at once.
            assert!(start.elapsed() > Duration::from_secs(2), "{:?}", start.elapsed());
        }
        let traffic = block_io::traffic(&slow.group).expect("it is counted");
        assert!(traffic.read >= 3 * MIB && traffic.written >= 3 * MIB, "{traffic:?}");
        slow.end().assert_status(137);
    });
}

#[test]
fn its_part_of_a_disk_where_a_scheduler_knows_parts() {
    undisturbed(|| {
        let part = Container::doing_nothing(&["--blkio-weight", "500"]);
        let group = &part.group;
        let folder = group.folder("blkio").expect("it has one");
        let names = ["blkio.weight", "blkio.bfq.weight", "io.weight", "io.bfq.weight"];
        let found = names.iter().find(|name| folder.join(name).exists());
        let weight = found.map(|name| group.get("blkio", name).expect("it is a file"));
        let said = part.end().assert_status(137).err.clone();
        match weight {
            // Version 2 has it in its own unit, from 1 to 10000.
            Some(weight) => {
                assert!(weight.ends_with("500") || weight.ends_with("4950"), "{weight}");
                assert_eq!(said, "");
            }
            None => assert!(said.starts_with("warning: no scheduler"), "{said}"),
        }
    });
}

#[test]
fn which_devices() {
    undisturbed(|| {
        let disk = disk(1 << 20);
        let device = format!("{}:/dev/disk:r", disk.path.display());
        let container = Container::doing_nothing(&["--device", &device]);
        let read = container.ask(&["dd", "if=/dev/disk", "of=/dev/null", "count=1"]);
        read.assert_status(0);
        // The node could be written to, and root may; the group may not.
        let write = container.ask(&["dd", "if=/dev/zero", "of=/dev/disk", "count=1"]);
        assert!(
            write.assert_status(1).err.contains("Operation not permitted"),
            "{write:?}"
        );
        for device in ["null", "zero", "full", "random", "urandom", "ptmx"] {
            container.ask(&["sh", "-c", &format!(": </dev/{device}")]).assert_status(0);
        }
        container.end().assert_status(137);
    });
}

#[test]
fn the_group_that_it_sees() {
    undisturbed(|| {
        for (mode, is_top) in [("private", true), ("host", false)] {
            let container = Container::doing_nothing(&["--cgroupns", mode]);
            let whole = container.group.path("pids").expect("it has one");
            let seen = container.ask(&["cat", "/proc/self/cgroup"]).out;
            // Who joins is in the group, too: both see one.
            let first = container.ask(&["cat", "/proc/1/cgroup"]).out;
            assert_eq!(seen, first);
            let paths: Vec<&str> =
                seen.lines().filter_map(|line| line.splitn(3, ':').nth(2)).collect();
            let whole = whole.display().to_string();
            assert_eq!(paths.contains(&whole.as_str()), !is_top, "{mode}: {seen}");
            assert!(!is_top || paths.contains(&"/"), "{mode}: {seen}");
            container.end().assert_status(137);
        }
    });
}

#[test]
fn time_stands_still_and_goes_on() {
    undisturbed(|| {
        let script = "i=0; while :; do i=$((i+1)); echo $i >/count; done";
        let counting = Container::playing(&[], script);
        let root = format!("/proc/{}/root/count", counting.first);
        let count = || fs::read_to_string(&root).ok()?.trim().parse::<u64>().ok();
        let runs = || {
            let before = until("a number", count);
            until("another one", || count().filter(|now| *now > before));
        };
        let status =
            || counting.engine(&["inspect", "-f", "{{.State.Status}}", "box"]).out;
        runs();
        assert_eq!(counting.engine(&["pause", "box"]).assert_status(0).out, "box\n");
        assert_eq!(status(), "paused\n");
        let before = fs::read_to_string(&root).expect("it is there");
        pass(Duration::from_millis(200));
        assert_eq!(fs::read_to_string(&root).expect("it is there"), before);
        counting.engine(&["pause", "box"]).assert_status(1).assert_one_error();
        counting.ask(&["true"]).assert_status(1).assert_one_error();
        assert_eq!(counting.engine(&["unpause", "box"]).assert_status(0).out, "box\n");
        assert_eq!(status(), "running\n");
        runs();
        counting.engine(&["unpause", "box"]).assert_status(1).assert_one_error();
        // Who is paused hears the end all the same.
        counting.engine(&["pause", "box"]).assert_status(0);
        counting.end().assert_status(137);
    });
}

/// In version 1 nobody can be killed who is frozen, and to be thawed once may not do.
#[test]
fn who_pauses_it_again_and_again_does_not_keep_it() {
    undisturbed(|| {
        let mut deaf = Container::playing(&[], "tail -f /dev/null");
        let (file, text) = match deaf.group.version("freezer") {
            Ok(Version::V1) => ("freezer.state", "FROZEN"),
            _ => ("cgroup.freeze", "1"),
        };
        let path = deaf.group.folder("freezer").expect("it has one").join(file);
        let end = Instant::now() + Duration::from_secs(2) * slowness();
        let pausing = thread::spawn(move || {
            while Instant::now() < end && fs::write(&path, text).is_ok() {}
        });
        assert_eq!(deaf.engine(&["kill", "box"]).assert_status(0).out, "box\n");
        let child = deaf.child.take().expect("nobody has waited for it");
        let ending = Ending::from(child.wait_with_output().expect("it ends"));
        ending.assert_status(137);
        pausing.join().expect("it comes to an end");
        deaf.store.assert_no_container();
    });
}

#[test]
fn what_it_uses() {
    undisturbed(|| {
        let flags = ["-m", "64m", "--cpus", "0.5"];
        let busy = Container::playing(&flags, "while :; do :; done");
        let shown = busy.engine(&["stats", "--no-stream"]);
        let lines: Vec<&str> =
            shown.assert_status(0).assert_quiet().out.lines().collect();
        let [titles, line] = lines[..] else { panic!("{shown:?}") };
        let cells = |line: &str| {
            let cells = line.split("   ").map(str::trim).filter(|cell| !cell.is_empty());
            cells.map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(
            cells(titles),
            [
                "CONTAINER ID",
                "NAME",
                "CPU %",
                "MEM USAGE / LIMIT",
                "MEM %",
                "NET I/O",
                "BLOCK I/O",
                "PIDS"
            ]
        );
        let cells = cells(line);
        let id = busy.known["Id"].to_string();
        assert!(
            id.trim_matches('"').starts_with(&cells[0]) && cells[0].len() == 12,
            "{line}"
        );
        assert_eq!([&cells[1], &cells[5], &cells[7]], ["box", "0B / 0B", "1"]);
        let percent =
            |cell: &str| cell.trim_end_matches('%').parse::<f64>().expect("a share");
        assert!((0.1..60.0).contains(&percent(&cells[2])), "{line}");
        assert!(cells[3].ends_with("iB / 64MiB") && percent(&cells[4]) < 50.0, "{line}");
        let one = busy.engine(&["stats", "--no-stream", "box"]);
        assert_eq!(one.assert_status(0).out.lines().count(), 2);
        busy.engine(&["stats", "--no-stream", "nobody"])
            .assert_status(1)
            .assert_one_error();
        busy.end().assert_status(137);
    });
}

#[test]
fn what_cannot_be_is_refused_in_a_line_that_says_what_can() {
    undisturbed(|| {
        let store = Store::new();
        let cases = [
            ("--cpus=0", "from 0.01 to"),
            ("--cpus=-1", "from 0.01 to"),
            ("--cpus=abc", "from 0.01 to"),
            ("--cpus=100000", "this machine has"),
            ("--cpu-period=1", "from 1000 to 1000000"),
            ("--cpu-quota=1", "microseconds from 1000 on, or -1"),
            ("--cpu-shares=1", "from 2 to 262144"),
            ("--cpuset-cpus=60000", "this machine has"),
            ("--cpuset-cpus=1-0", "a list such as 0-2,5"),
            ("--cpuset-mems=60000", "this machine has"),
            ("--memory=1k", "from 6m on"),
            ("--memory=64x", "b, k, m, g or t"),
            ("--memory-swap=64m", "it needs --memory"),
            ("--pids-limit=many", "from 1 on, or -1"),
            ("--blkio-weight=5", "from 10 to 1000"),
            ("--device-read-bps=/dev/null:1mb", "no block device"),
            ("--device-write-bps=/dev/null", "DEVICE:RATE"),
            ("--device=/etc/passwd", "no device"),
            ("--device=/dev/nothing", "no device"),
            ("--device=/dev/null:/dev/nil:x", "r, w and m"),
            ("--cgroupns=some", "private, host"),
        ];
        for (flag, right) in cases {
            let refused = store.engine(&["run", "--rm", flag, "host", "true"]).end();
            let error = refused.assert_status(125).assert_one_error();
            assert!(error.contains(right), "{flag}: {error}");
            store.assert_no_container();
        }
        let nothing = store.engine(&["update", "box"]).end();
        nothing.assert_status(1).assert_one_error();
    });
}

#[test]
fn a_killed_engine_leaves_a_group_only_until_the_next_command() {
    undisturbed(|| {
        for is_paused in [false, true] {
            let mut busy = Container::playing(&[], "while :; do :; done");
            if is_paused {
                busy.engine(&["pause", "box"]).assert_status(0);
            }
            busy.kill_engine();
            busy.engine(&["stats", "--no-stream"]).assert_status(0);
            busy.store.assert_no_container();
        }
    });
}

/// A container that sees its groups writable makes some in them, as systemd does.
#[test]
fn groups_that_it_has_made_go_with_it() {
    undisturbed(|| {
        let store = Store::with("box", &busybox());
        let script = "for group in $(find /sys/fs/cgroup -name cgroup.procs)
            do mkdir -p ${group%/*}/a/b; mkdir ${group%/*}/c; made=yes; done
            for group in /sys/fs/cgroup/pids/a/b /sys/fs/cgroup/a/b
            do [ -d $group ] || continue
            sh -c 'echo $$ > $0/cgroup.procs; exec tail -f /dev/null' $group &
            until grep -q . $group/cgroup.procs; do :; done; done
            echo $made; exit 7";
        let flags = ["--privileged", "-e", MARK, "box", "sh", "-c", script];
        let ending = store.run(&flags).end();
        assert_eq!(ending.assert_status(7).assert_quiet().out, "yes\n", "{ending:?}");
        store.assert_no_container();
    });
}
