//! What does a container look like on a terminal?

use crate::support::engine::{Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::processes::{self, Process, await_one, ours};
use crate::support::tmux::Terminal;
use crate::support::wait::until;

/// `fakedocker run --rm -i host` on this store, as it is typed.
fn typed(store: &Store, command: &str) -> String {
    let (root, mark) = (store.path().display(), processes::MARK);
    format!("fakedocker --root {root} run --rm -i -h box -e {mark} host {command}")
}

fn assert_last_status(terminal: &mut Terminal, expected: i32) {
    terminal.enter("echo status=$?=");
    terminal.await_prompt();
    let screen = terminal.screen();
    assert!(screen.contains(&format!("\nstatus={expected}=")), "{screen}");
}

fn is_cat(process: &Process) -> bool {
    process.name == "cat"
}

#[test]
fn a_shell_with_job_control_and_then_another() {
    undisturbed(|| {
        let store = Store::new();
        let mut terminal = Terminal::open();
        for _ in 0..2 {
            terminal.clear();
            terminal.enter(&typed(&store, ""));
            terminal.await_inner_prompt();
            terminal.enter("echo it was $((40 + 2)) in $(hostname)");
            terminal.await_text("it was 42 in box");
            terminal.await_inner_prompt();
            play_with_jobs(&mut terminal);
            terminal.enter("exit 3");
            terminal.await_prompt();
            assert_last_status(&mut terminal, 3);
        }
        terminal.assert_usable();
        store.assert_no_container();
    });
}

fn play_with_jobs(terminal: &mut Terminal) {
    terminal.enter("cat");
    await_one("cat", |process| is_cat(process) && process.is_in_foreground());
    terminal.press("C-z");
    await_one("a stopped cat", |process| is_cat(process) && process.is_stopped());
    terminal.await_inner_prompt();
    terminal.enter("fg");
    await_one("cat again", |process| {
        is_cat(process) && process.is_in_foreground() && !process.is_stopped()
    });
    terminal.press("C-c");
    until("the end of cat", || (!ours().iter().any(is_cat)).then_some(()));
    terminal.await_inner_prompt();
}

#[test]
fn ctrl_c_twice_ends_a_deaf_command() {
    undisturbed(|| {
        let store = Store::new();
        let mut terminal = Terminal::open();
        terminal.enter(&typed(&store, "tail -f /dev/null"));
        await_one("tail", |process| process.name == "tail");
        terminal.press("C-c");
        terminal.await_text("once more ends it");
        terminal.press("C-c");
        // The prompt stands behind the `^C`, and once more on a line of its own.
        terminal.press("Enter");
        terminal.await_prompt();
        assert_last_status(&mut terminal, 137);
        terminal.assert_usable();
        store.assert_no_container();
    });
}

/// The terminal goes away: the container goes with it.
#[test]
fn a_terminal_that_is_closed_ends_the_container() {
    undisturbed(|| {
        let store = Store::new();
        let terminal = Terminal::open();
        terminal.enter(&typed(&store, ""));
        terminal.await_inner_prompt();
        drop(terminal);
        until("the end of the container", || store.containers().is_empty().then_some(()));
    });
}

#[test]
fn a_script_is_piped_from_a_terminal() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("script"));
        let script = folder.write("script", "echo $((40 + 2)) in $(hostname)\n");
        let mut terminal = Terminal::open();
        terminal.enter(&format!("{} < {script}", typed(&store, "")));
        terminal.await_prompt();
        assert!(terminal.screen().contains("\n42 in box\n"), "{}", terminal.screen());
        terminal.assert_usable();
    });
}
