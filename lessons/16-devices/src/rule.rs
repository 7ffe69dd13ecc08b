//! How is it said which devices may be used, and for what?
//!
//! A device is a kind and two numbers (ls -l shows them): the major one is its driver's, the
//! minor one tells those of one driver apart. A rule allows some of them for some uses, and
//! is written as version 1 does: `c 1:3 rw`, or `b *:* m`.
//!
//! Read mknod(2), and the kernel's admin-guide/devices.txt for who has which number.

use std::fmt;

/// What kind of device; the kernel counts them like this (linux/bpf.h, BPF_DEVCG_DEV_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Has blocks, in any order: a disk.
    Block = 1,
    /// Has one byte after the other: a terminal, /dev/null.
    Char = 2,
}

/// What a device may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Opened for reading.
    pub read: bool,
    /// Opened for writing.
    pub write: bool,
    /// Given a node, with mknod(2).
    pub mknod: bool,
}

impl Access {
    /// All three.
    pub const ALL: Access = Access { read: true, write: true, mknod: true };

    /// To make nodes, and not to open them.
    pub const MKNOD: Access = Access { read: false, write: false, mknod: true };

    /// One bit for each, as the kernel has them (linux/bpf.h, BPF_DEVCG_ACC_*).
    pub fn bits(self) -> u32 {
        u32::from(self.mknod) | u32::from(self.read) << 1 | u32::from(self.write) << 2
    }
}

/// What may be used, and for what. `None` stands for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Of which kind.
    pub kind: Option<Kind>,
    /// The driver's number.
    pub major: Option<u32>,
    /// The device's number with its driver.
    pub minor: Option<u32>,
    /// For what.
    pub access: Access,
}

/// What every container may use: Docker's default list.
pub const DEFAULT: [Rule; 11] = [
    // To make a node for a device is harmless: who opens it is asked again.
    Rule { kind: Some(Kind::Block), major: None, minor: None, access: Access::MKNOD },
    Rule { kind: Some(Kind::Char), major: None, minor: None, access: Access::MKNOD },
    char(1, Some(3)), // null
    char(1, Some(5)), // zero
    char(1, Some(7)), // full
    char(1, Some(8)), // random
    char(1, Some(9)), // urandom
    char(5, Some(0)), // tty
    char(5, Some(1)), // console
    char(5, Some(2)), // ptmx
    char(136, None),  // pts/0, pts/1, …
];

const fn char(major: u32, minor: Option<u32>) -> Rule {
    Rule { kind: Some(Kind::Char), major: Some(major), minor, access: Access::ALL }
}

impl Rule {
    /// The same, a rule for each kind. Version 1 takes `a` for all kinds as well, but does
    /// not read on behind it: all numbers, all uses.
    pub(crate) fn by_kind(&self) -> Vec<Rule> {
        let kinds = self.kind.map_or(vec![Kind::Block, Kind::Char], |kind| vec![kind]);
        kinds.into_iter().map(|kind| Rule { kind: Some(kind), ..*self }).collect()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Some(Kind::Block) => 'b',
            Some(Kind::Char) => 'c',
            None => 'a',
        };
        let [major, minor] = [self.major, self.minor]
            .map(|number| number.map_or("*".to_string(), |number| number.to_string()));
        write!(f, "{kind} {major}:{minor} {}", self.access)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(self.read, "r"), (self.write, "w"), (self.mknod, "m")];
        let granted = letters.into_iter().filter(|(granted, _)| *granted);
        granted.into_iter().try_for_each(|(_, letter)| f.write_str(letter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_in_version_1() {
        let all = Rule { kind: None, major: None, minor: None, access: Access::ALL };
        assert_eq!(all.to_string(), "a *:* rwm");
        let split: Vec<String> = all.by_kind().iter().map(Rule::to_string).collect();
        assert_eq!(split, ["b *:* rwm", "c *:* rwm"]);
        let words = DEFAULT.map(|rule| rule.to_string());
        assert_eq!(words[..3], ["b *:* m", "c *:* m", "c 1:3 rwm"]);
        assert_eq!(words[10], "c 136:* rwm");
    }
}
