//! What is left when somebody is killed?
//!
//! At once: no process and no mount. After the next command: nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::engine::{Ending, Engine, Folder, Store};
use crate::support::machine::{Machine, undisturbed};
use crate::support::processes::{self, MARK, await_one, mark};
use crate::support::program;
use crate::support::rootfs::{busybox, tiny};
use crate::support::wait::until;

/// A container that runs until it is ended; its command has started, and that is noted.
pub fn endless(store: &Store, flags: &[&str], image: &str) -> Child {
    let run = ["run", "-e", MARK];
    let args = [&run[..], flags, &[image, "tail", "-f", "/dev/null"]].concat();
    let child = store.engine(&args).start();
    let tail = await_one("tail", |process| {
        process.name == "tail" && process.parent.cast_unsigned() == child.id()
    });
    await_noted(store, tail.pid);
    child
}

/// Wait until the engine has written down that the container's first process is `pid`.
pub fn await_noted(store: &Store, pid: i32) {
    until("that it runs to be noted", || {
        let firsts = store.containers().into_iter().map(|folder| first(&folder));
        firsts.flatten().any(|it| it == i64::from(pid)).then_some(())
    });
}

/// The PID of the first process of the container in this folder, as its state has it.
fn first(folder: &Path) -> Option<i64> {
    let state = fs::read(folder.join("state.json")).ok()?;
    let state: serde_json::Value = serde_json::from_slice(&state).ok()?;
    state["first"]["pid"].as_i64()
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a PID is an i32");
    kill(Pid::from_raw(pid), signal).expect("it is there");
}

fn killed(mut child: Child) {
    child.kill().expect("it is there");
    child.wait().expect("it ends");
}

#[test]
fn an_engine_that_is_killed_leaves_no_process_and_no_mount() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        for (flags, image) in [(&[][..], "host"), (&["--rm", "--name", "box"], "busybox")]
        {
            let before = Machine::look();
            let child = endless(&store, flags, image);
            assert!(processes::ours().len() > 1, "the engine and its container");
            killed(child);
            before.assert_same(&["processes", "mounts"]);
            // The next command takes the rest away, and frees the name.
            assert_ne!(store.containers(), [""; 0].map(PathBuf::from));
            store
                .engine(&["run", "--rm", "--name", "box", "host", "true"])
                .end()
                .assert_status(0);
            store.assert_no_container();
        }
    });
}

#[test]
fn without_rm_what_it_wrote_is_kept_and_it_has_ended() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        killed(endless(&store, &["--name", "box"], "busybox"));
        let again = store.run(&["--name", "box", "busybox", "true"]).end();
        assert!(again.assert_status(125).assert_one_error().contains("taken"));
        let state = store.containers()[0].join("state.json");
        let state = fs::read_to_string(state).expect("it was written");
        assert!(state.contains("137"), "{state}");
        store.engine(&["rm", "box"]).end().assert_status(0);
        store.assert_no_container();
    });
}

#[test]
fn others_are_not_taken_for_killed() {
    undisturbed(|| {
        let store = Store::new();
        let child = endless(&store, &["--rm"], "host");
        let containers = store.containers();
        store.on_host("true");
        clean(&store);
        assert_eq!(store.containers(), containers);
        signal(&child, Signal::SIGTERM);
        Ending::from(child.wait_with_output().expect("it ends")).assert_status(137);
        store.assert_no_container();
    });
}

/// Number 1 does not hear these, if it has no handler: the engine ends it for the sender.
#[test]
fn signals_to_the_engine_end_the_container() {
    undisturbed(|| {
        let store = Store::new();
        for (signals, status) in [(&[Signal::SIGTERM][..], 137), (&[Signal::SIGHUP], 137)]
        {
            let child = endless(&store, &["--rm"], "host");
            signals.iter().for_each(|&each| signal(&child, each));
            let ending = Ending::from(child.wait_with_output().expect("it ends"));
            ending.assert_status(status);
            store.assert_no_container();
        }
    });
}

/// The first is told, and passed over: only then is the second one a second one.
#[test]
fn a_second_sigint_ends_the_container() {
    undisturbed(|| {
        let store = Store::new();
        let mut child = endless(&store, &["--rm"], "host");
        signal(&child, Signal::SIGINT);
        let mut said = String::new();
        let mut err = BufReader::new(child.stderr.take().expect("it is piped"));
        err.read_line(&mut said).expect("text");
        assert!(said.contains("once more"), "{said}");
        signal(&child, Signal::SIGINT);
        Ending::from(child.wait_with_output().expect("it ends")).assert_status(137);
        store.assert_no_container();
    });
}

#[test]
fn a_command_that_hears_a_signal_gets_it() {
    undisturbed(|| {
        let store = Store::new();
        for (name, heard) in [("INT", Signal::SIGINT), ("TERM", Signal::SIGTERM)] {
            let script =
                format!("trap 'exit 42' {name}; echo ready; while :; do sleep 0.1; done");
            let run = store.run(&["host", "sh", "-c", &script]);
            let mut child = run.start();
            let mut line = String::new();
            let out = child.stdout.as_mut().expect("it is piped");
            BufReader::new(out).read_line(&mut line).expect("text");
            signal(&child, heard);
            Ending::from(child.wait_with_output().expect("it ends")).assert_status(42);
        }
    });
}

fn clean(store: &Store) -> Ending {
    let mut lab = Command::new(program("lab"));
    let lab = lab.args(["clean", "--root"]).arg(store.path());
    Ending::from(lab.output().expect("lab is built"))
}

#[test]
fn lab_clean_says_what_it_removed() {
    undisturbed(|| {
        let store = Store::new();
        store.on_host("true");
        killed(endless(&store, &["--name", "box"], "host"));
        let ids = fs::read_dir(store.path().join("containers")).expect("it is there");
        let ids: Vec<_> = ids.flatten().map(|entry| entry.file_name()).collect();
        let short = &ids[0].to_str().expect("it is hexadecimal")[..12];
        let first = clean(&store);
        assert!(first.assert_status(0).out.contains(short), "{first:?}");
        store.assert_no_container();
        let second = clean(&store);
        assert!(second.assert_status(0).out.contains("nothing"), "{second:?}");
    });
}

#[test]
fn twenty_one_after_another() {
    undisturbed(|| {
        let store = Store::new();
        for status in 0..20 {
            let exit = format!("exit {status}");
            let run = store.run(&["host", "sh", "-c", &exit]).end();
            run.assert_status(status).assert_quiet();
        }
        store.assert_no_container();
    });
}

#[test]
fn ten_at_once() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let image = |number| if number % 2 == 0 { "host" } else { "busybox" };
        let start = |number: i32| {
            let script =
                format!("echo {number} > /etc/mine; cat /etc/mine; exit {number}");
            store.run(&[image(number), "sh", "-c", &script]).start()
        };
        let all: Vec<Child> = (0..10).map(start).collect();
        for (number, child) in (0..).zip(all) {
            let ending = Ending::from(child.wait_with_output().expect("it ends"));
            let out = &ending.assert_status(number).assert_quiet().out;
            assert_eq!(*out, format!("{number}\n"));
        }
        store.assert_no_container();
    });
}

/// An overlay cannot carry the upper layer of another one.
#[test]
fn where_the_store_can_carry_no_layer_memory_does() {
    undisturbed(|| {
        let folder = Folder::new("overlay");
        let script = "mount -t tmpfs scratch $0 && mkdir $0/l $0/u $0/w $0/m &&
            mount -t overlay o -o lowerdir=$0/l,upperdir=$0/u,workdir=$0/w $0/m && \"$@\"";
        let place = folder.path().display().to_string();
        let root = folder.at("m/store");
        let touch = "echo written > /etc/new && cat /etc/new";
        let run = Engine::on(&root, &["run", "--rm", "host", "sh", "-c", touch]);
        let ending =
            run.inside(&["unshare", "--mount", "sh", "-c", script, &place]).end();
        assert_eq!(ending.assert_status(0).out, "written\n");
        let warned =
            ending.err.starts_with("warning: ") && ending.err.lines().count() == 1;
        assert!(warned, "{ending:?}");
    });
}

/// That it has ended cannot be written down; what it has written stays all the same.
#[test]
fn a_full_disk_takes_no_container_away() {
    undisturbed(|| {
        let folder = Folder::new("small");
        let script = r#"
            mount -t tmpfs -o size=16m none "$0" || exit
            f() { "$FAKEDOCKER" --root "$PLACE/store" "$@"; }
            f import "$IMAGE" box > "$PLACE/id"
            fill='until [ -e /go ]; do sleep 0.1; done; cat /dev/zero > /fill; exit 3'
            f run -d --network none -e "$MARK" --name full box sh -c "$fill" > "$PLACE/id"
            f exec full touch /go
            f wait full > /dev/null
            f ps -a --format '{{.Names}}' && f rm full && f ps -aq"#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).arg(folder.path());
        command.env("FAKEDOCKER", program("fakedocker")).env("IMAGE", tiny());
        command.env("PLACE", folder.path()).env("MARK", MARK);
        let ending = Ending::from(mark(&mut command).output().expect("it starts"));
        assert_eq!(ending.assert_status(0).out, "full\nfull\n", "{ending:?}");
        assert!(ending.err.contains("warning: container "), "{ending:?}");
    });
}
