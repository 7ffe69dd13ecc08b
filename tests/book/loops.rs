//! Does the disk of lesson 14 go with whoever uses it?
//!
//! Loop devices are the whole machine's, and stay when their maker forgets them. Ours are told
//! to let go when nobody has them open, so that not even a killed lesson leaves one.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use block_io::disk::Disk;
use block_io::{Device, Direction, Traffic, throttle, traffic, weigh};
use cgroup::Group;
use stage::{Ledger, Stage};

use crate::support::machine::{command, undisturbed};
use crate::support::processes::await_one;
use crate::support::wait::until;

/// The loop devices whose blocks are in such memory as lesson 14 takes.
pub fn ours() -> BTreeSet<PathBuf> {
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let is_ours = |folder: &PathBuf| {
        fs::read_to_string(folder.join("loop/backing_file"))
            .is_ok_and(|file| file.starts_with("/memfd:disk"))
    };
    devices.map(|device| device.path()).filter(is_ours).collect()
}

/// Kill the lesson when `ready` says so: its disk goes by itself.
fn kill(arguments: &[&str], ready: impl Fn()) {
    undisturbed(|| {
        let before = ours();
        let mut io = command("io");
        io.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let mut io: Child = io.spawn().expect("the lesson starts");
        let made: Vec<PathBuf> = until("a disk", || {
            let made: Vec<PathBuf> = ours().difference(&before).cloned().collect();
            (!made.is_empty()).then_some(made)
        });
        ready();
        io.kill().expect("it is our child");
        io.wait().expect("it is our child");
        until("the disk's end", || {
            let now = ours();
            made.iter().all(|device| !now.contains(device)).then_some(())
        });
        // Whoever has the disk has the notes, too, perhaps for a moment longer.
        until("the notes' end", || {
            let mut clean = command("lab");
            assert!(clean.arg("clean").output().expect("lab runs").status.success());
            (Ledger::count("cgroup") == Ok(0)).then_some(())
        });
    });
}

#[test]
fn a_lesson_that_is_killed_leaves_no_disk() {
    kill(&["--", "sleep", "infinity"], || {
        await_one("COMMAND", |process| process.name == "sleep");
    });
}

#[test]
fn nor_does_one_that_is_killed_while_it_measures() {
    kill(&["--seconds", "60"], || {
        // The lesson itself, and its writer.
        until("a writer", || {
            let ours = crate::support::processes::ours();
            (ours.iter().filter(|process| process.name == "io").count() == 2)
                .then_some(())
        });
    });
}

#[test]
fn two_disks_are_two_devices() {
    undisturbed(|| {
        let stage = Stage::of_engine(false).expect("signals can be read");
        let make = || Disk::make(&stage, 1 << 20).expect("root may");
        let (first, second) = (make(), make());
        assert_ne!(first.device, second.device);
        assert_eq!(Device::at(&first.path).expect("it is a disk"), first.device);
    });
}

/// What the engine does with the lesson, whatever the kernel has to weigh with.
#[test]
fn a_group_is_limited_in_both_directions_and_weighed() {
    undisturbed(|| {
        let stage = Stage::of_engine(false).expect("signals can be read");
        let group = Group::make(&stage, "test-1", &["blkio"]).expect("root may");
        let disk = Disk::make(&stage, 1 << 20).expect("root may");
        for direction in [Direction::Read, Direction::Write] {
            throttle(&stage, &group, disk.device, direction, 1 << 20)
                .expect("it is there");
            throttle(&stage, &group, disk.device, direction, 0).expect("it is there");
        }
        let folder = group.folder("blkio").expect("it was made for this");
        let files = ["blkio.weight", "blkio.bfq.weight", "io.weight", "io.bfq.weight"];
        let can_weigh = files.iter().any(|name| folder.join(name).exists());
        assert_eq!(weigh(&stage, &group, 500), Ok(can_weigh));
        assert_eq!(traffic(&group), Ok(Traffic::default()));
        // The loop driver may make a disk for whatever number it is asked for.
        let nobodys = Device { major: 4000, minor: 1 };
        let refused = throttle(&stage, &group, nobodys, Direction::Read, 1 << 20);
        let refused = refused.expect_err("there is no such disk");
        assert!(refused.to_string().ends_with("ENODEV (No such device)"), "{refused}");
    });
}
