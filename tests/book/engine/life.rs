//! Is a container started, stopped, awaited and listened to as asked, and never left behind?

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::engine::{Ending, Engine, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::processes::MARK;
use crate::support::program;
use crate::support::rootfs::busybox;
use crate::support::wait::until;

/// A store with the image `box`.
fn store() -> Store {
    Store::with("box", &busybox())
}

/// A command that has to end well; what it printed.
fn say(store: &Store, args: &[&str]) -> String {
    store.engine(args).end().assert_status(0).assert_quiet().out.clone()
}

/// A container with `flags` that plays `script`, and that nobody waits for; its ID.
fn detached(store: &Store, flags: &[&str], script: &str) -> String {
    let args = [&["run", "-d", "-e", MARK], flags, &["box", "sh", "-c", script]].concat();
    let id = say(store, &args);
    assert_eq!(id.trim_end().len(), 64, "{id:?}");
    id.trim_end().to_string()
}

/// What `inspect` knows by this name.
fn known(store: &Store, which: &str, name: &str) -> String {
    let template = format!("{{{{.{name}}}}}");
    say(store, &["inspect", "--format", &template, which]).trim_end().to_string()
}

/// It plays until it is asked to end.
const PATIENT: &str =
    "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.1; done";
/// It plays for ever.
const DEAF: &str = "echo ready; tail -f /dev/null";

/// Wait until it has said so.
fn await_log(store: &Store, which: &str, text: &str) {
    until(text, || say(store, &["logs", which]).contains(text).then_some(()));
}

#[test]
fn it_is_made_started_stopped_started_again_and_removed() {
    undisturbed(|| {
        let store = store();
        let create = ["create", "--name", "one", "-e", MARK, "box", "sh", "-c", PATIENT];
        let id = say(&store, &create).trim_end().to_string();
        assert_eq!(known(&store, "one", "State.Status"), "created");
        assert_eq!(say(&store, &["start", "one"]), "one\n");
        await_log(&store, "one", "ready\n");
        assert_eq!(known(&store, &id[..8], "State.Status"), "running");
        // One that runs is as it should be.
        say(&store, &["start", "one"]);
        assert_eq!(say(&store, &["stop", "one"]), "one\n");
        assert_eq!(known(&store, "one", "State.ExitCode"), "7");
        say(&store, &["stop", "one"]);
        say(&store, &["start", "one"]);
        until("two lives", || {
            (say(&store, &["logs", "one"]) == "ready\nbye\nready\n").then_some(())
        });
        let refused = store.engine(&["rm", "one"]).end();
        assert!(refused.assert_status(1).assert_one_error().contains("is running"));
        assert_eq!(say(&store, &["rm", "-f", "one"]), "one\n");
        store.assert_no_container();
    });
}

/// What hears nothing is ended at once: there is nothing to wait for.
#[test]
fn stop_ends_what_does_not_hear_and_kill_what_does() {
    undisturbed(|| {
        let store = store();
        detached(&store, &["--name", "deaf"], DEAF);
        detached(&store, &["--name", "patient"], PATIENT);
        await_log(&store, "patient", "ready\n");
        say(&store, &["stop", "deaf"]);
        assert_eq!(known(&store, "deaf", "State.ExitCode"), "137");
        say(&store, &["kill", "-s", "SIGTERM", "patient"]);
        assert_eq!(say(&store, &["wait", "patient"]), "7\n");
        say(&store, &["start", "deaf"]);
        say(&store, &["kill", "deaf"]);
        assert_eq!(say(&store, &["wait", "deaf"]), "137\n");
        let error = store.engine(&["kill", "deaf"]).end();
        assert!(error.assert_status(1).assert_one_error().contains("is not running"));
        let error = store.engine(&["kill", "-s", "NOPE", "deaf"]).end();
        assert!(error.assert_status(1).assert_one_error().contains("no signal"));
        say(&store, &["rm", "deaf", "patient"]);
        store.assert_no_container();
    });
}

#[test]
fn the_signal_to_stop_by_and_the_patience_are_the_containers() {
    undisturbed(|| {
        let store = store();
        let script =
            "trap 'exit 5' USR1; trap : TERM; echo ready; while :; do sleep 0.1; done";
        detached(&store, &["--name", "usr", "--stop-signal", "USR1"], script);
        await_log(&store, "usr", "ready");
        say(&store, &["stop", "usr"]);
        assert_eq!(known(&store, "usr", "State.ExitCode"), "5");
        // It hears, and goes on.
        let flags = ["--name", "stubborn", "--stop-timeout", "0"];
        detached(&store, &flags, "trap : TERM; echo ready; while :; do sleep 0.1; done");
        await_log(&store, "stubborn", "ready");
        say(&store, &["stop", "stubborn"]);
        assert_eq!(known(&store, "stubborn", "State.ExitCode"), "137");
        say(&store, &["rm", "usr", "stubborn"]);
    });
}

#[test]
fn it_comes_again_as_often_as_it_is_to() {
    undisturbed(|| {
        let store = store();
        let flags = ["--name", "again", "--restart", "on-failure:2"];
        detached(&store, &flags, "echo try; exit 3");
        // That is the end of its last life.
        assert_eq!(say(&store, &["wait", "again"]), "3\n");
        assert_eq!(say(&store, &["logs", "again"]), "try\n".repeat(3));
        assert_eq!(known(&store, "again", "RestartCount"), "2");
        let flags = ["--name", "ever", "--restart", "always"];
        detached(&store, &flags, "echo try; exit 0");
        until("three lives", || {
            (say(&store, &["logs", "ever"]).lines().count() > 2).then_some(())
        });
        // Also in the pause between two lives.
        say(&store, &["stop", "ever"]);
        let lives = say(&store, &["logs", "ever"]);
        assert_eq!(known(&store, "ever", "State.Running"), "false");
        assert_eq!(say(&store, &["logs", "ever"]), lives);
        say(&store, &["rm", "again", "ever"]);
        let both = store.engine(&["run", "--rm", "--restart", "always", "box"]).end();
        both.assert_status(125).assert_one_error();
        let wrong = store.engine(&["run", "--restart", "on-failure:0", "box"]).end();
        wrong.assert_status(125).assert_one_error();
    });
}

#[test]
fn what_it_writes_is_kept_by_lines() {
    undisturbed(|| {
        let store = store();
        let script = "echo one; echo two >&2; printf three";
        let id = detached(&store, &["--name", "log"], script);
        say(&store, &["wait", "log"]);
        let logs = store.engine(&["logs", "log"]).end();
        assert_eq!((&*logs.out, &*logs.err), ("one\nthree", "two\n"));
        assert_eq!(say(&store, &["logs", "--tail", "1", "log"]), "three");
        assert_eq!(say(&store, &["logs", "--since", "1s", "--until", "1h", "log"]), "");
        let stamped = say(&store, &["logs", "-t", "--tail", "1", "log"]);
        assert!(stamped.starts_with("20") && stamped.ends_with("Z three"), "{stamped}");
        let log = store.path().join("containers").join(&id).join("log");
        let log = fs::read_to_string(log).expect("it is there");
        assert!(
            log.lines().next().is_some_and(|it| it.ends_with(" stdout F one")),
            "{log}"
        );
        // In the foreground, too.
        let run = store.engine(&["run", "--name", "front", "box", "echo", "hello"]).end();
        assert_eq!(run.assert_status(0).out, "hello\n");
        assert_eq!(say(&store, &["logs", "front"]), "hello\n");
        say(&store, &["rm", "log", "front"]);
    });
}

/// A log never takes more than twice what it may.
#[test]
fn endless_output_fills_no_disk() {
    undisturbed(|| {
        let store = store();
        let flags = ["--name", "endless", "--log-opt", "max-size=64k"];
        let id = detached(&store, &flags, "yes 0123456789");
        let folder = store.path().join("containers").join(&id);
        let look = |name| fs::metadata(folder.join(name)).ok();
        let mut older = HashSet::new();
        until("a log that was begun anew five times", || {
            for about in ["log", "log.1"].into_iter().filter_map(look) {
                // A line of 32 KiB of output is a good deal longer with its times.
                assert!(about.len() < (64 + 256) << 10, "{about:?}");
            }
            older.extend(look("log.1").map(|about| (about.ino(), about.mtime_nsec())));
            (older.len() > 5).then_some(())
        });
        say(&store, &["rm", "-f", "endless"]);
    });
}

#[test]
fn who_follows_a_log_hears_its_end() {
    undisturbed(|| {
        let store = store();
        detached(&store, &["--name", "talks"], PATIENT);
        let mut follower = store.engine(&["logs", "-f", "talks"]).start();
        let mut lines =
            BufReader::new(follower.stdout.take().expect("it is piped")).lines();
        let mut next = || lines.next().and_then(Result::ok);
        assert_eq!(next().as_deref(), Some("ready"));
        say(&store, &["stop", "talks"]);
        assert_eq!(next().as_deref(), Some("bye"));
        assert_eq!(next(), None);
        Ending::from(follower.wait_with_output().expect("it ends")).assert_status(0);
        say(&store, &["rm", "talks"]);
    });
}

/// Type a word, hear it, and be gone.
fn visit(store: &Store, word: &str) {
    let mut visitor = store.engine(&["attach", "cat"]).start();
    let mut lines = BufReader::new(visitor.stdout.take().expect("it is piped"));
    let mut input = visitor.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut input, word.as_bytes()).expect("it reads");
    let mut line = String::new();
    lines.read_line(&mut line).expect("text");
    assert_eq!(line, word);
    drop(input);
    visitor.kill().expect("it is ours");
    visitor.wait().expect("it is ours");
}

#[test]
fn visitors_hear_and_type_and_one_that_leaves_changes_nothing() {
    undisturbed(|| {
        let store = store();
        detached(&store, &["-i", "--name", "cat"], "cat");
        // The first one only listens.
        let mut listener = store.engine(&["attach", "--no-stdin", "cat"]).start();
        let mut heard = BufReader::new(listener.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let listens = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                heard.read_line(&mut line).expect("text");
                listens.store(true, Relaxed);
            });
            until("the listener to hear", || {
                visit(&store, "word\n");
                listens.load(Relaxed).then_some(())
            });
        });
        assert_eq!(line, "word\n");
        let logs = say(&store, &["logs", "cat"]);
        assert!(logs.lines().all(|line| line == "word"), "{logs}");
        say(&store, &["kill", "cat"]);
        assert_eq!(listener.wait().expect("it ends").code(), Some(137));
        say(&store, &["rm", "cat"]);
    });
}

#[test]
fn a_guest_that_nobody_waits_for_stays() {
    undisturbed(|| {
        let store = store();
        detached(&store, &["--rm", "--name", "host"], DEAF);
        say(
            &store,
            &["exec", "-d", "-e", MARK, "host", "sh", "-c", "echo x >/x; exec sleep 999"],
        );
        until("its file", || {
            let cat = store.engine(&["exec", "host", "cat", "/x"]).end();
            (cat.status == Some(0)).then_some(())
        });
        let ps = say(&store, &["exec", "host", "ps"]);
        assert!(ps.contains("sleep 999"), "{ps}");
        let nope = store.engine(&["exec", "-d", "host", "/no/such"]).end();
        nope.assert_status(127).assert_one_error();
        say(&store, &["rm", "-f", "host"]);
        store.assert_no_container();
    });
}

#[test]
fn names_are_given_and_changed() {
    undisturbed(|| {
        let store = store();
        let id = detached(&store, &[], DEAF);
        let name = known(&store, &id, "Name");
        let words: Vec<&str> = name.trim_start_matches('/').split('_').collect();
        assert!(words.len() == 2 && words.iter().all(|word| !word.is_empty()), "{name}");
        say(&store, &["rename", &id, "mine"]);
        assert_eq!(known(&store, "mine", "Id"), id);
        let other = detached(&store, &["--name", "other"], DEAF);
        let taken = store.engine(&["rename", "other", "mine"]).end();
        assert!(taken.assert_status(1).assert_one_error().contains("is taken"));
        assert_eq!(known(&store, "other", "Id"), other);
        // Somebody was killed who had just taken a name for it.
        symlink(&id, store.path().join("names/next")).expect("it is nobody's");
        say(&store, &["rename", "other", "next"]);
        assert_eq!(known(&store, "next", "Id"), other);
        say(&store, &["rm", "-f", "mine", "next"]);
        store.assert_no_container();
    });
}

/// What could not be started is told where somebody waits for it, and is not kept.
#[test]
fn a_command_that_is_not_there_is_told_and_leaves_nothing() {
    undisturbed(|| {
        let store = store();
        for (command, status) in [("/no/such", 127), ("/etc", 126)] {
            for flags in [&["-d"][..], &[]] {
                let run = [&["run"], flags, &["box", command]].concat();
                store.engine(&run).end().assert_status(status).assert_one_error();
                store.assert_no_container();
            }
        }
        say(&store, &["create", "--name", "no", "box", "/no/such"]);
        for command in [&["start"][..], &["start", "-a"], &["restart"]] {
            let again = [command, &["no"]].concat();
            store.engine(&again).end().assert_status(1).assert_one_error();
        }
        assert_eq!(known(&store, "no", "State.Status"), "exited");
        assert_eq!(known(&store, "no", "State.ExitCode"), "127");
        say(&store, &["rm", "no"]);
        // As the first line of a script, which wants to begin anew.
        store.engine(&["rm", "no"]).end().assert_status(1).assert_one_error();
        let forced = store.engine(&["rm", "-f", "no"]).end();
        let said = "warning: no container is called \"no\"\n";
        assert_eq!((&*forced.assert_status(0).out, &*forced.err), ("", said));
    });
}

/// The monitor's process: the parent of the container's first one.
fn monitor_of(store: &Store, which: &str) -> i32 {
    let first = known(store, which, "State.Pid");
    let status = fs::read_to_string(format!("/proc/{first}/status")).expect("it runs");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    parent.and_then(|pid| pid.trim().parse().ok()).expect("it has a parent")
}

#[test]
fn a_monitor_that_is_killed_takes_all_with_it() {
    undisturbed(|| {
        let store = store();
        detached(&store, &["--name", "kept"], DEAF);
        detached(&store, &["--name", "thrown", "--rm"], DEAF);
        for name in ["kept", "thrown"] {
            kill(Pid::from_raw(monitor_of(&store, name)), Signal::SIGKILL)
                .expect("it is ours");
        }
        until("their ends", || {
            let all = say(&store, &["ps", "-a", "--format", "{{.Names}} {{.State}}"]);
            (all == "kept exited\n").then_some(())
        });
        assert_eq!(known(&store, "kept", "State.ExitCode"), "137");
        say(&store, &["start", "kept"]);
        say(&store, &["rm", "-f", "kept"]);
        store.assert_no_container();
    });
}

/// It costs little to be there.
#[test]
fn a_monitor_is_one_small_process() {
    undisturbed(|| {
        let store = store();
        detached(&store, &["--name", "small"], DEAF);
        let monitor = monitor_of(&store, "small");
        // Of what has just been built, pages that are not on the disk yet would be counted as its own.
        let built = File::open(program("fakedocker")).expect("it is there");
        built.sync_all().expect("there is room");
        let path = format!("/proc/{monitor}/smaps_rollup");
        let text = fs::read_to_string(path).expect("it runs");
        let dirty = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
        let dirty = dirty.and_then(|line| line.trim().strip_suffix(" kB"));
        let dirty: u32 = dirty.and_then(|kib| kib.trim().parse().ok()).expect("a number");
        println!("Private_Dirty of a monitor: {dirty} KiB");
        // A MiB is promised of what students build with --release: what is built for debugging
        // has five times as many addresses to be filled in at its start.
        let most = if cfg!(debug_assertions) { 3072 } else { 1024 };
        assert!(dirty <= most, "{text}");
        let tasks =
            fs::read_dir(format!("/proc/{monitor}/task")).expect("it runs").count();
        assert_eq!(tasks, 1);
        say(&store, &["rm", "-f", "small"]);
    });
}

/// A container in the foreground can be listened to and stopped like any other.
#[test]
fn one_in_the_foreground_is_stopped_from_elsewhere() {
    undisturbed(|| {
        let store = store();
        let args =
            ["run", "--rm", "--name", "front", "-e", MARK, "box", "sh", "-c", PATIENT];
        let mut run: Child = store.engine(&args).start();
        let mut lines = BufReader::new(run.stdout.take().expect("it is piped"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("text");
        assert_eq!(line, "ready\n");
        assert_eq!(say(&store, &["logs", "front"]), "ready\n");
        say(&store, &["stop", "front"]);
        line.clear();
        lines.read_line(&mut line).expect("text");
        assert_eq!(line, "bye\n");
        Ending::from(run.wait_with_output().expect("it ends")).assert_status(7);
        store.assert_no_container();
        // And a signal to whoever waits goes to it.
        let args = ["run", "-i", "--rm", "-e", MARK, "box", "sh", "-c", PATIENT];
        let mut run = store.engine(&args).start();
        let mut lines = BufReader::new(run.stdout.take().expect("it is piped"));
        lines.read_line(&mut line).expect("text");
        let pid = i32::try_from(run.id()).expect("a PID is an i32");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it is ours");
        Ending::from(run.wait_with_output().expect("it ends")).assert_status(7);
    });
}

/// Whoever talks to it until its end, and says more than it reads, hears its end.
#[test]
fn who_talks_too_much_hears_the_end() {
    undisturbed(|| {
        let store = store();
        say(
            &store,
            &["create", "-i", "--name", "head", "-e", MARK, "box", "head", "-n1"],
        );
        for _ in 0..5 {
            let talk = ["sh", "-c", "yes | \"$@\"", "sh"];
            let heard = store.engine(&["start", "-ai", "head"]).inside(&talk).end();
            assert_eq!(heard.assert_status(0).assert_quiet().out, "y\n");
        }
        say(&store, &["rm", "head"]);
    });
}

#[test]
fn to_start_what_runs_is_to_sit_in_front_of_it() {
    undisturbed(|| {
        let store = store();
        let script = "read word; echo \"heard $word\"; exit 3";
        detached(&store, &["-i", "--name", "one"], script);
        let start = store.engine(&["start", "-ai", "one"]).end_with("hello\n");
        assert_eq!(start.assert_status(3).assert_quiet().out, "heard hello\n");
        say(&store, &["rm", "one"]);
    });
}

/// How many sockets the process `pid` has open.
fn sockets(pid: i32) -> usize {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").flatten();
    let targets = open.filter_map(|it| fs::read_link(it.path()).ok());
    targets.filter(|to| to.to_string_lossy().starts_with("socket:")).count()
}

#[test]
fn who_waits_hears_that_it_was_killed_with_its_keeper() {
    undisturbed(|| {
        let store = store();
        detached(&store, &["--name", "box"], DEAF);
        let keeper = monitor_of(&store, "box");
        let alone = sockets(keeper);
        let wait = store.engine(&["wait", "box"]).start();
        until("a visitor", || (sockets(keeper) > alone).then_some(()));
        kill(Pid::from_raw(keeper), Signal::SIGKILL).expect("it is there");
        let waited = Ending::from(wait.wait_with_output().expect("it ends"));
        assert_eq!(waited.assert_status(0).out, "137\n");
        say(&store, &["rm", "box"]);
    });
}

/// What it finds and what it makes is for its users, whatever our caller keeps to itself.
#[test]
fn our_callers_umask_is_not_its_own() {
    undisturbed(|| {
        let folder = Folder::new("umask");
        let root = folder.at("store");
        let strict = ["sh", "-c", "umask 077; exec \"$@\"", "sh"];
        let engine = |args: &[&str]| {
            Engine::on(&root, args).inside(&strict).end().assert_status(0).out.clone()
        };
        let tarball = busybox().display().to_string();
        engine(&["import", &tarball, "box"]);
        let script = "umask; cat /etc/hosts > /dev/null && echo read";
        let seen = engine(&["run", "--rm", "-u", "1000", "box", "sh", "-c", script]);
        assert_eq!(seen, "0022\nread\n");
        engine(&[
            "run",
            "-d",
            "--name",
            "one",
            "-e",
            MARK,
            "box",
            "tail",
            "-f",
            "/dev/null",
        ]);
        assert_eq!(engine(&["exec", "one", "sh", "-c", "umask"]), "0022\n");
        engine(&["rm", "-f", "one"]);
        let mode = fs::metadata(&root).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o711);
        let file = folder.at("box.tar");
        Engine::on(&root, &["save", "-o", &file, "box"]).end().assert_status(0);
        assert_eq!(fs::metadata(&file).expect("it is there").mode() & 0o777, 0o600);
    });
}

/// Somebody who copies holds it, for a moment: that is no life.
#[test]
fn it_is_started_as_soon_as_nobody_else_has_it() {
    undisturbed(|| {
        let store = store();
        let create = ["create", "--name", "one", "-e", MARK, "box", "sh", "-c", DEAF];
        let id = say(&store, &create).trim_end().to_string();
        let folder = store.path().join("containers").join(&id);
        let held = File::open(folder).expect("it is there");
        held.lock().expect("nobody else has it");
        assert_eq!(known(&store, "one", "State.Status"), "created");
        let mut start = store.engine(&["start", "one"]).start();
        // It has looked, and looks again.
        let poll = format!("/proc/{}/syscall", start.id());
        let waits = [
            libc::SYS_ppoll,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_poll,
        ];
        until("that it waits", || {
            let call = fs::read_to_string(&poll).ok()?;
            waits.iter().any(|it| call.starts_with(&format!("{it} "))).then_some(())
        });
        assert!(start.try_wait().expect("it is ours").is_none());
        held.unlock().expect("it is ours");
        assert!(start.wait().expect("it ends").success());
        assert_eq!(known(&store, "one", "State.Status"), "running");
        say(&store, &["rm", "-f", "one"]);
    });
}
