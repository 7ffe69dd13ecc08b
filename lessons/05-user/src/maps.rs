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

    /// Refuse what the kernel would not take, and a container without a root.
    pub fn check(&self) -> Result<()> {
        for lines in [&self.uids, &self.gids] {
            if let Some(line) = lines.iter().find(|line| !line.is_possible()) {
                return Err(Error::input(format!(
                    "the numbers `{line}` cannot be mapped: there are those from 0 to {LAST}"
                )));
            }
            let overlap = |(at, line): (usize, &Line)| {
                lines[..at].iter().any(|earlier| earlier.overlaps(line))
            };
            if lines.iter().enumerate().any(overlap) {
                return Err(Error::input("a map has a number twice"));
            }
            if outside(lines, 0).is_none() {
                return Err(Error::input("a map without number 0 has no root"));
            }
        }
        Ok(())
    }

    /// Who user `uid` is outside, if anybody.
    pub fn user_outside(&self, uid: u32) -> Option<u32> {
        outside(&self.uids, uid)
    }

    /// Which group `gid` is outside, if any.
    pub fn group_outside(&self, gid: u32) -> Option<u32> {
        outside(&self.gids, gid)
    }

    /// Who user `uid` of the namespace around is inside, if anybody.
    pub fn user_inside(&self, uid: u32) -> Option<u32> {
        outside(&mirrored(&self.uids), uid)
    }

    /// Which group `gid` of the namespace around is inside, if any.
    pub fn group_inside(&self, gid: u32) -> Option<u32> {
        outside(&mirrored(&self.gids), gid)
    }
}

/// The last number that can be somebody's: the one behind it means "no change".
const LAST: u32 = u32::MAX - 1;

/// The same lines, read from the other side.
fn mirrored(lines: &[Line]) -> Vec<Line> {
    let mirror =
        |line: &Line| Line { inside: line.outside, outside: line.inside, ..*line };
    lines.iter().map(mirror).collect()
}

fn outside(lines: &[Line], number: u32) -> Option<u32> {
    let translate = |line: &Line| {
        let place = number.checked_sub(line.inside)?;
        (place < line.count).then(|| line.outside + place)
    };
    lines.iter().find_map(translate)
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

    /// Whether there are that many numbers, inside and outside.
    fn is_possible(&self) -> bool {
        let ends = |first: u32| first.checked_add(self.count).is_some();
        self.count > 0 && ends(self.inside) && ends(self.outside)
    }

    fn overlaps(&self, other: &Line) -> bool {
        let meet = |a: u32, b: u32| a < b + other.count && b < a + self.count;
        meet(self.inside, other.inside) || meet(self.outside, other.outside)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn maps(lines: &[(u32, u32, u32)]) -> Maps {
        let line = |&(inside, outside, count): &_| Line { inside, outside, count };
        let lines: Vec<Line> = lines.iter().map(line).collect();
        Maps { uids: lines.clone(), gids: lines }
    }

    #[test]
    fn numbers_are_translated() {
        let maps = maps(&[(0, 1000, 1), (1, 100_000, 65535)]);
        assert_eq!(maps.check(), Ok(()));
        let outside = [0, 1, 65535, 65536].map(|uid| maps.user_outside(uid));
        assert_eq!(outside, [Some(1000), Some(100_000), Some(165_534), None]);
    }

    #[test]
    fn maps_that_cannot_be_are_refused() {
        assert_eq!(maps(&[(0, 0, u32::MAX)]).check(), Ok(()));
        let wrong: [&[(u32, u32, u32)]; 7] = [
            &[],
            &[(0, 1000, 0)],
            &[(0, 1, u32::MAX)],
            &[(0, u32::MAX, 1)],
            &[(1, 1000, 5)],
            &[(0, 1000, 5), (4, 2000, 5)],
            &[(0, 1000, 5), (5, 1004, 5)],
        ];
        for lines in wrong {
            assert!(maps(lines).check().is_err(), "{lines:?}");
        }
    }
}
