//! What does the kernel tell about a group's memory?
//!
//! A page is charged to the group of whoever touches it first, and stays charged there when
//! the process moves. So are cached files, and what the kernel needs for the group itself.

use std::path::PathBuf;

use cgroup::{Group, Version};
use stage::{Error, Result};

use crate::{CONTROLLER, Most};

/// In version 1, no limit reads as a number: the greatest one in whole pages, and a page has
/// at most 64 KiB.
const NO_LIMIT: u64 = i64::MAX as u64 - 0xffff;

/// The limit on RAM in bytes; None if there is none.
pub fn limit_of(group: &Group) -> Result<Option<u64>> {
    Ok(match ram(group)? {
        Most::Bytes(bytes) => Some(bytes),
        Most::Unlimited => None,
    })
}

/// What is in use now, in bytes.
pub fn current(group: &Group) -> Result<u64> {
    bytes(group, ["memory.usage_in_bytes", "memory.current"])
}

/// The same without files that are cached and were not used lately, in bytes: those the kernel
/// drops as soon as it wants room. Docker shows this.
pub fn working_set(group: &Group) -> Result<u64> {
    let name = of_version(group, ["total_inactive_file", "inactive_file"])?;
    let idle = group.count(CONTROLLER, "memory.stat", name)?;
    Ok(current(group)?.saturating_sub(idle))
}

/// The most that was in use at a time, in bytes; None if the kernel does not keep it (version
/// 2 does since Linux 5.19).
pub fn peak(group: &Group) -> Result<Option<u64>> {
    let names = ["memory.max_usage_in_bytes", "memory.peak"];
    let file = group.folder(CONTROLLER)?.join(of_version(group, names)?);
    file.exists().then(|| bytes(group, names)).transpose()
}

/// How many processes of the group the OOM killer has killed.
pub fn kills(group: &Group) -> Result<u64> {
    let name = of_version(group, ["memory.oom_control", "memory.events"])?;
    group.count(CONTROLLER, name, "oom_kill")
}

/// Whether the kernel counts and limits swap, too. It may have been built or booted without
/// (swapaccount=0): then there is no file for it.
pub fn counts_swap(group: &Group) -> Result<bool> {
    Ok(swap_file(group)?.exists())
}

/// The file with the limit on swap, or on RAM and swap together.
pub(crate) fn swap_file(group: &Group) -> Result<PathBuf> {
    let name = of_version(group, ["memory.memsw.limit_in_bytes", "memory.swap.max"])?;
    Ok(group.folder(CONTROLLER)?.join(name))
}

/// The limit on RAM.
pub(crate) fn ram(group: &Group) -> Result<Most> {
    read(group, ["memory.limit_in_bytes", "memory.max"])
}

/// In version 1, the limit on RAM and swap together.
pub(crate) fn total(group: &Group) -> Result<Most> {
    match counts_swap(group)? {
        true => read(group, ["memory.memsw.limit_in_bytes"; 2]),
        false => Ok(Most::Unlimited),
    }
}

/// One of the names of a file: version 1 has the first one.
fn of_version<'n>(group: &Group, [old, new]: [&'n str; 2]) -> Result<&'n str> {
    Ok(match group.version(CONTROLLER)? {
        Version::V1 => old,
        Version::V2 => new,
    })
}

fn bytes(group: &Group, names: [&str; 2]) -> Result<u64> {
    match read(group, names)? {
        Most::Bytes(bytes) => Ok(bytes),
        Most::Unlimited => Ok(u64::MAX),
    }
}

fn read(group: &Group, names: [&str; 2]) -> Result<Most> {
    let name = of_version(group, names)?;
    let text = group.get(CONTROLLER, name)?;
    parse(&text).ok_or_else(|| Error::input(format!("{name} is no number: {text}")))
}

fn parse(text: &str) -> Option<Most> {
    match text.parse() {
        Ok(bytes) if bytes < NO_LIMIT => Some(Most::Bytes(bytes)),
        Ok(_) => Some(Most::Unlimited),
        Err(_) => (text == "max").then_some(Most::Unlimited),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_has_two_names() {
        let unlimited = ["max", "9223372036854771712", "9223372036854710272"];
        assert_eq!(unlimited.map(parse), [Some(Most::Unlimited); 3]);
        assert_eq!(parse("67108864"), Some(Most::Bytes(64 << 20)));
        assert_eq!(parse("0"), Some(Most::Bytes(0)));
        assert_eq!(parse("64M"), None);
    }
}
