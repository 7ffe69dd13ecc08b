//! Is who joins a container as much in it as who started it?
//!
//! `fakedocker exec` on a container that runs, that has ended, and that never was.

use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::killing::endless;
use crate::support::engine::{Ending, Store};
use crate::support::machine::undisturbed;
use crate::support::wait::until;

/// A container called `box` that can be joined.
fn container(store: &Store) -> Child {
    let flags =
        ["--rm", "--name", "box", "--hostname", "inner", "-e", "ITS=own", "-w", "/etc"];
    let child = endless(store, &flags, "host");
    let joined = || (join(store, &["true"]).status == Some(0)).then_some(());
    until("a container that can be joined", joined);
    child
}

fn join(store: &Store, command: &[&str]) -> Ending {
    store.engine(&[&["exec", "box"][..], command].concat()).end()
}

fn end(child: Child) {
    let pid = i32::try_from(child.id()).expect("a PID is an i32");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it is there");
    Ending::from(child.wait_with_output().expect("it ends")).assert_status(137);
}

#[test]
fn who_joins_sees_what_the_container_sees() {
    undisturbed(|| {
        let store = Store::new();
        let child = container(&store);
        let script =
            "hostname; pwd; echo $ITS; cat /proc/1/comm; ls /proc/self/fd | wc -l";
        let seen = join(&store, &["sh", "-c", script]);
        assert_eq!(
            seen.assert_status(0).assert_quiet().out,
            "inner\n/etc\nown\ntail\n4\n"
        );
        // Each sees the file of the other: it is one root file system, and not the host's.
        join(&store, &["sh", "-c", "echo here > /joined"]).assert_status(0);
        assert_eq!(join(&store, &["cat", "/joined"]).out, "here\n");
        assert!(!std::path::Path::new("/joined").exists());
        for kind in ["uts", "ipc", "pid", "mnt"] {
            let same = format!(
                "test $(readlink /proc/1/ns/{kind}) = $(readlink /proc/self/ns/{kind})"
            );
            join(&store, &["sh", "-c", &same]).assert_status(0);
        }
        end(child);
        store.assert_no_container();
    });
}

#[test]
fn its_flags_and_statuses_are_those_of_run() {
    undisturbed(|| {
        let store = Store::new();
        let child = container(&store);
        let flags = ["exec", "-i", "-w", "/usr", "-e", "ITS=mine", "box", "sh"];
        let piped = store.engine(&flags).end_with("pwd; echo $ITS; exit 9");
        assert_eq!(piped.assert_status(9).out, "/usr\nmine\n");
        assert_eq!(join(&store, &["cat"]).assert_status(0).out, "");
        join(&store, &["no-such-program"]).assert_status(127);
        join(&store, &["/etc"]).assert_status(126);
        let explained = store.engine(&["exec", "--explain", "box", "echo", "said"]).end();
        assert_eq!(explained.assert_status(0).out, "said\n");
        assert!(explained.err.contains("CLONE_NEWUTS|CLONE_NEWIPC"), "{}", explained.err);
        end(child);
        let gone = join(&store, &["true"]);
        assert!(gone.assert_status(1).err.contains("\"box\""), "{}", gone.err);
    });
}

#[test]
fn a_guest_ends_with_the_container() {
    undisturbed(|| {
        let store = Store::new();
        let child = container(&store);
        let guest = store.engine(&["exec", "box", "sleep", "infinity"]).start();
        let names = || join(&store, &["sh", "-c", "cat /proc/[0-9]*/comm"]).out;
        until("a guest that sleeps", || names().contains("sleep").then_some(()));
        end(child);
        Ending::from(guest.wait_with_output().expect("it ends")).assert_status(137);
        store.assert_no_container();
    });
}
