//! What does a container look like on a terminal?

use crate::support::engine::{Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::processes::{self, Process, await_one, ours};
use crate::support::tmux::Terminal;
use crate::support::wait::until;

/// `fakedocker run --rm -it host` on this store, as it is typed.
fn typed(store: &Store, command: &str) -> String {
    with("-it", store, command)
}

/// The same with other flags.
fn with(flags: &str, store: &Store, command: &str) -> String {
    let (root, mark) = (store.path().display(), processes::MARK);
    format!("fakedocker --root {root} run --rm {flags} -h box -e {mark} host {command}")
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
        terminal.enter(&with("-i", &store, "tail -f /dev/null"));
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
        terminal.enter(&format!("{} < {script}", with("-i", &store, "")));
        terminal.await_prompt();
        assert!(terminal.screen().contains("\n42 in box\n"), "{}", terminal.screen());
        terminal.assert_usable();
    });
}

/// Leaving is not ending; and whoever comes back finds it as it was.
#[test]
fn one_leaves_by_keys_and_comes_back() {
    undisturbed(|| {
        let store = Store::new();
        let mut terminal = Terminal::open();
        terminal.enter(&with("-it --name box", &store, ""));
        terminal.await_inner_prompt();
        terminal.enter("x=42");
        terminal.await_inner_prompt();
        terminal.press("C-p");
        terminal.press("C-q");
        terminal.await_prompt();
        assert_last_status(&mut terminal, 0);
        terminal.assert_usable();
        let root = store.path().display().to_string();
        terminal.clear();
        terminal.enter(&format!("fakedocker --root {root} attach box"));
        // Nobody repeats the prompt that it has written already.
        terminal.press("Enter");
        terminal.await_inner_prompt();
        terminal.enter("echo it is still $x");
        terminal.await_text("\nit is still 42");
        terminal.enter("exit 5");
        terminal.await_prompt();
        assert_last_status(&mut terminal, 5);
        terminal.assert_usable();
        store.assert_no_container();
    });
}

/// The same for who has only joined it. The command goes on, and is not held up because nobody
/// reads what it writes.
#[test]
fn one_leaves_what_one_has_started_in_a_container() {
    undisturbed(|| {
        let store = Store::new();
        let root = store.path().display().to_string();
        let tail =
            ["--name", "box", "-e", processes::MARK, "host", "tail", "-f", "/dev/null"];
        store.engine(&[&["run", "-d"][..], &tail].concat()).end().assert_status(0);
        let mut terminal = Terminal::open();
        let script = "echo $((40 + 2)); read line; until test -e /go-$line; do sleep 0.1; done; \
            seq 100000; echo $line > /went-on; cat";
        for (word, flag, keys) in
            [("one", "", ["C-p", "C-q"]), ("two", "--detach-keys ctrl-a,x", ["C-a", "x"])]
        {
            terminal.clear();
            let exec = format!("fakedocker --root {root} exec -it {flag} box");
            terminal.enter(&format!("{exec} bash -c '{script}'"));
            terminal.await_last("42");
            terminal.enter(word);
            keys.iter().for_each(|key| terminal.press(key));
            terminal.await_prompt();
            assert_last_status(&mut terminal, 0);
            terminal.assert_usable();
            let go = format!("/go-{word}");
            store.engine(&["exec", "box", "touch", &go]).end().assert_status(0);
            until("its last line", || {
                let seen = store.engine(&["exec", "box", "cat", "/went-on"]).end();
                (seen.out.trim_end() == word).then_some(())
            });
        }
        // Nobody has left them. A terminal has a name, also where the container has none.
        let named = "bash -c 'test $TERM = xterm'";
        for (command, status) in [("bash -c 'exit 7'", 7), ("/no/such", 127), (named, 0)]
        {
            terminal.clear();
            terminal.enter(&format!("fakedocker --root {root} exec -it box {command}"));
            terminal.await_prompt();
            assert_last_status(&mut terminal, status);
        }
        store.engine(&["rm", "-f", "box"]).end().assert_status(0);
        // One that the container has is not taken away.
        let run = [&["run", "-d", "-e", "TERM=vt100"][..], &tail].concat();
        store.engine(&run).end().assert_status(0);
        terminal.clear();
        let own = "bash -c 'test $TERM = vt100'";
        terminal.enter(&format!("fakedocker --root {root} exec -it box {own}"));
        terminal.await_prompt();
        assert_last_status(&mut terminal, 0);
        store.engine(&["rm", "-f", "box"]).end().assert_status(0);
        store.assert_no_container();
    });
}

/// The size of the window is the container's, also when it changes.
#[test]
fn the_window_is_as_large_inside() {
    undisturbed(|| {
        let store = Store::new();
        let mut terminal = Terminal::open();
        terminal.enter("stty size");
        terminal.await_prompt();
        terminal.enter(&with("-it --name box", &store, ""));
        terminal.await_inner_prompt();
        for (columns, rows) in [(101, 31), (77, 23)] {
            terminal.resize(columns, rows);
            until("the new size", || {
                terminal.enter("stty size");
                terminal.await_inner_prompt();
                terminal.screen().contains(&format!("{rows} {columns}")).then_some(())
            });
        }
        let root = store.path().display().to_string();
        terminal.enter("exit");
        terminal.await_prompt();
        let typed = format!(
            "fakedocker --root {root} run -d --rm --name two -e {} host tail -f /dev/null",
            processes::MARK
        );
        terminal.enter(&typed);
        terminal.await_prompt();
        terminal.clear();
        terminal.enter(&format!("fakedocker --root {root} exec -it two bash"));
        terminal.await_inner_prompt();
        terminal.enter("tty; stty size");
        terminal.await_text("/dev/pts/");
        terminal.await_text("23 77");
        play_with_jobs(&mut terminal);
        terminal.enter("exit 4");
        terminal.await_prompt();
        assert_last_status(&mut terminal, 4);
        terminal.enter(&format!("fakedocker --root {root} rm -f two"));
        terminal.await_prompt();
        terminal.assert_usable();
        store.assert_no_container();
    });
}

/// CVE-2017-5226: what is "typed" in the container must not arrive at our shell.
#[test]
fn nobody_types_at_our_terminal() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::of_host("type"));
        let script = folder.write(
            "type.py",
            "import fcntl, os, termios\n\
             fds = [0, 1, 2]\n\
             try:\n    fds.append(os.open('/dev/tty', os.O_RDWR))\n\
             except OSError as error:\n    refused = error\n\
             for fd in fds:\n    \
                 for key in 'echo typed $((40 + 2))\\n':\n        \
                     try:\n            fcntl.ioctl(fd, termios.TIOCSTI, key.encode())\n        \
                     except OSError as error:\n            refused = error\n\
             print('tried')\n",
        );
        let mut terminal = Terminal::open();
        for flags in ["-it", "-i", "-d"] {
            terminal.clear();
            terminal.enter(&with(flags, &store, &format!("python3 {script}")));
            terminal.await_prompt();
            terminal.enter("true");
            terminal.await_prompt();
            let screen = terminal.screen();
            assert!(!screen.contains("typed 42"), "{flags}: {screen}");
            assert!(flags == "-d" || screen.contains("tried"), "{flags}: {screen}");
        }
        terminal.assert_usable();
        until("the end of all", || store.containers().is_empty().then_some(()));
    });
}
