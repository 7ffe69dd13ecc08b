//! Does every lesson behave on a terminal as a student expects?
//!
//! Job control, Ctrl-C, Ctrl-Z, a shell that is killed: afterwards the terminal must work
//! as before. Pages refer to these tests by name.

use nix::sys::signal::Signal;

use crate::lessons::{contained, in_brief};
use crate::support::machine::undisturbed;
use crate::support::processes::{Process, await_one, ours};
use crate::support::tmux::Terminal;
use crate::support::wait::until;

const STAYS: &str = "sleep infinity";

/// The lesson that passes all keys on, Ctrl-Z too, to a terminal of its own.
const HAS_ITS_OWN: &str = "tty";

/// What is typed to play the lesson `name`.
fn typed(name: &str) -> String {
    [&[name], in_brief(name)].concat().join(" ")
}

/// Play `scene` with each lesson that has a contained process, each on a new terminal.
fn each(scene: impl Fn(&str, &mut Terminal)) {
    for name in contained() {
        eprintln!("{name}"); // shown by Cargo when the test fails
        undisturbed(|| scene(name, &mut Terminal::open()));
    }
}

/// Leave the shell in the lesson; the verdict comes, and the outer prompt.
fn leave(terminal: &mut Terminal) {
    terminal.enter("exit");
    terminal.await_text("✓ ");
    terminal.await_prompt();
}

fn await_foreground(name: &str) {
    await_one(name, |process| process.name == name && process.is_in_foreground());
}

fn await_end(name: &str) {
    let gone = || ours().iter().all(|process| process.name != name).then_some(());
    until(&format!("the end of {name}"), gone);
}

/// Press Ctrl-C until the lesson that runs `command` ends; the status that it must have.
fn interrupt(terminal: &mut Terminal, command: &Process) -> i32 {
    let deaf = command.is_number_one();
    terminal.press("C-c");
    if deaf {
        terminal.await_text("PID 1 does not hear Ctrl-C");
        terminal.press("C-c");
    }
    terminal.await_prompt();
    128 + if deaf { Signal::SIGKILL as i32 } else { Signal::SIGINT as i32 }
}

/// The status of the last command, as the shell tells it.
fn assert_last_status(terminal: &mut Terminal, expected: i32) {
    terminal.enter("echo status=$?=");
    terminal.await_prompt();
    let screen = terminal.screen();
    let told = screen.contains(&format!("\nstatus={expected}="));
    assert!(told, "expected status {expected} on:\n{screen}");
}

/// The opening scene of the course: a shell whose prompt says the new hostname.
#[test]
fn uts_prompt() {
    undisturbed(|| {
        let mut terminal = Terminal::open();
        terminal.enter("uts");
        terminal.await_text("(a shell in the container: look around, then `exit`)");
        terminal.await_last("container#");
        terminal.enter("hostname");
        terminal.await_text("\ncontainer\ncontainer#");
        leave(&mut terminal);
    });
}

#[test]
fn job_control_works_in_the_shell() {
    each(|name, terminal| {
        terminal.enter(&typed(name));
        terminal.await_inner_prompt();
        terminal.enter("cat");
        await_foreground("cat");
        terminal.press("C-z");
        await_one("a stopped cat", |process| {
            process.name == "cat" && process.is_stopped()
        });
        terminal.await_inner_prompt();
        terminal.enter("jobs");
        terminal.await_text("[1]+  Stopped                 cat");
        terminal.await_inner_prompt();
        terminal.enter("fg");
        await_foreground("cat");
        terminal.press("C-d");
        await_end("cat");
        terminal.await_inner_prompt();
        terminal.enter(STAYS);
        await_foreground("sleep");
        terminal.press("C-c");
        await_end("sleep");
        terminal.await_inner_prompt();
        leave(terminal);
    });
}

#[test]
fn a_second_lesson_works_in_the_same_terminal() {
    each(|name, terminal| {
        for _ in 0..2 {
            terminal.clear();
            terminal.enter(&typed(name));
            terminal.await_inner_prompt();
            terminal.enter("echo it was $((40 + 2))");
            terminal.await_text("it was 42");
            leave(terminal);
        }
        terminal.assert_usable();
    });
}

#[test]
fn ctrl_c_ends_the_command_and_the_lesson() {
    each(|name, terminal| {
        terminal.enter(&format!("{} -- {STAYS}", typed(name)));
        let command = await_one("sleep", |process| process.name == "sleep");
        let status = interrupt(terminal, &command);
        assert_last_status(terminal, status);
        terminal.assert_usable();
    });
}

#[test]
fn ctrl_z_stops_the_lesson_as_a_job() {
    each(|name, terminal| {
        if name == HAS_ITS_OWN {
            return;
        }
        terminal.enter(&format!("{} -- {STAYS}", typed(name)));
        let command = await_one("sleep", |process| process.name == "sleep");
        terminal.press("C-z");
        terminal.await_prompt();
        assert!(terminal.screen().contains("[1]+  Stopped"), "{}", terminal.screen());
        terminal.enter("fg");
        await_one("COMMAND to go on", |process| {
            process.pid == command.pid
                && process.is_in_foreground()
                && !process.is_stopped()
        });
        interrupt(terminal, &command);
        terminal.assert_usable();
    });
}

/// The shell that is killed was in the foreground, in a group of its own, and had turned
/// off the echo of the terminal.
#[test]
fn a_killed_shell_leaves_a_usable_terminal() {
    each(|name, terminal| {
        terminal.enter(&typed(name));
        terminal.await_inner_prompt();
        // Its parent is the lesson, or the lesson's own number 1, which has that name, too.
        let shell = await_one("the shell in the lesson", |process| {
            let parents = ours().into_iter().filter(|it| it.pid == process.parent);
            process.name == "bash" && parents.into_iter().any(|it| it.name == name)
        });
        shell.signal(Signal::SIGKILL);
        terminal.await_prompt();
        assert_last_status(terminal, 137);
        terminal.assert_usable();
    });
}

#[test]
fn step_waits_for_enter_before_each_request() {
    each(|name, terminal| {
        let requests = steps(name, terminal);
        assert!(requests > 1, "{}", terminal.screen());
        assert_eq!(requests, terminal.screen().matches("→ kernel").count());
    });
}

/// Go through the lesson step by step: how often did it wait?
fn steps(name: &str, terminal: &mut Terminal) -> usize {
    terminal.enter(&format!("{} --step -- true", typed(name)));
    let mut steps = 0;
    while terminal.await_step_or_prompt(steps) {
        steps += 1;
        terminal.press("Enter");
    }
    assert_last_status(terminal, 0);
    steps
}

/// Whether we play parent or child at that moment makes no difference.
#[test]
fn ctrl_c_at_any_step_ends_the_lesson() {
    each(|name, terminal| {
        let requests = steps(name, terminal);
        for before in 0..requests {
            terminal.clear();
            terminal.enter(&format!("{} --step -- true", typed(name)));
            for step in 0..before {
                assert!(terminal.await_step_or_prompt(step), "{}", terminal.screen());
                terminal.press("Enter");
            }
            assert!(terminal.await_step_or_prompt(before), "{}", terminal.screen());
            terminal.press("C-c");
            terminal.await_prompt();
            assert_last_status(terminal, 130);
        }
        terminal.assert_usable();
    });
}

/// The window, the keys and the end of the terminal inside are those of the one outside.
#[test]
fn a_terminal_of_its_own() {
    undisturbed(|| {
        let mut terminal = Terminal::open();
        terminal.enter("stty -a >$HOME/before; tty --quiet");
        terminal.await_inner_prompt();
        terminal.enter("/usr/bin/tty; stty size");
        terminal.await_text("\n/dev/pts/0\n200 220\n");
        terminal.resize(100, 30);
        terminal.enter("clear; stty size");
        terminal.await_text("30 100\n");
        terminal.enter("cat");
        await_foreground("cat");
        terminal.press("C-c");
        await_end("cat");
        terminal.await_inner_prompt();
        terminal.enter("exit 5");
        terminal.await_text("✓ ");
        terminal.await_prompt();
        assert_last_status(&mut terminal, 5);
        assert_modes(&mut terminal);
    });
}

/// SIGTERM and a hang-up of COMMAND leave no terminal in raw mode. After SIGKILL nobody can put
/// it back but the shell, which bash does, or whoever types `stty sane`.
#[test]
fn raw_mode_ends_with_the_lesson() {
    undisturbed(|| {
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGKILL] {
            let mut terminal = Terminal::open();
            terminal.enter(&format!("stty -a >$HOME/before; tty --quiet -- {STAYS}"));
            await_one("COMMAND", |process| process.name == "sleep");
            let lesson = await_one("the lesson", |process| process.name == "tty");
            lesson.signal(signal);
            terminal.await_prompt();
            if signal == Signal::SIGKILL {
                await_end("sleep");
                terminal.enter("stty sane");
                terminal.await_prompt();
            }
            assert_modes(&mut terminal);
        }
    });
}

/// The terminal is what it was when its `stty -a` was written down.
fn assert_modes(terminal: &mut Terminal) {
    terminal.clear();
    terminal.enter(
        "stty -a | sed 's/rows.*;//' >$HOME/now; sed -i 's/rows.*;//' $HOME/before",
    );
    terminal.await_prompt();
    terminal.enter("cmp $HOME/before $HOME/now && echo they are the same");
    terminal.await_text("\nthey are the same\n");
    terminal.await_prompt();
    terminal.assert_usable();
}

/// What the first page promises: /usr/bin is deleted, and the machine has not noticed.
#[test]
fn the_first_command_of_the_readme() {
    undisturbed(|| {
        let mut terminal = Terminal::open();
        terminal.enter("fakedocker run --rm -it host");
        terminal.await_inner_prompt();
        // Not before we know that it is not the machine's own.
        terminal.enter("stat --file-system --format=%T / && echo $$");
        terminal.await_text("\noverlayfs\n1\n");
        terminal.enter("rm -rf /usr/bin");
        terminal.await_inner_prompt();
        terminal.enter("ls");
        terminal.await_text("ls: command not found");
        terminal.enter("exit");
        terminal.await_prompt();
        terminal.enter("ls -d /usr/bin/ls");
        terminal.await_text("\n/usr/bin/ls\n");
        terminal.await_prompt();
        terminal.assert_usable();
    });
}

/// Bars are drawn while something is measured, and are gone afterwards.
#[test]
fn what_is_measured_is_drawn_meanwhile() {
    undisturbed(|| {
        let mut terminal = Terminal::open();
        terminal.enter("cgroup-cpu --seconds 3 -- true");
        terminal.await_text("  loop █");
        terminal.await_prompt();
        let screen = terminal.screen();
        assert!(screen.contains("✓ a quota holds a loop"), "{screen}");
        assert!(!screen.contains(['█', '░']), "{screen}");
        terminal.clear();
        terminal.enter("cgroup-cpu --weight --seconds 60");
        terminal.await_text("  light █");
        terminal.press("C-c");
        terminal.await_prompt();
        assert!(!terminal.screen().contains(['█', '░']), "{}", terminal.screen());
        assert_last_status(&mut terminal, 130);
        terminal.assert_usable();
    });
}
