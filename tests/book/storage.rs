//! Does lesson 19 measure every way, and leave nothing?
//!
//! It contains nobody, so that lessons.rs leaves it to us. `scripts/check` plays `storage::`
//! a second time in the lab VM, whose kernel has what this one may lack.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::lessons::{brief, in_brief, lesson, run};
use crate::loops;
use crate::support::machine::{Machine, command, undisturbed};
use crate::support::skip::not_tried;
use crate::support::wait::until;

/// All that the table has a line for; the last two are in no stock kernel.
const WAYS: [&str; 8] =
    ["copy", "links", "reflink", "btrfs", "mapper", "overlay", "AUFS", "ZFS"];

/// What has to be there for the mapped devices.
fn has_mapper() -> bool {
    Path::new("/dev/mapper/control").exists()
}

#[test]
fn every_way_is_measured_or_there_is_a_reason() {
    let ending = undisturbed(|| run(&mut brief("cow")));
    ending.assert_status(0).assert_proved();
    for way in WAYS {
        let is_about = |line: &&str| line.starts_with(&format!("  {way} "));
        let row = ending.out.lines().rfind(is_about).unwrap_or_default();
        let not_run = row.contains("not run: ");
        assert!(not_run || row.contains('░'), "no row for {way}:\n{}", ending.out);
        assert!(not_run || WAYS[..6].contains(&way), "{way} was not run:\n{row}");
    }
    let untried = ending.out.lines().filter_map(|it| it.strip_prefix("○ not tried: "));
    for what in untried {
        let missing = !(what.starts_with("mapper") && has_mapper());
        assert!(missing, "there is a device mapper:\n{}", ending.out);
        not_tried("storage::every_way_is_measured_or_there_is_a_reason", what);
    }
}

#[test]
fn it_speaks_as_all_lessons_do() {
    undisturbed(|| {
        let links = |arguments: &[&str]| {
            let mut cow = brief("cow");
            run(cow.args(["--only", "links"]).args(arguments))
        };
        let quiet = links(&["--quiet"]);
        quiet.assert_status(0).assert_proved();
        assert!(!quiet.out.contains('→'), "{}", quiet.out);
        let json = links(&["--json"]);
        json.assert_status(0);
        let parse = |line: &str| -> Value { serde_json::from_str(line).expect(line) };
        let events: Vec<Value> = json.out.lines().map(parse).collect();
        let verdict = events.last().expect("there are events");
        assert_eq!(verdict["proved"], true, "{}", json.out);
        for wrong in [["--files", "99"], ["--size", "513"], ["--only", "zfs"]] {
            let ending = run(lesson("cow").args(wrong));
            ending.assert_status(2);
            assert!(ending.err.starts_with("error: invalid value"), "{}", ending.err);
        }
    });
}

/// The mapped devices of lessons, which the whole machine sees.
fn mapped() -> Vec<String> {
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let names =
        disks.filter_map(|disk| fs::read_to_string(disk.path().join("dm/name")).ok());
    names.filter(|name| name.starts_with("fakedocker-")).collect()
}

/// Start the way that has most to leave behind, and send `signal` when it has said `word`.
fn end_by(signal: Signal, word: &str) {
    let way = if has_mapper() { "mapper" } else { "reflink" };
    let mut cow = command("cow");
    cow.args(["--only", way]).args(in_brief("cow"));
    let mut cow: Child = cow.stdout(Stdio::piped()).spawn().expect("the lesson starts");
    let said = BufReader::new(cow.stdout.take().expect("it is a pipe"));
    let mut lines = said.lines().map(|line| line.expect("lessons speak UTF-8"));
    lines.find(|line| line.contains(word)).expect("it says that");
    let pid = i32::try_from(cow.id()).expect("a PID is an i32");
    kill(Pid::from_raw(pid), signal).expect("it is our child");
    lines.for_each(drop);
    cow.wait().expect("it is our child");
}

/// What the kernel takes a moment to clear away.
fn await_no_disk(before: &BTreeSet<PathBuf>) {
    until("the mapped devices' end", || mapped().is_empty().then_some(()));
    until("the disks' end", || (loops::ours() == *before).then_some(()));
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    undisturbed(|| {
        let before = loops::ours();
        for word in ["LOOP_CONFIGURE", "disk ", "start "] {
            end_by(Signal::SIGINT, word);
            await_no_disk(&before);
        }
    });
}

#[test]
fn after_a_kill_lab_clean_clears_away() {
    let early = if has_mapper() { "DM_DEV_CREATE" } else { "mount(\"/dev/loop" };
    undisturbed(|| {
        let before = loops::ours();
        for word in [early, "start "] {
            let machine = Machine::look();
            end_by(Signal::SIGKILL, word);
            // As long as its child is there, the notes are held.
            machine.assert_same(&["processes", "mounts"]);
            run(lesson("lab").arg("clean")).assert_status(0);
            await_no_disk(&before);
        }
    });
}
