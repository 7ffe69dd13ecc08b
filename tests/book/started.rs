//! Does the session that people know from Docker go as its page shows?
//!
//! It is typed on a terminal, line by line, from the top to the bottom of get-started.md.
//! `UPDATE_PAGES=1` writes what was seen into the page.

use std::collections::HashMap;
use std::fs;

use crate::support::console::{self, Command, Fault, Numbers};
use crate::support::machine::undisturbed;
use crate::support::tmux::Terminal;
use crate::support::{program, read, top};

const PAGE: &str = "get-started.md";

/// What a shell in a container shows when it waits.
const INSIDE: &str = "/ # ";

/// On the page: the key, pressed once all before it is there.
const INTERRUPT: &str = "^C";

fn commands(page: &str) -> Result<Vec<Command>, Fault> {
    console::commands_of_test(page, "the_get_started_page")
}

#[test]
fn the_get_started_page() {
    let text = read(PAGE);
    let commands = commands(&text).unwrap_or_else(|fault| panic!("{fault:?}"));
    let seen: Vec<_> = undisturbed(|| {
        let mut terminal = Terminal::open();
        // Students use sudo; the tests are root already.
        terminal.enter("sudo() { \"$@\"; }");
        terminal.await_prompt();
        commands.iter().map(|command| type_it(&mut terminal, command)).collect()
    });
    if std::env::var_os("UPDATE_PAGES").is_some() {
        adopt(&text, &commands, &seen);
    } else {
        compare(&commands, &seen);
    }
}

/// What is on the terminal below `command`, when the prompt is there again.
fn type_it(terminal: &mut Terminal, command: &Command) -> Vec<String> {
    terminal.clear();
    let fakedocker = program("fakedocker").display().to_string();
    for (at, line) in command.text.lines().enumerate() {
        if at > 0 {
            terminal.await_last(">");
        }
        terminal.enter(&line.replace("target/debug/fakedocker", &fakedocker));
    }
    for line in &command.output {
        if let Some(line) = line.strip_prefix(INSIDE) {
            terminal.await_last(INSIDE.trim_end());
            terminal.write(line);
            // Before it is shown, the prompt before it would be taken for the next one.
            terminal.await_last(&format!("{INSIDE}{line}"));
            terminal.press("Enter");
        } else if line == INTERRUPT {
            await_lines_before(terminal, command);
            terminal.press("C-c");
        }
    }
    terminal.await_prompt();
    let screen = terminal.screen();
    let mut lines: Vec<String> =
        screen.lines().skip(command.text.lines().count()).map(String::from).collect();
    // The prompt.
    lines.pop();
    lines
}

/// Wait until as much is there as the page shows before the key.
fn await_lines_before(terminal: &Terminal, command: &Command) {
    let before = command.output.iter().position(|line| line == INTERRUPT);
    let count = command.text.lines().count() + before.unwrap_or(0);
    terminal.await_screen("all before ^C", |screen| screen.lines().count() >= count);
}

fn compare(commands: &[Command], seen: &[Vec<String>]) {
    let mut numbers = Numbers::of_commands(commands);
    let faults: Vec<String> = commands
        .iter()
        .zip(seen)
        .filter_map(|(command, seen)| numbers.compare(command, seen).err())
        .map(|fault| format!("{PAGE}:{}: {}", fault.line, fault.what))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn adopt(text: &str, old: &[Command], seen: &[Vec<String>]) {
    let mut numbers = Numbers::of_commands(old);
    let outputs: HashMap<usize, Vec<String>> = old
        .iter()
        .zip(seen)
        .filter(|(command, seen)| numbers.compare(command, seen).is_err())
        .map(|(command, seen)| (command.line, seen.clone()))
        .collect();
    let page = console::rewrite(text, commands, &outputs).expect("it can be read again");
    fs::write(top().join(PAGE), page).expect("a page can be written");
}
