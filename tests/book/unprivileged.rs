//! Can the course be walked without sudo?
//!
//! A student without privilege plays every lesson as `user -- LESSON`, and is told what to
//! do where the kernel refuses. The student is nobody in particular, and the programs are
//! copied to where anybody may read them, because the build may lie in somebody's home.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::lessons::{UNCONTAINED, acts};
use crate::support::machine::undisturbed;
use crate::support::skip::is_untried;
use crate::support::wait::slowness;
use crate::support::{copy_program, lessons, processes, program};

/// The student's number: it needs no name.
pub const STUDENT: &str = "1234";

/// A folder with programs that the student may run.
pub struct Programs(PathBuf);

impl Programs {
    pub fn copied(names: &[String]) -> Programs {
        let folder = format!("fakedocker-unprivileged-{}", std::process::id());
        let copies = Programs(std::env::temp_dir().join(folder));
        fs::create_dir(&copies.0).expect("the temporary folder can be written");
        let all = || Permissions::from_mode(0o755);
        fs::set_permissions(&copies.0, all()).expect("the folder is ours");
        for name in names {
            let copy = copies.0.join(name);
            copy_program(&program(name), &copy);
            fs::set_permissions(&copy, all()).expect("the copy is ours");
        }
        copies
    }

    /// As the student, with `before` run first by a root in a mount namespace of its own.
    pub fn run(&self, before: &str, words: &[&str]) -> Ending {
        let script = format!(
            "{before}\nexec setpriv --reuid={STUDENT} --regid={STUDENT} --clear-groups \"$@\""
        );
        let mut command = Command::new("timeout");
        let seconds = (120 * slowness()).to_string();
        command.args(["--kill-after=5", &seconds, "unshare", "--mount"]);
        command.args(["sh", "-ec", &script, "sh"]);
        let ours = self.0.join(words[0]);
        command.arg(if ours.exists() { ours } else { words[0].into() }).args(&words[1..]);
        command.current_dir("/").env_remove("XDG_RUNTIME_DIR");
        Ending::of(processes::mark(&mut command).output().expect("unshare is there"))
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        // Another test's failure tells more than files that are left in /tmp.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// How a program ended, and what it said.
pub struct Ending {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ending {
    fn of(output: Output) -> Ending {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        Ending { status: output.status.code().unwrap_or(-1), out, err }
    }

    /// It ended with `status`, said these lines on standard output or error.
    pub fn assert(&self, status: i32, said: &[&str]) {
        let (out, err) = (&self.out, &self.err);
        assert_eq!(self.status, status, "\n{out}\n{err}");
        for line in said {
            let is_said = out.contains(line) || err.contains(line);
            assert!(is_said, "nobody said {line:?}:\n{out}\n{err}");
        }
    }

    /// Whether the lesson cannot be tried here, as it says; that is told.
    fn is_untried(&self, test: &str, what: &str) -> bool {
        let said = format!("{}{}", self.out, self.err);
        is_untried(&format!("unprivileged::{test}"), what, self.status, &said)
    }

    /// How many claims were proved; none may be refuted.
    pub fn proved(&self) -> usize {
        assert!(!self.out.contains('✗'), "{}", self.out);
        self.out.lines().filter(|line| line.starts_with('✓')).count()
    }
}

fn names() -> Vec<String> {
    let name = |folder: &String| folder.split_once('-').map(|(_, name)| name.to_string());
    lessons().iter().filter_map(name).collect()
}

fn student(play: impl FnOnce(&Programs)) {
    undisturbed(|| play(&Programs::copied(&names())));
}

const ROOT_IS_STUDENT: &str =
    "✓ numbers are translated: root inside is user 1234 outside";

/// Lessons that a user namespace does not help, and what they are refused. Groups belong to
/// the host's root, or to whom it has given a part of the tree (version 2); so do disks.
const HOSTS: [(&str, &str); 10] = [
    ("cgroup", "mkdirat("),
    ("cgroup-cpu", "mkdirat("),
    ("cpuset", "mkdirat("),
    ("memory", "mkdirat("),
    ("pids", "mkdirat("),
    ("io", "mkdirat("),
    ("freezer", "mkdirat("),
    ("devices", "mkdirat("),
    ("cgroup-ns", "mkdirat("),
    ("cow", "openat(\"/dev/loop-control\""),
];

fn is_hosts(name: &str) -> bool {
    HOSTS.iter().any(|(known, _)| *known == name)
}

#[test]
fn every_lesson_is_played_without_sudo() {
    student(|programs| {
        for name in names().iter().filter(|name| !is_hosts(name)) {
            eprintln!("{name}"); // shown by Cargo when the test fails
            let path = programs.path(name);
            let ending =
                programs.run("", &["user", "--", &path, "--", "sh", "-c", "exit 7"]);
            if ending.is_untried("every_lesson_is_played_without_sudo", name) {
                continue;
            }
            ending.assert(7, &[ROOT_IS_STUDENT]);
            assert_eq!(ending.proved(), 2, "{}", ending.out);
        }
    });
}

/// WSL2 has drivers there, a VM the modules of its kernel.
#[test]
fn a_folder_with_mounts_below_it_is_shown_as_it_is() {
    student(|programs| {
        let path = programs.path("pivot");
        let mount = "mount -t tmpfs none /usr/local";
        let ending =
            programs.run(mount, &["user", "--", &path, "--", "ls", "/usr/bin/env"]);
        let shown = "(locked mounts below /usr: it is shown as it is)";
        ending.assert(0, &[shown, "\n/usr/bin/env\n"]);
        assert_eq!(ending.proved(), 2, "{}", ending.out);
    });
}

#[test]
fn every_further_act_is_played_without_sudo() {
    let acts = acts();
    student(|programs| {
        for (name, act) in acts.iter().filter(|(name, _)| !is_hosts(name)) {
            eprintln!("{name} {act}");
            let ending = programs.run("", &["user", "--", &programs.path(name), act]);
            let what = format!("{name} {act}");
            if ending.is_untried("every_further_act_is_played_without_sudo", &what) {
                continue;
            }
            ending.assert(0, &[ROOT_IS_STUDENT]);
            assert_eq!(ending.proved(), 2, "{}", ending.out);
        }
    });
}

/// A refusal is an answer, too, if it says what to do; it leaves nothing behind.
#[test]
fn what_belongs_to_the_host_is_refused_with_a_hint() {
    student(|programs| {
        for (name, call) in HOSTS {
            eprintln!("{name}");
            let path = programs.path(name);
            let command =
                if UNCONTAINED.contains(&name) { &[][..] } else { &["--", "true"] };
            for (before, proved) in [(&["user", "--", &path][..], 1), (&[name], 0)] {
                let ending = programs.run("", &[before, command].concat());
                let refused = format!("error: {call}");
                ending.assert(125, &[&refused, "): EACCES (", "hint: "]);
                assert!(ending.err.contains("run it with sudo"), "{}", ending.err);
                assert_eq!(ending.proved(), proved, "{}", ending.out);
            }
        }
    });
}

#[test]
fn the_hint_leads_to_this_lesson() {
    student(|programs| {
        let ending = programs.run("", &["uts", "--", "true"]);
        ending.assert(125, &["hint: run it with sudo, or as `user -- uts` (lesson 5)\n"]);
    });
}

/// A name and numbers for the student, in copies that only this mount namespace has.
const ENTITLED: &str = "mount -t tmpfs tmpfs /mnt
    echo student:x:1234:1234::/:/bin/sh >/mnt/passwd
    echo student:200000:65536 >/mnt/ids
    mount --bind /mnt/passwd /etc/passwd
    for file in subuid subgid; do mount --bind /mnt/ids /etc/$file; done";

#[test]
fn a_range_comes_from_the_administrator() {
    student(|programs| {
        let become_33 = ["setpriv", "--reuid=33", "--regid=33", "--clear-groups"];
        let look = ["sh", "-c", "id -u; cat /proc/self/uid_map"];
        let words = [&["user", "--range", "--"], &become_33[..], &look].concat();
        let ending = programs.run(ENTITLED, &words);
        ending.assert(0, &["uid_map    0 1234 1, 1 200000 65536\n", "\n33\n"]);
        ending.assert(0, &[ROOT_IS_STUDENT]);
    });
}

#[test]
fn a_range_that_is_not_there_is_told() {
    let nobodys = format!("{ENTITLED}\nmount --bind /dev/null /etc/subuid");
    let tools = "for tool in setpriv true; do ln -s $(command -v $tool) /mnt/; done";
    let bare = format!("{ENTITLED}\n{tools}; PATH=/mnt");
    student(|programs| {
        let play =
            |before: &str| programs.run(before, &["user", "--range", "--", "true"]);
        let nothing = "error: /etc/subuid sets no numbers aside for student\n";
        play(&nobodys).assert(125, &[nothing, "hint: `sudo usermod --add-subuids "]);
        let nothing = "error: there is no newuidmap\n";
        play(&bare).assert(125, &[nothing, "hint: it is in the package uidmap "]);
    });
}

/// The administrator of a user namespace may forbid others below it.
#[test]
fn a_kernel_that_refuses_is_told() {
    student(|programs| {
        let limit = "echo 0 >/proc/sys/user/max_user_namespaces; exec \"$0\" -- true";
        let user = programs.path("user");
        let ending = programs.run("", &["user", "--", "sh", "-c", limit, &user]);
        let error = "error: unshare(CLONE_NEWUSER): ENOSPC (No space left on device)\n";
        ending.assert(125, &[error, "hint: user namespaces are turned off: "]);
        let foreign = programs.run("", &["user", "--from", "100000", "--", "true"]);
        foreign.assert(
            125,
            &["\"0 100000 65536\", 14): EPERM (", "hint: without privilege"],
        );
    });
}

/// As on Ubuntu: the switch is simulated, and so is the refusal, by asking too much.
#[test]
fn apparmor_is_named_where_it_refuses() {
    let switch = "cd /proc/sys/kernel; mount -t tmpfs tmpfs .; cd /proc/sys/kernel
        echo 1 >apparmor_restrict_unprivileged_userns; cd /";
    student(|programs| {
        let ending = programs.run(switch, &["user", "--from", "100000", "--", "true"]);
        ending.assert(125, &["EPERM (", "hint: AppArmor takes the rights "]);
    });
}

/// Under strace, because it takes another kernel to be refused.
#[test]
fn a_switch_and_a_filter_are_told_apart() {
    let debian = "mount -t tmpfs tmpfs /proc/sys/kernel
        cd /proc/sys/kernel; echo 0 >unprivileged_userns_clone; cd /";
    let inject = ["strace", "-fqq", "-o/dev/null", "-einject=unshare:error=EPERM"];
    student(|programs| {
        let user = programs.path("user");
        let words = [&inject[..], &[&user, "--", "true"]].concat();
        let refused = "error: unshare(CLONE_NEWUSER): EPERM (Operation not permitted)\n";
        programs
            .run("", &words)
            .assert(125, &[refused, "hint: the kernel refuses it in a"]);
        let hint =
            "hint: only root may: `sudo sysctl -w kernel.unprivileged_userns_clone=1`";
        programs.run(debian, &words).assert(125, &[refused, hint]);
    });
}

/// Root becomes somebody whose number is not its own: that needs more than a map.
#[test]
fn root_can_be_somebody_else_outside() {
    undisturbed(|| {
        let mut user = Command::new(program("user"));
        user.args(["--from", "100000", "--", "sh", "-c", "id; cat /etc/shadow"]);
        let ending = Ending::of(processes::mark(&mut user).output().expect("it starts"));
        ending.assert(
            1,
            &["uid=0(root) gid=0(root) groups=0(root)\n", "Permission denied"],
        );
        assert_eq!(ending.proved(), 1, "{}", ending.out);
    });
}

/// Notes say what is to be removed: in /tmp, somebody else could have written them.
#[test]
fn notes_in_a_folder_of_others_are_not_believed() {
    student(|programs| {
        for others in ["chmod 777", "chown 1234 /mnt/fakedocker-1234; chmod 777", "true"]
        {
            let before = format!(
                "mount -t tmpfs -o mode=1777 tmpfs /mnt; mkdir /mnt/fakedocker-{STUDENT}
                 {others} /mnt/fakedocker-{STUDENT}; export TMPDIR=/mnt"
            );
            let said = ["/mnt/fakedocker-1234 is not ours alone", "hint: remove it"];
            programs.run(&before, &["cgroup"]).assert(125, &said);
        }
    });
}
