//! Does it all hold when there are many, one after the other and at once?
//!
//! `FAKEDOCKER_TEST_RUNS=1000` says how many run one after the other: `scripts/check --long` does.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use crate::support::engine::{Ending, Store};
use crate::support::machine::undisturbed;
use crate::support::processes::MARK;
use crate::support::rootfs::tiny;
use crate::support::wait::{slowness, until};

/// One after the other, unless somebody wants more: a few seconds.
const RUNS: usize = 30;
/// Started at the same moment.
const AT_ONCE: usize = 100;
/// There at the same time.
const THERE: usize = 200;
/// Every so many, one is at the bridge.
const AT_THE_BRIDGE: usize = 10;

fn runs() -> usize {
    let told = env::var("FAKEDOCKER_TEST_RUNS").ok();
    told.and_then(|count| count.parse().ok()).unwrap_or(RUNS)
}

/// As many as a machine can have that is so slow.
fn few(count: usize) -> usize {
    count.div_ceil(usize::try_from(slowness()).unwrap_or(1))
}

/// Some of them are at the bridge.
fn network(number: usize) -> &'static str {
    if number.is_multiple_of(AT_THE_BRIDGE) { "bridge" } else { "none" }
}

/// How container `number` is to end: each number that there is has its turn.
fn status(number: usize) -> i32 {
    i32::try_from(number % 256).expect("it is below 256")
}

/// `run --rm` of container `number`.
fn run(store: &Store, number: usize) -> Child {
    let script = format!("echo {number}; exit {}", status(number));
    store.run(&["--network", network(number), "box", "sh", "-c", &script]).start()
}

fn assert_right(number: usize, ending: &Ending) {
    ending.assert_status(status(number)).assert_quiet();
    assert_eq!(ending.out, format!("{number}\n"));
}

fn ending(child: Child) -> Ending {
    Ending::from(child.wait_with_output().expect("it ends"))
}

/// All that is in the store; the record of events becomes two files when it is long.
fn contents(store: &Store) -> BTreeSet<PathBuf> {
    let mut contents = store.contents();
    contents.remove(&store.path().join("events.1"));
    contents
}

/// `scene` leaves the store as it is after one container.
fn leaves_nothing(scene: impl FnOnce(&Store)) {
    undisturbed(|| {
        let store = Store::with("box", &tiny());
        assert_right(0, &ending(run(&store, 0)));
        let before = contents(&store);
        scene(&store);
        store.assert_no_container();
        assert_eq!(contents(&store), before);
    });
}

#[test]
fn one_after_the_other_ends_right_and_leaves_nothing() {
    leaves_nothing(|store| {
        for number in 1..few(runs()) {
            assert_right(number, &ending(run(store, number)));
        }
    });
}

#[test]
fn all_at_once_end_right_and_leave_nothing() {
    leaves_nothing(|store| {
        let all: Vec<Child> =
            (0..few(AT_ONCE)).map(|number| run(store, number)).collect();
        for (number, child) in all.into_iter().enumerate() {
            assert_right(number, &ending(child));
        }
    });
}

/// It ends when it is asked to.
const PATIENT: &str = "trap 'exit 7' TERM; echo ready; tail -f /dev/null & wait";

/// `fakedocker WORDS NAMES`, to a good end; the lines of its output.
fn lines(store: &Store, words: &[&str], names: &[&str]) -> Vec<String> {
    let told = store.engine(&[words, names].concat()).end();
    told.assert_status(0).assert_quiet().out.lines().map(String::from).collect()
}

#[test]
fn two_hundred_at_once_are_seen_and_stopped_and_removed() {
    undisturbed(|| {
        let store = Store::with("box", &tiny());
        let start = ["run", "-d", "--network", "none", "-e", MARK, "box", "sh", "-c"];
        let ids: Vec<String> = (0..few(THERE))
            .map(|_| lines(&store, &start, &[PATIENT]).remove(0))
            .collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let newest: Vec<&str> = ids.iter().rev().copied().collect();
        assert_eq!(lines(&store, &["ps", "-q", "--no-trunc"], &[]), newest);
        let rows = lines(&store, &["ps", "--no-trunc"], &[]);
        let listed = rows[1..].iter().filter_map(|row| row.split_whitespace().next());
        assert_eq!(listed.collect::<Vec<_>>(), newest);
        assert!(rows[1..].iter().all(|row| row.contains("   Up ")), "{rows:#?}");

        let known = lines(&store, &["inspect", "-f", "{{.Id}} {{.State.Status}}"], &ids);
        let running = ids.iter().map(|id| format!("{id} running"));
        assert_eq!(known, running.collect::<Vec<_>>());
        let stats = ["stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}"];
        let seen: BTreeSet<String> = lines(&store, &stats, &[]).into_iter().collect();
        assert_eq!(seen, ids.iter().map(ToString::to_string).collect());

        ids.iter().for_each(|id| await_ready(store.path(), id));
        assert_eq!(lines(&store, &["stop"], &ids), ids);
        let ended = lines(&store, &["inspect", "-f", "{{.State.ExitCode}}"], &ids);
        assert_eq!(ended, vec!["7"; ids.len()]);
        assert_eq!(lines(&store, &["ps", "-q"], &[]), [""; 0]);
        assert_eq!(lines(&store, &["rm"], &ids), ids);
        store.assert_no_container();
    });
}

/// By its log itself: nobody has to start a program for that.
fn await_ready(store: &Path, id: &str) {
    let log = store.join("containers").join(id).join("log");
    until("its word", || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        log.contains("ready").then_some(())
    });
}
