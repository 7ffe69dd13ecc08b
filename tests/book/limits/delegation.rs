//! Can somebody who is not root limit processes?
//!
//! In a part of the tree that root has given away (delegation), as systemd does it for
//! `systemd-run --user --scope -p Delegate=yes`: the folder of a group, and the files by which
//! processes are moved and controllers let through, belong to the student. Only version 2
//! can do it. Read cgroups(7), "Cgroups delegation".

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use cgroup::{Hierarchy, Version};

use super::lessons::is_about_a_limit;
use crate::support::lessons;
use crate::support::machine::undisturbed;
use crate::support::skip::skip;
use crate::unprivileged::{Ending, Programs, STUDENT};

/// Lessons that take more than a group: a loop device, a program in the kernel, a namespace.
const PRIVILEGED: [&str; 3] = ["io", "devices", "cgroup-ns"];

/// What the lessons want to be let through.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// The lessons about limits that a group is enough for.
fn names() -> Vec<String> {
    let all = lessons().into_iter().filter(|folder| is_about_a_limit(folder));
    let name = |folder: String| folder.split_once('-').map(|(_, name)| name.to_string());
    all.filter_map(name).filter(|name| !PRIVILEGED.contains(&name.as_str())).collect()
}

/// Where version 2 is, if it has what the lessons want; None is told, as of `test`.
fn on_v2(test: &str) -> Option<PathBuf> {
    let all = Hierarchy::all().expect("mountinfo can be read");
    let has_all =
        |it: &Hierarchy| CONTROLLERS.iter().all(|controller| it.has(controller));
    let found = all.into_iter().find(|it| it.version == Version::V2 && has_all(it));
    if found.is_none() {
        let why = format!("version 2 does not have {} here", CONTROLLERS.join(", "));
        skip(&format!("limits::delegation::{test}"), why);
    }
    found.map(|it| it.at)
}

/// A group that root has given to the student. Dropped, all is as it was.
struct Given {
    folder: PathBuf,
    top: PathBuf,
    /// What was let through only for us.
    let_through: Vec<&'static str>,
}

impl Given {
    fn new(top: &Path) -> Given {
        let control = top.join("cgroup.subtree_control");
        let before = fs::read_to_string(&control).expect("version 2 has it");
        let is_new = |it: &&str| !before.split_whitespace().any(|word| word == *it);
        let let_through: Vec<_> = CONTROLLERS.into_iter().filter(is_new).collect();
        for controller in &let_through {
            fs::write(&control, format!("+{controller}")).expect("we are root");
        }
        let folder = top.join("fakedocker-given");
        fs::create_dir(&folder).expect("we are root");
        let given = Given { folder, top: top.to_path_buf(), let_through };
        let student = STUDENT.parse().ok();
        for name in ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
            chown(given.folder.join(name), student, student).expect("we are root");
        }
        given
    }

    /// The lesson `name`, started by the student as the only process of this group.
    fn play(&self, programs: &Programs, name: &str, args: &[&str]) -> Ending {
        let enter = format!("echo $$ >{}/cgroup.procs", self.folder.display());
        programs.run(&enter, &[&[name][..], args].concat())
    }

    fn assert_empty(&self) {
        let entries = fs::read_dir(&self.folder).expect("it is there").flatten();
        let groups: Vec<_> = entries.filter(|it| it.path().is_dir()).collect();
        assert!(groups.is_empty(), "{groups:?}");
        for name in ["cgroup.procs", "cgroup.subtree_control"] {
            let text = fs::read_to_string(self.folder.join(name)).expect("it has it");
            assert_eq!(text.trim(), "", "{name}");
        }
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        // A test that has failed may have left groups of the student's in it.
        fs::write(self.folder.join("cgroup.kill"), "1").ok();
        let find =
            |words: &[&str]| Command::new("find").arg(&self.folder).args(words).status();
        find(&["-depth", "-type", "d", "-delete"]).ok();
        for controller in &self.let_through {
            let control = self.top.join("cgroup.subtree_control");
            fs::write(control, format!("-{controller}")).ok();
        }
    }
}

#[test]
fn who_was_given_a_part_of_the_tree_limits_there() {
    let test = "who_was_given_a_part_of_the_tree_limits_there";
    let Some(top) = on_v2(test) else { return };
    undisturbed(|| {
        let programs = Programs::copied(&names());
        let given = Given::new(&top);
        for name in names() {
            eprintln!("{name}"); // shown by Cargo when the test fails
            let ending = given.play(&programs, &name, &["--", "true"]);
            ending.assert(0, &[]);
            assert_eq!(ending.proved(), 1, "{}", ending.out);
            given.assert_empty();
        }
    });
}

/// The engine, as the student runs it: a shell's words, with the store in memory and busybox
/// as the image.
fn container(flags: &str, command: &str) -> String {
    let image = "mkdir -p /mnt/root/bin && cp /bin/busybox /mnt/root/bin/busybox";
    format!(
        "{image} && exec $0 --root /mnt/store run --rm --network none {flags} \
         --rootfs /mnt/root /bin/busybox {command}"
    )
}

#[test]
fn who_was_given_a_part_of_the_tree_limits_containers_there() {
    let test = "who_was_given_a_part_of_the_tree_limits_containers_there";
    let Some(top) = on_v2(test) else { return };
    undisturbed(|| {
        let programs = Programs::copied(&["fakedocker".to_string()]);
        let given = Given::new(&top);
        let room = "mount -t tmpfs -o mode=1777 tmpfs /mnt";
        let enter = format!("{room}; echo $$ >{}/cgroup.procs", given.folder.display());
        let limits = "-m 64m --pids-limit 10 --cpus 0.5";
        let files = ["pids.max", "memory.max", "cpu.max"]
            .map(|it| format!("/sys/fs/cgroup/{it}"));
        let script = container(limits, &format!("cat {}", files.join(" ")));
        let ours = programs.path("fakedocker");
        let ending = programs.run(&enter, &["sh", "-c", &script, &ours]);
        ending.assert(0, &["10", "67108864", "50000 100000"]);
        given.assert_empty();
        // Without a part of the tree a container runs as ever, but with no limit.
        let enter = format!("{room}; echo $$ >{}/cgroup.procs", top.display());
        let run =
            |flags| programs.run(&enter, &["sh", "-c", &container(flags, "true"), &ours]);
        run("").assert(0, &[]);
        let how = "`systemd-run --user --scope -p Delegate=yes PROGRAM`";
        run("-m 64m").assert(125, &["EACCES (Permission denied)", how]);
    });
}

#[test]
fn who_was_given_nothing_is_told_how_to_get_it() {
    let Some(top) = on_v2("who_was_given_nothing_is_told_how_to_get_it") else { return };
    undisturbed(|| {
        let programs = Programs::copied(&names());
        for name in names() {
            let enter = format!("echo $$ >{}/cgroup.procs", top.display());
            let ending = programs.run(&enter, &[&name, "--", "true"]);
            let how = "`systemd-run --user --scope -p Delegate=yes PROGRAM`";
            ending.assert(125, &["EACCES (Permission denied)", how]);
            assert_eq!(ending.err.lines().count(), 2, "{}", ending.err);
        }
    });
}
