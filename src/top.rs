//! What runs in a container?
//!
//! The host sees all of it, by PIDs of its own: what is in the container's group, or in its PID
//! namespace. How they are shown is left to ps(1).

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use stage::{Error, Pid, Result, proc};

use crate::container;
use crate::format::aligned;
use crate::store::Store;
use crate::sys;

/// The lines of `ps OPTIONS` about the container that `which` means.
pub fn top(store: &Store, which: &str, options: &[String]) -> Result<Vec<String>> {
    let running = container::running(store, which)?;
    let group = running.spec.group().unwrap_or_default();
    let pids = processes(&running.first.namespace, group)?;
    let usual = ["-ef".to_string()];
    let shown = ps(if options.is_empty() { &usual } else { options })?;
    let mut lines = shown.lines();
    let titles: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let Some(column) = titles.iter().position(|title| *title == "PID") else {
        return Err(Error::input(format!("ps {} shows no PID", options.join(" ")))
            .hint("whose process it is can be told by that alone: add -o pid")
            .status(1));
    };
    let rows = lines.map(|line| cells(line, titles.len()));
    let is_its = |row: &Vec<&str>| {
        row.get(column)
            .and_then(|pid| pid.parse().ok())
            .is_some_and(|pid| pids.contains(&pid))
    };
    let rows = rows.filter(is_its).map(|row| row.join("\t"));
    Ok(aligned(&[titles.join("\t")].into_iter().chain(rows).collect::<Vec<_>>()))
}

/// What is in this PID `namespace`, or in the `group`, which has namespaces below it, too.
fn processes(namespace: &str, group: &str) -> Result<BTreeSet<i32>> {
    let entries = fs::read_dir("/proc").map_err(|error| Error::io("/proc", &error))?;
    let pids = entries.flatten().filter_map(|it| it.file_name().to_str()?.parse().ok());
    let is_in_group = |pid: i32| {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"));
        let of_it = |line: &str| line.split('/').any(|step| step == group);
        !group.is_empty() && groups.is_ok_and(|groups| groups.lines().any(of_it))
    };
    let is_in = |pid: &i32| {
        proc::namespace_of(Pid::from_raw(*pid), "pid").is_ok_and(|it| it == namespace)
            || is_in_group(*pid)
    };
    Ok(pids.filter(is_in).collect())
}

fn ps(options: &[String]) -> Result<String> {
    if !sys::is_installed("ps") {
        return Err(Error::input("there is no program ps").hint("package procps has it"));
    }
    let pipes = (Stdio::piped(), Stdio::piped());
    let shown = Command::new("ps").args(options).stdout(pipes.0).stderr(pipes.1).spawn();
    let shown =
        shown.and_then(stage::output_of).map_err(|error| Error::io("ps", &error))?;
    if !shown.status.success() {
        let said = String::from_utf8_lossy(&shown.stderr);
        let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let what = format!("ps {}: {}", options.join(" "), said.trim());
        return Err(Error::input(what).status(1));
    }
    Ok(String::from_utf8_lossy(&shown.stdout).into_owned())
}

/// The words of a line; all that are too many are the last one's.
fn cells(line: &str, most: usize) -> Vec<&str> {
    let (mut cells, mut rest) = (Vec::new(), line.trim());
    while cells.len() + 1 < most
        && let Some((cell, behind)) = rest.split_once(char::is_whitespace)
    {
        cells.push(cell);
        rest = behind.trim_start();
    }
    cells.push(rest);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_keeps_its_blanks() {
        assert_eq!(cells("root   1  sh -c  ls ", 3), ["root", "1", "sh -c  ls"]);
        assert_eq!(cells("root", 3), ["root"]);
    }
}
