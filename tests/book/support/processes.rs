//! Which processes are ours, and what are they doing?
//!
//! Ours are those that carry our mark in their environment, which every program hands on
//! to the programs that it starts, and those that run a program of this build.

use std::fmt::{self, Display};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;

use super::program;
use super::wait::until;

/// The variable that marks what the tests have started.
pub const MARK: &str = "FAKEDOCKER_TEST";

/// Let the processes of `command` be known as ours, and not ignore what whoever started the
/// tests ignores: under nohup(1), that would be SIGHUP.
#[allow(unsafe_code, reason = "code between fork and exec must not touch locks")]
pub fn mark(command: &mut Command) -> &mut Command {
    // SAFETY: sigaction(2) is a plain system call; it takes no lock and no memory.
    unsafe { command.pre_exec(hear_everything) };
    command.env(MARK, std::process::id().to_string())
}

#[allow(unsafe_code, reason = "nix marks every change of a signal's action as unsafe")]
fn hear_everything() -> std::io::Result<()> {
    for each in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: no handler runs: this is the default action.
        unsafe { signal(each, SigHandler::SigDfl) }?;
    }
    Ok(())
}

/// A line of /proc/PID/stat: see proc(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub name: String,
    pub state: char,
    pub parent: i32,
    pub group: i32,
    /// The foreground group of its terminal.
    pub foreground: i32,
}

impl Process {
    fn read(pid: i32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses, and may have some of its own.
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse().ok();
        Some(Process {
            pid,
            name: name.to_string(),
            state: fields.first()?.chars().next()?,
            parent: number(1)?,
            group: number(2)?,
            foreground: number(5)?,
        })
    }

    /// Whether it may read from its terminal.
    pub fn is_in_foreground(&self) -> bool {
        self.group == self.foreground
    }

    /// Whether it was stopped, as by Ctrl-Z.
    pub fn is_stopped(&self) -> bool {
        self.state == 'T'
    }

    /// Whether it is PID 1 of a namespace of its own, as the line NSpid in its status says.
    pub fn is_number_one(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid));
        let status = status.unwrap_or_default();
        let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        pids.is_some_and(|pids| pids.ends_with("\t1"))
    }

    /// Send it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid), signal).expect("it is still there");
    }
}

impl Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.pid, self.name)
    }
}

/// All processes that our tests have started and that still run.
pub fn ours() -> Vec<Process> {
    let folders = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let pids = folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| is_ours(pid)).filter_map(Process::read).collect()
}

/// Wait for a process of ours of which `holds` is true.
pub fn await_one(what: &str, holds: impl Fn(&Process) -> bool) -> Process {
    until(what, || ours().into_iter().find(&holds))
}

fn is_ours(pid: i32) -> bool {
    let mark = format!("{MARK}={}", std::process::id());
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let marked =
        environment.split(|&byte| byte == 0).any(|entry| entry == mark.as_bytes());
    marked || runs_our_program(pid)
}

/// Programs lie in target/debug and its `examples`; tests, in its `deps`, are not meant.
fn runs_our_program(pid: i32) -> bool {
    let ours = program("fakedocker");
    let folder = ours.parent().unwrap_or(Path::new("/"));
    let Ok(program) = fs::read_link(format!("/proc/{pid}/exe")) else { return false };
    program.starts_with(folder) && !program.starts_with(folder.join("deps"))
}
