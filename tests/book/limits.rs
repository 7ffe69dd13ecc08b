//! Are groups where they belong, and is the tree as it was afterwards?
//!
//! The lessons about limits play on the hierarchies that the machine has. Here the library
//! of lesson 9 is also led where the machine's own controllers do not lead it: to version 2,
//! which on a hybrid machine may have nothing but hugetlb.
//!
//! `scripts/check` plays all tests that have `limits::` in their path a second time, in VMs
//! with the other versions of cgroups.

mod checks;
mod delegation;
pub mod lessons;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cgroup::{Group, Hierarchy, Version};
use memory::{Limits, Most, limit, limit_of};
use nix::errno::Errno;
use stage::Stage;

use crate::support::machine::undisturbed;
use crate::support::skip::skip;

/// What version 2 lets through at its top, if this machine has it.
fn let_through(top: &Path) -> String {
    let path = top.join("cgroup.subtree_control");
    fs::read_to_string(path).expect("version 2 has it in each group")
}

/// The first controller of version 2, and where its hierarchy is; None is told, as of `test`.
fn on_v2(test: &str) -> Option<(String, Hierarchy)> {
    let all = Hierarchy::all().expect("mountinfo can be read");
    let found = all.into_iter().find(|it| it.version == Version::V2);
    let found = found.filter(|it| !it.controllers.is_empty());
    if found.is_none() {
        skip(&format!("limits::{test}"), "no controller is on version 2 here");
    }
    found.map(|it| (it.controllers[0].clone(), it))
}

#[test]
fn what_version_2_was_made_to_let_through_is_taken_back() {
    let test = "what_version_2_was_made_to_let_through_is_taken_back";
    let Some((controller, hierarchy)) = on_v2(test) else { return };
    undisturbed(|| {
        let stage = Stage::of_engine(false).expect("signals can be read");
        let before = let_through(&hierarchy.at);
        let make = |name: &str| Group::make(&stage, name, &[&controller]).expect(name);
        let (first, second) = (make("test-1"), make("test-2"));
        let folder = first.folder(&controller).expect("it was made for this");
        let during = let_through(&hierarchy.at);
        assert!(during.split_whitespace().any(|it| it == controller), "{during}");
        let given = fs::read_to_string(folder.join("cgroup.controllers"));
        assert!(given.expect("each group has it").contains(&controller));
        first.remove(&stage).expect("nobody is in it");
        assert_eq!(let_through(&hierarchy.at), during, "the second one needs it");
        drop(second);
        assert_eq!(let_through(&hierarchy.at), before);
    });
}

/// The group that all of ours are in may have one of somebody else's in it, and so may the
/// hierarchy, with our name.
#[test]
fn groups_of_others_are_left_alone() {
    undisturbed(|| {
        let at = Hierarchy::of("pids").expect("it is mounted").at;
        let others = [at.join("fakedocker/other"), at.join("fakedocker-other")];
        let mut sleeper =
            Command::new("sleep").arg("infinity").spawn().expect("sleep starts");
        for group in &others {
            fs::create_dir_all(group).expect("root may");
            fs::write(group.join("cgroup.procs"), sleeper.id().to_string())
                .expect("root may");
        }
        let stage = Stage::of_engine(false).expect("signals can be read");
        let group = Group::make(&stage, "test-1", &["pids"]).expect("root may");
        group.remove(&stage).expect("nobody is in it");
        cgroup::sweep().expect("it can read its notes");
        assert_eq!(sleeper.try_wait().ok(), Some(None), "it runs");
        sleeper.kill().expect("it is our child");
        sleeper.wait().expect("it ends");
        for group in &others {
            fs::remove_dir(group).expect("it was left alone");
        }
        cgroup::sweep().expect("the group of ours goes when it is empty");
    });
}

#[test]
fn two_groups_of_one_name_are_refused() {
    undisturbed(|| {
        let stage = Stage::of_engine(false).expect("signals can be read");
        let first = Group::make(&stage, "test-1", &["pids"]).expect("root may");
        let second = Group::make(&stage, "test-1", &["pids"]);
        let error = second.err().expect("it is there already");
        assert_eq!(error.to_string(), "there is a group test-1 already");
        assert!(first.folder("pids").expect("it has one").is_dir());
    });
}

#[test]
fn who_is_in_a_group_that_goes_is_ended() {
    undisturbed(|| {
        let stage = Stage::of_engine(false).expect("signals can be read");
        let group =
            Group::make(&stage, "test-1", &["pids", "freezer"]).expect("root may");
        let mut sleeper =
            Command::new("sleep").arg("infinity").spawn().expect("sleep starts");
        let pid = i32::try_from(sleeper.id()).expect("a PID is an i32");
        group.add(&stage, stage::Pid::from_raw(pid)).expect("root may");
        let ended = std::thread::spawn(move || sleeper.wait());
        group.remove(&stage).expect("it is ended first");
        let status = ended.join().expect("no panic").expect("it is our child");
        assert!(!status.success(), "{status}");
    });
}

#[test]
fn memory_is_raised_and_lowered() {
    const MIB: u64 = 1 << 20;
    undisturbed(|| {
        let stage = Stage::of_engine(false).expect("signals can be read");
        let group = Group::make(&stage, "test-1", &["memory"]).expect("root may");
        let counts_swap = memory::counts_swap(&group).expect("it is for memory");
        let set = |bytes: Option<u64>, with_swap| {
            let bytes = bytes.map(|mib| mib * MIB);
            limit(&stage, &group, &Limits { bytes, with_swap })?;
            limit_of(&group)
        };
        let total = |mib: u64| counts_swap.then_some(Most::Bytes(mib * MIB));
        assert_eq!(limit_of(&group), Ok(None));
        assert_eq!(set(None, None), Ok(None));
        for mib in [64, 200, 32] {
            // By the usual rule, without swap, and with all that there is.
            for with_swap in [None, total(mib), Some(Most::Unlimited), total(mib + 1)] {
                assert_eq!(set(Some(mib), with_swap), Ok(Some(mib * MIB)));
            }
        }
        assert_eq!(set(None, total(500)), Ok(Some(32 * MIB)));
        for (mib, with_swap) in [(5, None), (64, Some(Most::Bytes(63 * MIB)))] {
            let refused = set(Some(mib), with_swap).map_err(|error| error.errno());
            assert_eq!(refused, Err(None), "{mib} {with_swap:?}");
        }
        assert_eq!(limit_of(&group), Ok(Some(32 * MIB)));
        if !counts_swap {
            let refused = set(Some(64), Some(Most::Bytes(64 * MIB)));
            assert_eq!(refused.map_err(|error| error.errno()), Err(Some(Errno::ENOENT)));
        }
    });
}

/// Where the devices have a hierarchy of version 1, a group of version 2 has its say, too.
#[test]
fn a_program_forbids_devices_in_version_2() {
    let test = "a_program_forbids_devices_in_version_2";
    let Some((controller, _)) = on_v2(test) else { return };
    undisturbed(|| {
        let stage = Stage::of_engine(false).expect("signals can be read");
        let group = Group::make(&stage, "test-1", &[&controller]).expect("root may");
        let script = "read go; for it in null kmsg; do true </dev/$it && echo $it; done";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.stderr(Stdio::piped()).spawn().expect("sh starts");
        let pid = i32::try_from(shell.id()).expect("a PID is an i32");
        group.add(&stage, stage::Pid::from_raw(pid)).expect("root may");
        let version = group.version(devices::CONTROLLER).expect("every group has it");
        assert_eq!(version, Version::V2);
        devices::allow_only(&stage, &group, &devices::DEFAULT).expect("it is loaded");
        shell.stdin.take().expect("a pipe").write_all(b"go\n").expect("it listens");
        let output = shell.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "null\n");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(complaint.contains("Operation not permitted"), "{complaint}");
        group.remove(&stage).expect("nobody is in it");
    });
}
