//! Who is who?
//!
//! A map has a line for each range of numbers: the first one inside, the first one outside,
//! and how many there are. Read user_namespaces(7), "User and group ID mappings".

use std::fmt;
use std::fs;

use nix::unistd::{getegid, geteuid};
use stage::{Error, Result};

use crate::subordinate;

/// `count` numbers from `inside` on stand for those from `outside` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The first number, as processes in the namespace see it.
    pub inside: u32,
    /// The first number, as the namespace around sees it.
    pub outside: u32,
    /// How many numbers there are, at least 1.
    pub count: u32,
}

/// The users and the groups of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maps {
    /// The lines of /proc/PID/uid_map.
    pub uids: Vec<Line>,
    /// The lines of /proc/PID/gid_map.
    pub gids: Vec<Line>,
}

impl Maps {
    /// One number: root inside is who we are outside. Everybody may have that.
    pub fn own() -> Maps {
        let line = |outside| vec![Line { inside: 0, outside, count: 1 }];
        Maps { uids: line(geteuid().as_raw()), gids: line(getegid().as_raw()) }
    }

    /// As many numbers as we can have: for root all that there are, each as itself; for
    /// others their own, and behind it their subordinate ones.
    pub fn range() -> Result<Maps> {
        if !geteuid().is_root() {
            return subordinate::maps();
        }
        Ok(Maps {
            uids: as_themselves("/proc/self/uid_map")?,
            gids: as_themselves("/proc/self/gid_map")?,
        })
    }

    /// For root: as many numbers as most programs expect, from `first` on outside, so that
    /// nobody inside is anybody who owns something outside.
    pub fn shifted(first: u32) -> Maps {
        let lines = vec![Line { inside: 0, outside: first, count: 1 << 16 }];
        Maps { uids: lines.clone(), gids: lines }
    }
}

impl Line {
    /// The lines as they are written to /proc/PID/uid_map.
    pub fn text(lines: &[Line]) -> String {
        lines.iter().map(Line::to_string).collect::<Vec<_>>().join("\n")
    }

    /// The lines of a map in /proc.
    pub fn read(path: &str) -> Result<Vec<Line>> {
        let text = fs::read_to_string(path).map_err(|error| Error::io(path, &error))?;
        Ok(text.lines().filter_map(Line::parse).collect())
    }

    fn parse(line: &str) -> Option<Line> {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Line { inside: next()?, outside: next()?, count: next()? })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.inside, self.outside, self.count)
    }
}

/// All numbers that our own namespace knows, unchanged.
fn as_themselves(path: &str) -> Result<Vec<Line>> {
    let known = Line::read(path)?.into_iter();
    Ok(known.map(|line| Line { outside: line.inside, ..line }).collect())
}
