//! What does a student see on a real terminal?
//!
//! tmux gives us one: we type, and read the screen. Its server is our own, under a name of
//! our own, and ends with the test. Read tmux(1), above all send-keys and capture-pane.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::wait::{DEADLINE, within};
use super::{processes, program};

/// A terminal with a shell on it, `outer 1$ `, whose prompts count the commands.
pub struct Terminal {
    home: PathBuf,
    /// Which server is ours: one that is just ending may still be called.
    server: String,
    /// How many prompts of the outer shell there have been.
    prompts: u32,
}

const PROMPT: &str = "PS1='outer \\#$ '\n";
const INNER_PROMPT: &str = "PS1='\\h\\$ '\n";

impl Terminal {
    /// Open a terminal and wait for the prompt.
    pub fn open() -> Terminal {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
        fs::create_dir_all(&home).expect("the target folder is ours");
        // Read by the shell in a lesson. The outer shell has a file of its own.
        fs::write(home.join(".bashrc"), INNER_PROMPT).expect("it is ours");
        fs::write(home.join("outer"), PROMPT).expect("it is ours");
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (ours, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let server = format!("fakedocker-test-{ours}-{count}");
        let mut terminal = Terminal { home, server, prompts: 0 };
        terminal.start_server();
        terminal.await_prompt();
        terminal
    }

    fn start_server(&self) {
        let shell = format!("bash --noprofile --rcfile {}/outer", self.home.display());
        let path = std::env::var("PATH").unwrap_or_default();
        let programs = program("fakedocker");
        let programs = programs.parent().unwrap_or(Path::new("/")).display();
        let mut command = self.tmux(&["-f", "/dev/null", "new-session", "-d"]);
        command.args(["-x", "220", "-y", "200", &shell]);
        command.env("PATH", format!("{programs}:{path}")).env("HOME", &self.home);
        command.env("SHELL", "/bin/bash").env_remove("NO_COLOR").env_remove("TMUX");
        let started = processes::mark(&mut command).status().expect("tmux is installed");
        assert!(started.success(), "tmux: {started}");
    }

    fn tmux(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command
            .args(["-u", "-L", &self.server])
            .args(arguments)
            .env("TMUX_TMPDIR", &self.home);
        command
    }

    /// Type `line` and Enter.
    pub fn enter(&self, line: &str) {
        // In bash, `time` is a keyword; a quoted one is a program's name.
        let quote = if line.starts_with("time") { "\\" } else { "" };
        self.write(&format!("{quote}{line}"));
        self.press("Enter");
    }

    /// Type `text`.
    pub fn write(&self, text: &str) {
        let typed = self.tmux(&["send-keys", "-l", "--", text]).status();
        assert!(typed.expect("tmux is installed").success());
    }

    /// Press a key, named as in tmux: `C-c`, `C-z`, `Enter`.
    pub fn press(&self, key: &str) {
        let pressed = self.tmux(&["send-keys", key]).status();
        assert!(pressed.expect("tmux is installed").success());
    }

    /// Give the window another size, in characters.
    pub fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let resized = self.tmux(&["resize-window", "-x", &columns, "-y", &rows]).status();
        assert!(resized.expect("tmux is installed").success());
    }

    /// Everything on the screen, without the empty lines below.
    pub fn screen(&self) -> String {
        let shown = self.tmux(&["capture-pane", "-p"]).output();
        let shown = shown.expect("tmux is installed").stdout;
        String::from_utf8_lossy(&shown).trim_end().to_string()
    }

    /// What is on the pane to the right, if there is one.
    pub fn beside(&self) -> String {
        let shown = self.tmux(&["capture-pane", "-p", "-t", ":.1"]).output();
        let shown = shown.expect("tmux is installed").stdout;
        String::from_utf8_lossy(&shown).trim_end().to_string()
    }

    /// Wait until `text` is on the screen.
    pub fn await_text(&self, text: &str) {
        self.await_screen(text, |screen| screen.contains(text));
    }

    /// Wait until the last line is `line`.
    pub fn await_last(&self, line: &str) {
        self.await_screen(line, |screen| screen.lines().last() == Some(line));
    }

    /// Wait for the next prompt of the outer shell.
    pub fn await_prompt(&mut self) {
        self.prompts += 1;
        self.await_last(&format!("outer {}$", self.prompts));
    }

    /// The same on a screen that is still as another program has drawn it.
    pub fn await_prompt_amid(&mut self) {
        self.prompts += 1;
        let prompt = format!("outer {}$", self.prompts);
        self.await_screen(&prompt, |screen| screen.lines().any(|line| line == prompt));
    }

    /// Wait until a lesson that has made `requests` asks for Enter (true), or until it has
    /// ended and the prompt is there.
    pub fn await_step_or_prompt(&mut self, requests: usize) -> bool {
        let prompt = format!("outer {}$", self.prompts + 1);
        let mut steps = false;
        self.await_screen("a step or a prompt", |screen| {
            let last = screen.lines().last().unwrap_or_default();
            steps = last.contains("[Enter]")
                && screen.matches("→ kernel").count() == requests;
            steps || last == prompt
        });
        self.prompts += u32::from(!steps);
        steps
    }

    /// Wait for a prompt of a shell in a lesson.
    pub fn await_inner_prompt(&self) {
        let is_prompt =
            |line: &str| line.ends_with(['$', '#']) && !line.contains("outer");
        self.await_screen("the inner prompt", |screen| {
            screen.lines().last().is_some_and(is_prompt)
        });
    }

    /// Wait until of the screen `holds` is true.
    pub fn await_screen(&self, what: &str, mut holds: impl FnMut(&str) -> bool) {
        let shown = within(DEADLINE, || holds(&self.screen()).then_some(()));
        assert!(shown.is_some(), "waited in vain for {what:?} on:\n{}", self.screen());
    }

    /// Start with an empty screen, so that old lines are not taken for new ones.
    pub fn clear(&mut self) {
        self.enter("clear");
        self.await_prompt();
    }

    /// Whether what is typed arrives, and is shown while it is typed.
    pub fn assert_usable(&mut self) {
        self.clear();
        self.enter("read -rp 'the word: '; echo \"it was $REPLY\"");
        self.await_last("the word:");
        self.enter("sesame");
        self.await_text("\nthe word: sesame\nit was sesame\n");
        self.await_prompt();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]).status().ok();
        // What ran on it was hung up, and is no concern of the next test.
        within(DEADLINE, || processes::ours().is_empty().then_some(()));
    }
}
