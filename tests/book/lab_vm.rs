//! Is the throw-away machine a machine, and is it thrown away?
//!
//! Without KVM, each start of it takes a quarter of a minute or more. Where it cannot be had
//! at all, as the script's status 77 says, a test says so past cargo's capture, and ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::network::script;
use crate::support::engine::Folder;
use crate::support::machine::undisturbed;
use crate::support::processes::{self, Process};
use crate::support::skip;
use crate::support::tmux::Terminal;
use crate::support::top;
use crate::support::wait::within;

/// How long a start may take on a busy machine without KVM, and a first one, which fetches.
const PATIENCE: Duration = Duration::from_secs(180);

fn lab(args: &[&str]) -> Command {
    let mut command = Command::new(script("lab-vm.sh"));
    command.args(args).current_dir(top()).stdin(Stdio::null());
    processes::mark(&mut command);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `lab-vm.sh ARGS` comes to; nothing on a machine that cannot have a VM.
fn output(test: &str, args: &[&str]) -> Option<Output> {
    let output = lab(args).output().expect("it is a script");
    (output.status.code() != Some(77)).then_some(output).or_else(|| no_machine(test))
}

fn no_machine<T>(test: &str) -> Option<T> {
    let prepared = lab(&["--prepare"]).output().expect("it is a script");
    let why = text(&prepared.stderr);
    let why = why.lines().find(|line| line.starts_with("error: ")).unwrap_or("status 77");
    skip::skip(&format!("lab_vm::{test}"), why);
    None
}

/// Whether there can be a VM here: all that it needs is there afterwards.
fn prepared(test: &str) -> bool {
    output(test, &["--prepare"]).is_some()
}

/// What is asked of each VM: the controllers that it has, whether both outputs come back whole
/// and apart, whether what is left running holds it up, and to break something.
const SCRIPT: &str = "
    stat -fc %T /sys/fs/cgroup
    ls /sys/fs/cgroup | tr '\\n' ' ' && echo
    cd /sys/fs/cgroup && cd unified 2>/dev/null
    echo $(cat cgroup.controllers 2>/dev/null)
    stat -fc %T / /tmp /var/tmp /run | tr '\\n' ' ' && echo
    echo intruder >/fakedocker-intruder && cat /fakedocker-intruder
    echo again >/dev/stdout
    seq 100000
    seq 100000 >&2
    sleep 1000 &
    setsid sleep 1000 &
    target/debug/uts --quiet -- hostname >/dev/null || exit 1
    exit 7";

/// The status of `SCRIPT` in a VM with `cgroup` is 7, its output is whole, the host is as it
/// was; the first lines of it are for the caller.
fn first_lines(test: &str, cgroup: &str) -> Option<[String; 3]> {
    let uts = crate::support::program("uts").display().to_string();
    let command = SCRIPT.replace("target/debug/uts", &uts);
    let output = output(test, &["--cgroup", cgroup, "bash", "-c", &command])?;
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(7), "{said:.500}\n{complained:.500}");
    let numbers: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    assert!(complained == numbers, "{complained:.500}");
    let said = said.strip_suffix(&numbers).expect("all of it comes back");
    let lines: Vec<&str> = said.lines().collect();
    let [kind, names, new, files, "intruder", "again"] = lines[..] else {
        panic!("{said}")
    };
    assert_eq!(files, "overlayfs ext2/ext3 ext2/ext3 tmpfs ");
    assert!(!Path::new("/fakedocker-intruder").exists(), "it is on the host, too");
    Some([kind, names, new].map(String::from))
}

fn has_words(line: &str, words: &str) -> bool {
    let there: Vec<&str> = line.split_whitespace().collect();
    words.split(' ').all(|word| there.contains(&word))
}

const OLD: &str = "blkio cpu cpuacct cpuset devices freezer memory pids";

fn a_machine_with_cgroup_v2(test: &str) {
    let Some([kind, _, new]) = first_lines(test, "v2") else { return };
    assert_eq!(kind, "cgroup2fs");
    assert!(has_words(&new, "cpuset cpu io memory pids"), "{new}");
}

fn a_machine_with_cgroup_v1(test: &str) {
    let Some([kind, names, _]) = first_lines(test, "v1") else { return };
    assert_eq!(kind, "tmpfs");
    assert!(has_words(&names, OLD) && !has_words(&names, "unified"), "{names}");
}

fn a_machine_with_both(test: &str) {
    let Some([kind, names, new]) = first_lines(test, "hybrid") else { return };
    assert_eq!(kind, "tmpfs");
    assert!(has_words(&names, OLD) && has_words(&names, "unified"), "{names}");
    assert_eq!(new, "", "v1 has them all");
}

fn what_is_broken_in_there_is_whole_out_here(test: &str) {
    let Some(broken) = output(test, &["sh", "-c", "rm -r /home; ls -d /home"]) else {
        return;
    };
    let gone = "ls: cannot access '/home': No such file or directory\n";
    assert_eq!(text(&broken.stderr), gone);
    assert_eq!(broken.status.code(), Some(2));
    assert!(Path::new("/home").exists());
}

/// All at once: most of the time each of them starts.
#[test]
fn machines_of_each_kind_at_once() {
    let kinds = [
        a_machine_with_cgroup_v2,
        a_machine_with_cgroup_v1,
        a_machine_with_both,
        what_is_broken_in_there_is_whole_out_here,
    ];
    undisturbed(|| {
        let test = "machines_of_each_kind_at_once";
        // What is missing is fetched once.
        if prepared(test) {
            thread::scope(|scope| {
                for kind in kinds {
                    scope.spawn(move || kind(test));
                }
            });
        }
    });
}

#[test]
fn a_killed_script_leaves_no_machine() {
    undisturbed(|| {
        if !prepared("a_killed_script_leaves_no_machine") {
            return;
        }
        for (signal, code) in [(Signal::SIGKILL, None), (Signal::SIGINT, Some(130))] {
            let none = || processes::ours().is_empty().then_some(());
            within(PATIENCE, none).expect("the one before is gone");
            let mut script = lab(&["sleep", "1000"]).spawn().expect("it is a script");
            let is_vm = |one: &Process| one.name.starts_with("qemu") && one.state != 'Z';
            let running =
                || processes::ours().into_iter().any(|one| is_vm(&one)).then_some(());
            // The one that tries KVM may be seen, too: it does not matter which.
            within(PATIENCE, running).expect("a VM is started");
            let pid = i32::try_from(script.id()).expect("a PID is small");
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal)
                .expect("it runs");
            assert_eq!(script.wait().expect("it is our child").code(), code);
        }
    });
}

#[test]
fn a_shell_on_a_machine_of_its_own() {
    undisturbed(|| {
        if !prepared("a_shell_on_a_machine_of_its_own") {
            return;
        }
        let terminal = Terminal::open();
        let shows = |what: &str| {
            let shown =
                || terminal.screen().lines().any(|line| line == what).then_some(());
            within(PATIENCE, shown).unwrap_or_else(|| panic!("{}", terminal.screen()));
        };
        // The terminal's home is empty.
        let home = std::env::var("HOME").expect("it is set");
        let cache = std::env::var("XDG_CACHE_HOME").unwrap_or(format!("{home}/.cache"));
        terminal.enter(&format!("XDG_CACHE_HOME={cache} {}", script("lab-vm.sh")));
        // Before the machine is there.
        terminal.enter("echo 'typed ahead'");
        shows("typed ahead");
        // One program: between two, a shell may lose what is pressed.
        terminal.enter("sh -c 'echo begun; exec sleep 1000'");
        shows("begun");
        terminal.press("C-c");
        terminal.enter("echo interrupted: $?");
        shows("interrupted: 130");
        terminal.enter("exit 7");
        shows("outer 2$");
        terminal.enter("echo ended: $?");
        shows("ended: 7");
    });
}

#[test]
fn what_no_machine_can_be_made_of_is_told_in_a_line() {
    undisturbed(|| {
        let cases: [(&[&str], &str); 7] = [
            (&["--bogus"], "--bogus is no option"),
            (&["--cgroup", "v3", "true"], "--cgroup 'v3' is not known"),
            (&["--cgroup"], "--cgroup '' is not known"),
            (&["--kernel", "new", "true"], "--kernel 'new' is no version"),
            (&["--kernel", "6.12", "--cgroup", "v1", "true"], "Debian's 6.12 has no v1"),
            (
                &["--cgroup", "hybrid", "--kernel", "6.12", "true"],
                "Debian's 6.12 has no v1",
            ),
            (&[], "a shell needs a terminal"),
        ];
        for (args, what) in cases {
            let output = lab(args).output().expect("it is a script");
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(125), "{args:?}: {said}");
            let lines: Vec<&str> = said.lines().collect();
            let [error, hint] = lines[..] else { panic!("{args:?}: {said}") };
            assert!(error.starts_with("error: ") && error.contains(what), "{said}");
            assert!(hint.starts_with("hint: "), "{said}");
        }
    });
}

/// It opens nothing of what we would listen to.
const A_QEMU_THAT_FAILS: &str = r#"#!/bin/sh
[ "$1" != --version ] || exec echo "QEMU emulator version 7.2.22"
echo "cannot set up guest memory" >&2
exit 1
"#;

#[test]
fn a_machine_that_cannot_start_is_told() {
    undisturbed(|| {
        if !prepared("a_machine_that_cannot_start_is_told") {
            return;
        }
        let folder = Folder::new("qemu");
        let name = format!("qemu-system-{}", std::env::consts::ARCH);
        let program = folder.write(&name, A_QEMU_THAT_FAILS);
        fs::set_permissions(program, Permissions::from_mode(0o755)).expect("it is ours");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut script = lab(&["true"]);
        script.env("PATH", format!("{}:{path}", folder.path().display()));
        let output = script.output().expect("it is a script");
        let expected = "cannot set up guest memory\n\
                        error: the VM has ended without an exit status\n\
                        hint: its last words are above\n";
        assert_eq!(text(&output.stderr), expected);
        assert_eq!(output.status.code(), Some(125));
    });
}
