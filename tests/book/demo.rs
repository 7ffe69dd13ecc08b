//! Can a lesson be shown to people by one command?
//!
//! `scripts/demo.sh` is played on a terminal, key by key.

use std::process::Command;

use crate::support::console;
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

/// The commands of a lesson's page, as they are typed behind their prompts.
fn typed(page: &str) -> Vec<String> {
    let commands = console::commands(&read(page)).expect("the page can be read");
    let commands = commands.into_iter().filter(|one| one.text != "cargo build --quiet");
    commands.map(|one| format!("$ {}", one.text.replace('\n', "\n> "))).collect()
}

/// What is on the screen below the command, but for titles and what is typed next.
fn printed(screen: &str, command: &str, next: &str) -> String {
    let (_, after) = screen.split_once(command).expect("the command is on the screen");
    let (output, _) = after.split_once(next).expect("the next one is, too");
    let lines = output.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    lines.collect::<Vec<&str>>().join("\n")
}

#[test]
fn a_lesson_is_typed_and_waits_for_a_key() {
    let commands = typed("lessons/01-uts/README.md");
    let screen = undisturbed(|| {
        let mut terminal = Terminal::open();
        terminal.enter(&demo("--fast uts"));
        // One is run, the next is passed over, the third ends it all.
        for (command, key) in commands.iter().zip([" ", "s", "q"]) {
            terminal.await_screen(command, |screen| screen.ends_with(command));
            terminal.write(key);
        }
        terminal.await_prompt();
        let screen = terminal.screen();
        terminal.assert_usable();
        screen
    });
    assert_ne!(printed(&screen, &commands[0], &commands[1]), "");
    assert_eq!(printed(&screen, &commands[1], &commands[2]), "");
    assert_eq!(printed(&screen, &commands[2], "outer 2$"), "");
}

#[test]
fn the_host_is_seen_beside_the_lesson() {
    undisturbed(|| {
        let mut terminal = Terminal::open();
        terminal.enter(&demo("--tmux --step --fast 1"));
        terminal.await_screen("the host's pane", |_| {
            terminal.beside().contains("the host, lesson uts")
        });
        for command in typed("lessons/01-uts/README.md") {
            let stepping = "target/debug/uts --step";
            let shown = command.replace("target/debug/uts", stepping);
            terminal.await_screen(&shown, |screen| screen.ends_with(&shown));
            if shown.contains(stepping) {
                break;
            }
            terminal.write("s");
        }
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
