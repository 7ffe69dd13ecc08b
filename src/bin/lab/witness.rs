//! What do we see from outside?
//!
//! Everything is read from /proc, through our working folder: a program that lets its own
//! /proc out onto the host covers the path /proc, but not the folder in which we stand.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use fakedocker::sys::stop;
use stage::{Error, Result};

use crate::silence::Silence;

/// An empty folder of the check's own, for commands and programs: `$LAB`.
pub const LAB: &str = "/dev/shm/lab";

/// Stand in /proc, whatever is mounted over it later.
pub fn take_position() -> Result<()> {
    std::env::set_current_dir("/proc")
        .map_err(|error| Error::io("chdir(\"/proc\")", &error))
}

/// What `command` prints on the host, errors included, trimmed; `pid` is its `$PID`.
pub fn observe(command: &str, pid: i32) -> Result<String, Silence> {
    let mut shell = shell_command(command);
    match stop::hears_all(&mut shell).env("PID", pid.to_string()).output() {
        Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).trim().to_string()),
        // A root that is swapped without a mount namespace is swapped for us, too.
        Err(error) => Err(Silence::because(format!(
            "no command runs on the host any more ({error}), the program has taken its \
             files away: it must leave the host's mount namespace before it mounts"
        ))),
    }
}

/// Prepare the host, in the folder `$LAB`.
pub fn prepare(command: &str) -> Result<()> {
    fs::create_dir(LAB).map_err(|error| Error::io(LAB, &error))?;
    let output = shell_command(command).current_dir(LAB).output();
    let output = output.map_err(|error| Error::io("sh", &error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout).trim().replace('\n', "; ");
    Err(Error::input(format!("the lesson's setup failed ({}): {said}", output.status)))
}

fn shell_command(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1 </dev/null\n{command}")]).env("LAB", LAB);
    shell
}

struct Process {
    pid: i32,
    parent: i32,
    /// Its names in the PID namespaces that have one for it, from ours inwards.
    pids: Vec<i32>,
}

/// All processes that descend from us, children before grandchildren.
pub fn descendants() -> Vec<i32> {
    family().into_iter().map(|process| process.pid).collect()
}

/// The PID on the host of the shell that calls itself `own_pid` and reads `pipe`.
pub fn shell(own_pid: i32, pipe: Option<&str>) -> Option<i32> {
    let namesakes =
        family().into_iter().filter(|process| process.pids.last() == Some(&own_pid));
    // Of several, the deepest; a program that passes its input on to a shell's terminal,
    // say, has no shell that reads the pipe itself.
    let reads_pipe = |process: &Process| {
        link(format!("{}/fd/0", process.pid)).as_deref() == pipe && pipe.is_some()
    };
    namesakes.max_by_key(reads_pipe).map(|process| process.pid)
}

/// The name of the pipe behind our own descriptor `fd`, such as `pipe:[4711]`.
pub fn pipe(fd: i32) -> Option<String> {
    link(format!("self/fd/{fd}"))
}

fn family() -> Vec<Process> {
    let mut others = processes();
    let mut parents = vec![ours()];
    let mut family = Vec::new();
    while !parents.is_empty() {
        let is_child = |process: &mut Process| parents.contains(&process.parent);
        let children: Vec<Process> = others.extract_if(.., is_child).collect();
        parents = children.iter().map(|child| child.pid).collect();
        family.extend(children);
    }
    family
}

/// Our own PID.
pub fn ours() -> i32 {
    std::process::id().cast_signed()
}

/// All processes; one that ends while we look is left out.
fn processes() -> Vec<Process> {
    let entries = fs::read_dir(".").into_iter().flatten().flatten();
    entries.filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn read(pid: i32) -> Option<Process> {
    let status = fs::read_to_string(format!("{pid}/status")).ok()?;
    let line = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let parent = line("PPid:")?.trim().parse().ok()?;
    let pids = line("NSpid:")?.split_whitespace().filter_map(|pid| pid.parse().ok());
    Some(Process { pid, parent, pids: pids.collect() })
}

fn link(path: String) -> Option<String> {
    let target: PathBuf = fs::read_link(path).ok()?;
    Some(target.to_string_lossy().into_owned())
}
