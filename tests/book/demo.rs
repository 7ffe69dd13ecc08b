//! Can a lesson be shown to people by one command?
//!
//! `scripts/demo.sh` is played on a terminal, key by key.

use std::process::Command;

use crate::support::machine::undisturbed;
use crate::support::skip::skip;
use crate::support::tmux::Terminal;
use crate::support::{program, read, top};

/// The script, which finds the programs of this build.
fn demo(options: &str) -> String {
    let target = program("").join("..");
    let script = top().join("scripts/demo.sh");
    format!("CARGO_TARGET_DIR={} {} {options}", target.display(), script.display())
}

#[test]
fn a_lesson_is_typed_and_waits_for_a_key() {
    undisturbed(|| {
        let mut terminal = Terminal::open();
        terminal.enter(&demo("--fast uts"));
        // What fails without the lesson is passed over.
        for typed in [">     echo \"all are on $(hostname) now\"'", "$ hostname"] {
            terminal.await_last(typed);
            terminal.write("s");
        }
        terminal.await_last("$ sudo target/debug/uts -- hostname");
        assert!(!terminal.screen().contains("→ kernel"), "{}", terminal.screen());
        terminal.write(" ");
        terminal.await_text("✓ one kernel, two names");
        // The next command is passed over, and the one behind it is not run.
        terminal.await_last("$ readlink /proc/self/ns/uts");
        terminal.write("s");
        terminal.await_text("> sudo target/debug/uts --quiet");
        terminal.write("q");
        terminal.await_prompt();
        let screen = terminal.screen();
        assert_eq!(screen.matches("✓").count(), 1, "{screen}");
        assert!(!screen.contains("\nuts:["), "{screen}");
        terminal.assert_usable();
    });
}

#[test]
fn the_host_is_seen_beside_the_lesson() {
    undisturbed(|| {
        let mut terminal = Terminal::open();
        terminal.enter(&demo("--tmux --step --fast 3"));
        for typed in ["$ sleep 1000 &", "$ sudo unshare --uts --ipc sh -c", "$ wait $!"] {
            terminal.await_text(typed);
            terminal.write("s");
        }
        terminal.await_text("$ sudo target/debug/pid --step");
        terminal.await_screen("the host's pane", |_| {
            terminal.beside().contains("the host, lesson pid")
        });
        terminal.write("q");
        terminal.await_prompt();
        assert_eq!(terminal.beside(), "", "the pane has gone");
    });
}

#[test]
fn a_lesson_is_recorded_by_one_command() {
    if Command::new("asciinema").arg("--version").output().is_err() {
        let test = "demo::a_lesson_is_recorded_by_one_command";
        return skip(test, "asciinema is not installed");
    }
    undisturbed(|| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &demo("--record --fast pids")]).env("TERM", "xterm-256color");
        let ended = shell.stdin(std::process::Stdio::null()).output().expect("sh starts");
        assert!(ended.status.success(), "{ended:?}");
    });
    let recording = read("target/recordings/pids.cast");
    assert!(recording.starts_with("{\"version\": 2, "), "{recording}");
    assert!(recording.contains("with a limit of 20, there is no process"), "{recording}");
}

#[test]
fn a_demonstration_that_cannot_be_says_why() {
    let cases = [
        ("uts", "there is no terminal to wait at", "--alone waits for nobody"),
        ("nowhere", "there is no lesson 'nowhere'", "scripts/demo.sh --list"),
        ("", "no lesson is named", "scripts/demo.sh LESSON"),
        ("--loud uts", "'--loud' is not known", "scripts/demo.sh [--tmux]"),
    ];
    for (options, error, hint) in cases {
        let mut shell = Command::new("setsid");
        shell.args(["--wait", "sh", "-c", &demo(options)]);
        let ended = shell.stdin(std::process::Stdio::null()).output().expect("sh starts");
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{options}: {told}");
        assert!(told.starts_with(&format!("error: {error}\nhint: {hint}")), "{told}");
    }
}

/// What is typed into a container's shell must not reach the host's.
#[test]
fn what_is_for_several_terminals_is_not_typed() {
    let page = read("lessons/25-tty/README.md");
    let left_out = "sudo target/debug/tty --quiet";
    assert!(
        page.contains(&format!(
            "\n```console terminal=a_terminal_of_its_own\n$ {left_out}"
        ))
    );
    let played = undisturbed(|| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &demo("--fast --alone tty")]);
        shell.stdin(std::process::Stdio::null()).output().expect("sh starts")
    });
    let told = String::from_utf8_lossy(&played.stdout);
    assert!(told.contains("(the end of lesson tty)"), "{told}");
    assert!(!told.contains(&format!("{left_out}\n")), "{told}");
}

#[test]
fn what_is_not_built_is_named() {
    let script = top().join("scripts/demo.sh");
    let ended = Command::new(script)
        .args(["--alone", "uts"])
        .env("CARGO_TARGET_DIR", "/nowhere")
        .output();
    let told = String::from_utf8_lossy(&ended.expect("it starts").stderr).into_owned();
    assert_eq!(told, "error: /nowhere/debug/uts is not built\nhint: cargo build\n");
}

#[test]
fn the_lessons_are_listed() {
    let script = top().join("scripts/demo.sh");
    let listed = Command::new(script).arg("--list").output().expect("it starts");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.starts_with("01 uts\n02 ipc\n"), "{listed}");
    assert_eq!(listed.lines().count(), crate::support::lessons().len());
}
