//! Does `--init` do what number 1 must do, and does it keep to itself what it is?
//!
//! With the same container without it as the control.

use std::io::{BufRead, BufReader};
use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::engine::{Ending, Store};
use crate::support::machine::undisturbed;
use crate::support::processes;
use crate::support::rootfs::busybox;
use crate::support::student::Student;
use crate::support::wait::until;

/// Leaves an orphan behind, which ends when it is let; the command itself waits for nobody.
const LEAVES_ORPHAN: &str = "mkfifo /tmp/end
    sh -c '(cat /tmp/end & echo $! >/tmp/orphan)'; exec tail -f /dev/null";

/// Lets the orphan end, once nobody is there any more who might wait for it by accident.
const LETS_IT_END: &str = "grep -qx tail /proc/[12]/comm && : >/tmp/end";

/// The state of the orphan, as who joins the container sees it: none when it is gone.
const ORPHAN: &str = "read pid </tmp/orphan; ! test -e /proc/$pid ||
    sed 's/.*) \\(.\\).*/\\1/' /proc/$pid/stat";

/// A container called `box` that plays `script`.
fn container(store: &Store, flags: &[&str], script: &str) -> Child {
    let own = ["run", "--rm", "--name", "box", "-e", processes::MARK];
    store.engine(&[&own, flags, &["host", "sh", "-c", script]].concat()).start()
}

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a PID is an i32");
    kill(Pid::from_raw(pid), signal).expect("it is there");
}

/// Send it SIGTERM, and wait for its end.
fn terminate(child: Child) -> Ending {
    send(&child, Signal::SIGTERM);
    Ending::from(child.wait_with_output().expect("it ends"))
}

/// Let the orphan end, and see it reach what `becomes` of it: nothing, or its last state.
fn follow_orphan(store: &Store, becomes: &str) {
    let visit = |script: &str| store.engine(&["exec", "box", "sh", "-c", script]).end();
    until("a container whose orphan waits", || {
        (visit(LETS_IT_END).status == Some(0)).then_some(())
    });
    until("the orphan's fate", || {
        let seen = visit(ORPHAN);
        let state = seen.out.trim();
        // Where nobody waits, it can not be gone.
        assert!(becomes.is_empty() || !state.is_empty(), "{seen:#?}");
        (seen.status == Some(0) && state == becomes).then_some(())
    });
}

#[test]
fn an_orphan_is_waited_for() {
    undisturbed(|| {
        let store = Store::new();
        for (flags, becomes, status) in [(&["--init"][..], "", 143), (&[], "Z", 137)] {
            let child = container(&store, flags, LEAVES_ORPHAN);
            follow_orphan(&store, becomes);
            // tail(1) has no handler: as number 1 it hears nothing, and is ended for good.
            terminate(child).assert_status(status);
        }
        store.assert_no_container();
    });
}

#[test]
fn the_command_is_number_two_and_its_status_is_passed_on() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let run = |flags: &[&str], script: &str| {
            store.run(&[flags, &["busybox", "sh", "-c", script]].concat()).end()
        };
        for flags in [&["--init"][..], &["--init", "--userns", "100000:65536"]] {
            let seen = run(flags, "echo $$ $PPID; cat /proc/1/comm; exit 9");
            assert_eq!(seen.assert_status(9).assert_quiet().out, "2 1\ninit\n");
            run(flags, "kill -KILL $$").assert_status(137);
        }
        assert_eq!(run(&[], "echo $$").assert_status(0).out, "1\n");
        let typed = store.run(&["-i", "--init", "host", "sh"]).end_with("exit 4\n");
        typed.assert_status(4);
        for (command, status) in [("no-such-program", 127), ("/etc", 126)] {
            let failed = store.run(&["--init", "host", command]).end();
            let error = failed.assert_status(status).assert_one_error();
            assert!(error.contains(command), "{error}");
        }
        store.assert_no_container();
    });
}

#[test]
fn signals_are_for_the_command() {
    undisturbed(|| {
        let store = Store::new();
        let script =
            "trap 'echo heard; exit 5' TERM; echo ready; while :; do sleep 0.1; done";
        let mut child = container(&store, &["--init"], script);
        let mut said = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it speaks");
        assert_eq!(line, "ready\n");
        send(&child, Signal::SIGTERM);
        said.read_line(&mut line).expect("it speaks");
        let ending = Ending::from(child.wait_with_output().expect("it ends"));
        assert_eq!(line, "ready\nheard\n");
        ending.assert_status(5);
    });
}

/// /proc/1 belongs to the engine's own process: it must not tell what the host has.
#[test]
fn number_one_shows_nothing_of_the_host() {
    undisturbed(|| {
        let store = Store::new();
        let script = "tr -d '\\0' </proc/1/environ; tr '\\0' ' ' </proc/1/cmdline; echo
            ls /proc/1/fd | tr '\\n' ' '; grep -c secret /proc/1/environ";
        let seen = store.run(&["--init", "host", "sh", "-c", script]);
        let seen = seen.env("HOSTS_OWN", "a secret").end();
        // Its fourth file is where it reads signals from.
        let out = seen.out.split_whitespace().collect::<Vec<_>>().join(" ");
        let hidden = seen.err.contains("Permission denied");
        assert!(hidden || out == "init 0 1 2 3 0", "{seen:#?}");
        assert!(
            !seen.out.contains("secret") && !seen.out.contains("--init"),
            "{seen:#?}"
        );
    });
}

#[test]
fn it_works_without_root_and_can_be_joined() {
    undisturbed(|| {
        let student = Student::with_numbers();
        for user in ["0", "1"] {
            let words = ["run", "--rm", "--init", "-i", "--name", "box", "-u", user];
            let child = student
                .engine(&[&words[..], &["-e", processes::MARK, "host", "cat"]].concat())
                .start();
            until("a container that can be joined", || {
                let join = ["exec", "box", "cat", "/proc/1/comm"];
                let seen = student.engine(&join).end();
                (seen.out == "init\n").then_some(())
            });
            // At the end of its input, cat(1) ends.
            Ending::from(child.wait_with_output().expect("it ends")).assert_status(0);
        }
    });
}
