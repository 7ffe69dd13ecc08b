//! Does all of it work for somebody who is not root?
//!
//! Without a word more on the command line: a student runs, imports, joins and removes, with
//! numbers of users set aside and without.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::engine::{Ending, Folder};
use crate::support::machine::{Machine, undisturbed};
use crate::support::narration::{LABEL, judge};
use crate::support::processes::{self, await_one};
use crate::support::rootfs::{busybox, debian};
use crate::support::strace::trace;
use crate::support::student::Student;
use crate::support::wait::until;

/// Play `scene` with a student who has one number, then with one who has many.
fn with_each(scene: impl Fn(&Student, bool)) {
    undisturbed(|| {
        scene(&Student::new(), false);
        scene(&Student::with_numbers(), true);
    });
}

/// The student's containers, and the names that are taken.
fn containers(student: &Student) -> Vec<String> {
    let list = |name: &str| fs::read_dir(format!("{}/{name}", student.store()));
    let entries = ["containers", "names"].into_iter().flat_map(list).flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

/// An image called `name`, from a tarball that the student can read wherever it lies.
pub fn import(student: &Student, tarball: &Path, name: &str) -> Ending {
    let import = student.engine(&["import", "-", name]);
    let tarball = fs::File::open(tarball).expect("it was made");
    import.end_from(tarball)
}

#[test]
fn the_machine_is_an_image() {
    with_each(|student, _| {
        let script = "hostname; echo $$; echo /proc/[0-9]*; id -u
            echo temporary > /tmp/new; cat /tmp/new
            echo new > /etc/fakedocker-new; cat /etc/fakedocker-new
            cat /etc/passwd > /dev/null && echo changed >> /etc/passwd || echo refused
            rm -rf /usr/bin || echo refused; type tail; ls -A /run /root";
        let run = student.run(&["--hostname", "box", "host", "sh", "-c", script]).end();
        let said = "box\n1\n/proc/1\n0\ntemporary\nnew\nrefused\nrefused\n\
            tail is /usr/bin/tail\n/root:\n\n/run:\n";
        assert_eq!(run.assert_status(0).out, said, "{}", run.err);
        assert!(!Path::new("/etc/fakedocker-new").exists());
        assert!(Path::new("/usr/bin/tail").exists());
        assert_eq!(containers(student), [""; 0]);
    });
}

/// Groups of version 1 are the host's root's; version 2's may be given away
/// (`limits/delegation.rs`).
#[test]
fn a_limit_that_cannot_be_had_is_refused() {
    undisturbed(|| {
        let student = Student::new();
        for flag in ["--memory=64m", "--cpus=0.5", "--pids-limit=10"] {
            let run = student.run(&[flag, "--network", "none", "host", "true"]).end();
            let error = run.assert_status(125).err.clone();
            assert!(error.contains("EACCES (Permission denied)\nhint: "), "{error}");
            assert!(error.contains("sudo"), "{error}");
        }
        assert_eq!(containers(&student), [""; 0]);
    });
}

/// What a student may not see is missing, and two lines say so, beside what is piped.
#[test]
fn what_is_missing_of_the_machine_is_told_once() {
    undisturbed(|| {
        let student = Student::new();
        let run = student.run(&["--network", "host", "host", "echo", "piped"]).end();
        assert_eq!(run.assert_status(0).out, "piped\n");
        let lines: Vec<&str> = run.err.lines().collect();
        assert_eq!(lines.len(), 2, "{}", run.err);
        assert!(lines[0].contains("belong to nobody"), "{}", run.err);
        // The student's /mnt has a mount below it.
        assert!(lines[1].contains("empty") && lines[1].contains("/root"), "{}", run.err);
    });
}

#[test]
fn a_folder_with_mounts_below_it_can_be_read() {
    undisturbed(|| {
        let student = Student::new();
        let folder = Folder::new("top");
        let script = "mount --bind $0 /srv; mkdir -p /srv/below; \
            mount -t tmpfs -o mode=755 tmpfs /srv/below; echo deep > /srv/below/file; \"$@\"";
        let mut outer = Command::new("unshare");
        outer.args(["--mount", "sh", "-ec", script]).arg(folder.path());
        let look = "cat /srv/below/file; touch /srv/new 2> /dev/null || echo refused";
        let fakedocker = student.program("fakedocker");
        let words = [&*fakedocker, "run", "--rm", "host", "sh", "-c", look];
        let run = student.play_in(outer, &words).end();
        assert_eq!(run.assert_status(0).out, "deep\nrefused\n", "{}", run.err);
        let told = run.err.lines().find(|line| line.contains("read-only"));
        assert!(told.is_some_and(|line| line.contains("/srv")), "{}", run.err);
    });
}

#[test]
fn an_imported_system_is_written_to_and_removed() {
    with_each(|student, has_numbers| {
        import(student, &busybox(), "busybox").assert_status(0).assert_quiet();
        let script = "echo kept > /etc/new; rm -r /home; mkdir -m 0 /closed /closed/in
            chown 33:33 /etc/new 2> /dev/null && echo another || echo root; exit 3";
        let flags = ["run", "--network", "none", "--name", "box", "-e", processes::MARK];
        let run = [&flags[..], &["busybox", "sh", "-c", script]].concat();
        let run = student.engine(&run).end();
        let owner = if has_numbers { "another\n" } else { "root\n" };
        assert_eq!(run.assert_status(3).assert_quiet().out, owner);
        assert_eq!(containers(student).len(), 2);
        student.engine(&["rm", "box"]).end().assert_status(0).assert_quiet();
        assert_eq!(containers(student), [""; 0]);
        let again = ["--network", "none", "busybox", "ls", "-d", "/home"];
        assert_eq!(student.run(&again).end().assert_status(0).out, "/home\n");
    });
}

#[test]
fn a_distribution_is_whole_and_the_store_goes_without_the_engine() {
    with_each(|student, has_numbers| {
        let import = import(student, &debian(), "debian");
        assert!(import.assert_status(0).err.contains("device nodes"), "{import:?}");
        let script = "apt list --installed 2> /dev/null | grep -c ^; dpkg -V
            stat -c %u:%g /etc/shadow; rm /usr/bin/perl && echo removed";
        let run = student.run(&["--network", "none", "debian", "sh", "-c", script]).end();
        let lines: Vec<&str> = run.assert_status(0).assert_quiet().out.lines().collect();
        let owner = if has_numbers { "0:42" } else { "0:0" };
        assert_eq!(lines[1..], [owner, "removed"], "{run:?}");
        assert!(lines[0].parse::<u32>().is_ok_and(|count| count > 50), "{run:?}");

        let (user, store) = (student.program("user"), student.store());
        let alone: &[&str] = &["rm", "-rf", &store];
        let mapped: &[&str] = &[&user, "--range", "--", "rm", "-rf", &store];
        let remove = if has_numbers { mapped } else { alone };
        student.play(remove).end().assert_status(0);
        assert!(!Path::new(&store).exists());
    });
}

/// Folders that forbid their owner to write, as Fedora has them, and other people's files.
#[test]
fn an_image_with_closed_folders_goes_without_the_engine() {
    undisturbed(|| {
        let student = Student::new();
        let folder = Folder::new("closed");
        let script = "mkdir -p root/fixed/in; echo text > root/fixed/in/file
            chown -R 33:33 root; chmod 4755 root/fixed/in/file; chmod 555 root/fixed/in
            chmod 0 root/fixed; tar -cf closed.tar -C root .";
        let mut tar = Command::new("sh");
        let tar = tar.args(["-ec", script]).current_dir(folder.path()).status();
        assert!(tar.expect("sh is there").success());
        import(&student, Path::new(&folder.at("closed.tar")), "it").assert_status(0);
        let layers = format!("{}/layers", student.store());
        let layers = fs::read_dir(&layers).expect("it is there").flatten();
        let layer = layers.map(|entry| entry.path()).find(|path| path.is_dir());
        let file = layer.expect("one layer").join("fixed/in/file");
        let mode = file.metadata().expect("it is there").mode();
        assert_eq!(mode & 0o7777, 0o755, "what was another's is not to be setuid root");
        student.play(&["rm", "-rf", &student.store()]).end().assert_status(0);
        assert!(!Path::new(&student.store()).exists());
    });
}

#[test]
fn statuses_and_volumes_are_as_ever() {
    with_each(|student, _| {
        import(student, &busybox(), "busybox").assert_status(0);
        let run = |words: &[&str]| {
            student.run(&[&["--network", "none"][..], words].concat()).end()
        };
        run(&["busybox", "sh", "-c", "exit 9"]).assert_status(9).assert_quiet();
        run(&["busybox", "nothing"]).assert_status(127).assert_one_error();
        run(&["busybox", "/etc"]).assert_status(126).assert_one_error();
        run(&["--pull=never", "nowhere", "true"]).assert_status(125).assert_one_error();
        let home = student.at("");
        let (writable, fixed) = (format!("{home}:/data"), format!("{home}:/data:ro"));
        let write = ["busybox", "sh", "-c", "echo here > /data/file && ls /data"];
        run(&[&["-v", &*fixed][..], &write].concat()).assert_status(1);
        let written = run(&[&["-v", &*writable][..], &write].concat());
        assert_eq!(written.assert_status(0).out, "file\n");
        // It is the student's, outside as well.
        student.play(&["rm", &student.at("file")]).end().assert_status(0);
        let fixed = ["--read-only", "busybox", "touch", "/bin/new"];
        run(&fixed).assert_status(1);
        let fixed = ["--read-only", "host", "sh", "-c", "touch /new || touch /usr/new"];
        run(&fixed).assert_status(1);
    });
}

/// A container called `box` that can be joined.
fn endless(student: &Student, flags: &[&str]) -> Child {
    let words = [flags, &["--name", "box", "host", "tail", "-f", "/dev/null"]].concat();
    let child =
        student.engine(&[&["run", "-e", processes::MARK][..], &words].concat()).start();
    let joined = || student.engine(&["exec", "box", "true"]).end().status == Some(0);
    until("a container that can be joined", || joined().then_some(()));
    child
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a PID is an i32");
    kill(Pid::from_raw(pid), signal).expect("it is there");
}

#[test]
fn a_container_is_joined() {
    with_each(|student, has_numbers| {
        let child = endless(student, &["--rm", "--hostname", "inner"]);
        let script = "hostname; id -u; cat /proc/1/comm; echo here > /joined
            test $(readlink /proc/1/ns/user) = $(readlink /proc/self/ns/user) && echo same
            grep -c . /proc/self/uid_map; exit 4";
        let joined = student.engine(&["exec", "box", "sh", "-c", script]).end();
        let lines = if has_numbers { 2 } else { 1 };
        let said = format!("inner\n0\ntail\nsame\n{lines}\n");
        assert_eq!(joined.assert_status(4).assert_quiet().out, said);
        let there = student.engine(&["exec", "box", "cat", "/joined"]).end();
        assert_eq!(there.assert_status(0).out, "here\n");
        signal(&child, Signal::SIGTERM);
        Ending::from(child.wait_with_output().expect("it ends")).assert_status(137);
        assert_eq!(containers(student), [""; 0]);
    });
}

#[test]
fn an_engine_that_is_killed_leaves_nothing_for_long() {
    with_each(|student, _| {
        for network in ["none", "pasta", "slirp4netns"] {
            let before = Machine::look();
            let mut child = endless(student, &["--rm", "--network", network]);
            child.kill().expect("it is there");
            child.wait().expect("it ends");
            before.assert_same(&["processes", "mounts"]);
            assert_eq!(containers(student).len(), 2, "for the next command");
            student.run(&["--network", "none", "host", "true"]).end().assert_status(0);
            assert_eq!(containers(student), [""; 0]);
        }
    });
}

/// Users of the image are there as far as numbers go.
#[test]
fn a_command_runs_as_another_user_where_there_is_one() {
    with_each(|student, has_numbers| {
        let id = ["--network", "none", "-u", "33", "host", "id", "-u"];
        let run = student.run(&id).end();
        if has_numbers {
            assert_eq!(run.assert_status(0).out, "33\n");
            let child = endless(student, &["--rm", "--network", "none", "-u", "33"]);
            let joined = student.engine(&["exec", "-u", "34", "box", "id", "-u"]).end();
            assert_eq!(joined.assert_status(0).assert_quiet().out, "34\n");
            signal(&child, Signal::SIGTERM);
            let ending = Ending::from(child.wait_with_output().expect("it ends"));
            ending.assert_status(137);
        } else {
            let error = run.assert_status(125).assert_one_error();
            assert!(error.contains("there is no user 33:33 here"), "{error}");
        }
        let own = ["--network", "none", "--userns", "200000:10", "host", "true"];
        let own = student.run(&own).end();
        assert!(own.assert_status(125).assert_one_error().contains("takes root"));
    });
}

/// Root of somebody's user namespace is not root of the machine, either.
#[test]
fn root_of_a_user_namespace_is_told_from_root() {
    with_each(|student, has_numbers| {
        let (user, fakedocker) = (student.program("user"), student.program("fakedocker"));
        let run = [&*fakedocker, "run", "--rm", "host", "sh", "-c", "id -u; echo $$"];
        let numbers = if has_numbers { &["--range"][..] } else { &[] };
        let words = [&[&*user, "--quiet"][..], numbers, &["--"], &run].concat();
        let run = student.play(&words).end();
        assert!(run.assert_status(0).out.contains("\n0\n1\n"), "{run:?}");
        assert!(Path::new(&student.store()).is_dir());
    });
}

#[test]
fn what_the_engine_does_is_explained() {
    with_each(|student, has_numbers| {
        let run = student.run(&["--explain", "--network", "none", "host", "true"]).end();
        let said = |what: &str| run.err.lines().any(|line| line.contains(what));
        for call in ["unshare(CLONE_NEWUSER) = 0", "setns(", "userxattr\") = 0"] {
            assert!(said(call), "{call}: {}", run.err);
        }
        let how = if has_numbers { "(newuidmap " } else { "(a single user and group: " };
        assert!(said(how), "{}", run.err);
    });
}

/// As nobody, because strace wants a name.
#[test]
fn what_is_explained_is_what_strace_sees() {
    undisturbed(|| {
        let (student, folder) = (Student::new(), Folder::new("store"));
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(folder.path(), open).expect("it is ours");
        let (program, root) = (student.program("fakedocker"), folder.at("store"));
        let run = ["--root", &root, "run", "--rm", "--explain", "--network"];
        for (network, flags) in [("none", &[][..]), ("host", &["--read-only"])] {
            let args = [&run[..], &[network], flags, &["host", "echo", "said"]].concat();
            let trace = trace(&["-u", "nobody"], Path::new(&program), &args);
            let ending = Ending::from(trace.output);
            assert_eq!(ending.assert_status(0).out, "said\n");
            let judgement = judge(&trace.threads);
            assert_eq!(judgement.complaints, [""; 0]);
            let narrated = ending.err.lines().filter(|line| line.starts_with(LABEL));
            assert_eq!(judgement.matches.len(), narrated.count(), "{}", ending.err);
            assert!(judgement.matches.len() > 40, "{}", ending.err);
        }
    });
}

#[test]
fn an_old_kernel_is_refused_by_name_before_anything_is_touched() {
    undisturbed(|| {
        let student = Student::new();
        let fakedocker = student.program("fakedocker");
        let run = ["setarch", "--uname-2.6", &fakedocker, "run", "--rm", "host", "true"];
        let run = student.play(&run).end();
        let error = run.assert_status(125).assert_one_error();
        assert!(error.starts_with("error: Linux 2.6 cannot mount an overlay"), "{error}");
        assert!(error.ends_with("it takes 5.11 or newer, or sudo"), "{error}");
        assert!(!Path::new(&student.at(".local")).exists());
    });
}

/// As where the machine is a container of Docker's, or a layer is half of the machine.
#[test]
fn what_must_stay_covered_is_told() {
    undisturbed(|| {
        let student = Student::new();
        let fakedocker = student.program("fakedocker");
        let in_docker = || {
            let mut outer = Command::new("unshare");
            outer.args(["--mount", "sh", "-ec"]);
            outer.args(["mount -t tmpfs tmpfs /proc/irq; exec \"$@\"", "sh"]);
            outer
        };
        let run = [&*fakedocker, "run", "--rm", "--network", "none", "host", "true"];
        let run = student.play_in(in_docker(), &run).end();
        let told = "hint: a user namespace gets a /proc only ";
        assert!(run.assert_status(125).err.contains(told), "{run:?}");
        let run = student.run(&["--network", "none", "--rootfs", "/", "true"]).end();
        let error = run.assert_status(125).assert_one_error();
        assert!(error.contains("EINVAL") && run.err.contains("below a layer"), "{run:?}");
    });
}

/// The administrator of a user namespace may forbid others below it.
#[test]
fn where_user_namespaces_are_turned_off_the_switch_is_named() {
    undisturbed(|| {
        let student = Student::with_numbers();
        let (user, fakedocker) = (student.program("user"), student.program("fakedocker"));
        let script = "echo 0 > /proc/sys/user/max_user_namespaces
            exec setpriv --reuid=33 --regid=33 --clear-groups $0 run host true";
        let words = [&*user, "--quiet", "--range", "--", "sh", "-c", script, &fakedocker];
        let run = student.play(&words).end();
        run.assert_status(125);
        assert!(run.err.contains("error: unshare(CLONE_NEWUSER): ENOSPC"), "{run:?}");
        assert!(run.err.contains("hint: user namespaces are turned off: "), "{run:?}");
    });
}

/// What was killed is looked for by its mark, too: a guest must not outlive its container.
#[test]
fn a_guest_ends_with_the_container() {
    undisturbed(|| {
        let student = Student::new();
        let child = endless(&student, &["--rm", "--network", "none"]);
        let guest = ["exec", "-e", processes::MARK, "box", "sleep", "infinity"];
        let guest = student.engine(&guest).start();
        await_one("a guest that sleeps", |process| process.name == "sleep");
        signal(&child, Signal::SIGTERM);
        Ending::from(child.wait_with_output().expect("it ends")).assert_status(137);
        Ending::from(guest.wait_with_output().expect("it ends")).assert_status(137);
    });
}
