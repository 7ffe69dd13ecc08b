//! Which program connects a container of somebody who is not root?
//!
//! Lesson 6 knows two. Which of them is there, and whether it can work on this machine, is
//! looked at before anything is touched.

use std::fs::{self, File};

use net::usermode::Tool;
use stage::{Error, Result};

use crate::{rootless, sys};

/// The programs, the better one first: pasta copies the host's addresses, and is faster.
const TOOLS: [Tool; 2] = [Tool::Pasta, Tool::Slirp4netns];

/// The program called `name`.
pub fn named(name: &str) -> Option<Tool> {
    TOOLS.into_iter().find(|tool| tool.name() == name)
}

/// The program that can work here. With none, nothing can be reached, and a warning says
/// what would help.
pub fn choose() -> Option<Tool> {
    let problems = TOOLS.map(|tool| (tool, problem(tool)));
    if let Some((tool, _)) = problems.iter().find(|(_, problem)| problem.is_none()) {
        return Some(*tool);
    }
    let problem = problems.iter().find_map(|(_, problem)| problem.as_deref());
    stage::warn(format!(
        "the container can reach nothing: {}",
        problem.unwrap_or("no network")
    ));
    None
}

/// Refuse `tool`, asked for by name, where it cannot work.
pub fn check(tool: Tool) -> Result<()> {
    let wrong = |what: String| Err(Error::input(what));
    if !rootless::is_rootless() {
        let name = tool.name();
        return wrong(format!(
            "--network {name} is for who is not root: take the bridge"
        ));
    }
    problem(tool).map_or(Ok(()), wrong)
}

/// A bridge is a link of the host's.
pub fn no_bridge() -> Error {
    Error::input("--network bridge takes root: the host's links are not ours to change")
        .hint("leave --network out: pasta or slirp4netns connect without root (lesson 6)")
}

/// Why `tool` cannot work here, if we can tell.
fn problem(tool: Tool) -> Option<String> {
    let name = tool.name();
    let tunnel = "/dev/net/tun";
    if let Err(error) = File::options().read(true).write(true).open(tunnel) {
        return Some(Error::io(format!("{name} needs {tunnel}"), &error).to_string());
    }
    if !sys::is_installed(name) {
        return Some(match tool {
            Tool::Pasta => "there is no pasta: install the package passt".into(),
            Tool::Slirp4netns => format!("there is no {name}: install its package"),
        });
    }
    // It shows the container the link by which the host reaches the world.
    let offline = tool == Tool::Pasta && !has_way_out();
    offline.then(|| "pasta needs a default route, and the host has none".into())
}

/// Whether the host has a default route: proc_pid_net(5).
fn has_way_out() -> bool {
    let lines = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let word = |line: &str, at: usize| line.split_whitespace().nth(at).map(String::from);
    let four = lines("/proc/self/net/route");
    let six = lines("/proc/self/net/ipv6_route");
    four.lines().any(|line| word(line, 1).as_deref() == Some("00000000"))
        || six.lines().any(|line| {
            // The kernel keeps one on `lo` that refuses all.
            word(line, 1).as_deref() == Some("00")
                && word(line, 9).as_deref() != Some("lo")
        })
}
