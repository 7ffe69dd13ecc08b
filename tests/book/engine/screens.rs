//! And programs that have the whole screen?
//!
//! Vim and top: they want to know how large it is, and are told when that changes. Vim is
//! stopped, left and come back to, and draws everything anew each time.

use crate::support::engine::Store;
use crate::support::machine::undisturbed;
use crate::support::processes::{MARK, await_one};
use crate::support::tmux::Terminal;

const TEXT: &str = "written in vim";

/// Whether vim shows [`TEXT`], and where one is in it, on a screen of so many rows.
fn is_vims(screen: &str, rows: usize) -> bool {
    let lines: Vec<&str> = screen.lines().collect();
    lines.len() == rows
        && lines[0] == TEXT
        && lines[1..rows - 1].iter().all(|line| *line == "~")
        && lines[rows - 1].ends_with("All")
}

fn await_vim(terminal: &Terminal, rows: usize) {
    terminal.await_screen("vim's screen", |screen| is_vims(screen, rows));
}

#[test]
fn vim_and_top_have_the_whole_screen() {
    undisturbed(|| {
        let store = Store::with_services();
        let root = store.path().display().to_string();
        let mut terminal = Terminal::open();
        terminal.resize(100, 30);
        let flags = format!("--rm -it -h box --name box -e {MARK}");
        terminal.enter(&format!("fakedocker --root {root} run {flags} system bash"));
        terminal.await_inner_prompt();
        write_in_vim(&terminal);
        leave_and_come_back(
            &mut terminal,
            &format!("fakedocker --root {root} attach box"),
        );

        terminal.enter(":wq");
        terminal.await_inner_prompt();
        terminal.enter("clear; cat /note");
        terminal.await_screen("what was written", |screen| screen.starts_with(TEXT));
        terminal.enter("top");
        terminal.await_text("Tasks:   2 total");
        terminal.await_screen("top itself", |screen| screen.ends_with(" top"));
        terminal.press("q");
        terminal.await_inner_prompt();
        terminal.enter("exit 6");
        terminal.await_prompt();
        terminal.assert_usable();
        store.assert_no_container();
    });
}

/// On a screen that becomes smaller and larger, and with a pause.
fn write_in_vim(terminal: &Terminal) {
    terminal.enter("vim /note");
    terminal.await_text("\"/note\" [New]");
    terminal.write("i");
    terminal.await_text("-- INSERT --");
    terminal.write(TEXT);
    terminal.press("Escape");
    await_vim(terminal, 30);
    for (columns, rows) in [(70, 20), (90, 40)] {
        terminal.resize(columns, rows);
        await_vim(terminal, rows.into());
    }
    terminal.press("C-z");
    await_one("a stopped vim", |process| process.name == "vim" && process.is_stopped());
    terminal.await_inner_prompt();
    terminal.enter("fg");
    await_vim(terminal, 40);
}

/// Who comes back sees the same as before, and not nothing until the next key.
fn leave_and_come_back(terminal: &mut Terminal, attach: &str) {
    for rows in [40, 30] {
        terminal.press("C-p");
        terminal.press("C-q");
        terminal.await_prompt_amid();
        terminal.assert_usable();
        terminal.resize(90, rows);
        terminal.enter(attach);
        await_vim(terminal, rows.into());
    }
}
