//! Lesson 8, the solution: start a shell in a container that runs already.
//!
//! Read setns(2) and namespaces(7).
//! It is checked by
//!
//!     sudo target/debug/lab check enter -- target/debug/examples/enter-solution

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use nix::sched::{CloneFlags, setns};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut container = start_container()?;
    let number_1 = its_pid(&mut container)?;
    let namespaces = open_namespaces(number_1)?;
    enter(&namespaces)?;
    // A child, because we ourselves stay in our PID namespace.
    let status = Command::new("/bin/sh").status()?;
    container.wait()?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Somebody else's container, as it were. Its number 1 reads from us, and so ends with us.
fn start_container() -> io::Result<Child> {
    let script = "read pid rest </proc/self/stat; mount -t proc proc /proc
        hostname container; echo $pid; exec cat";
    Command::new("unshare")
        .args(["--uts", "--ipc", "--mount", "--pid", "--fork", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// What the container's first process says: its PID on the host.
fn its_pid(container: &mut Child) -> io::Result<String> {
    let said = container.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line)?;
    Ok(line.trim().to_string())
}

/// Open the namespaces of process `pid` (uts, ipc, pid and mnt), in the order in which
/// they will be entered.
fn open_namespaces(pid: String) -> io::Result<Vec<File>> {
    let kinds = ["uts", "ipc", "pid", "mnt"];
    kinds.iter().map(|kind| File::open(format!("/proc/{pid}/ns/{kind}"))).collect()
}

/// Enter them, one by one. An empty set of flags means: whatever kind it is.
fn enter(namespaces: &[File]) -> nix::Result<()> {
    namespaces.iter().try_for_each(|namespace| setns(namespace, CloneFlags::empty()))
}
