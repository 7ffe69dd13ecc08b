//! Lesson 14: can a disk writer be slowed?
//!
//! A group gets a number of bytes per second on a block device. What it asks for beyond that
//! waits in the kernel, and whoever has asked waits, too. The controller is called `blkio` in
//! version 1 and `io` in version 2.
//!
//! | file | its question |
//! |---|---|
//! | `device.rs` | which disk is meant? |
//! | `traffic.rs` | how much has a group read and written? |
//! | `disk.rs` | how does one get a disk of one's own? |
//! | `filesystem.rs` | how does a disk get files? |
//!
//! Read the kernel's admin-guide/cgroup-v2.rst, "IO", and cgroup-v1/blkio-controller.rst;
//! then this file and main.rs.

use cgroup::{Group, Version};
use nix::errno::Errno;
use stage::{Result, Stage};

mod device;
pub mod disk;
pub mod filesystem;
mod traffic;

pub use device::Device;
pub use traffic::{Traffic, traffic, traffic_on};

/// The controller's name in version 1, as lesson 9 wants it.
pub const CONTROLLER: &str = "blkio";

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the disk.
    Read,
    /// To the disk.
    Write,
}

/// Let the group have so many bytes per second of `device` in one direction; 0 takes the
/// limit away. The kernel refuses a device that is not there, and a partition (ENODEV).
pub fn throttle(
    stage: &Stage,
    group: &Group,
    device: Device,
    direction: Direction,
    bytes_per_second: u64,
) -> Result<()> {
    let (name, text) =
        command(group.version(CONTROLLER)?, device, direction, bytes_per_second);
    let set = group.set(stage, CONTROLLER, name, &text);
    set.map_err(|error| match error.errno() {
        Some(Errno::ENODEV) => error.hint("a limit is for a whole disk: see `lsblk`"),
        _ => error,
    })
}

/// The file of a limit, and what is written to it.
pub fn command(
    version: Version,
    device: Device,
    direction: Direction,
    bytes_per_second: u64,
) -> (&'static str, String) {
    let v1 = format!("{device} {bytes_per_second}");
    // Version 2 has a word for no limit.
    let limit = match bytes_per_second {
        0 => "max".to_string(),
        some => some.to_string(),
    };
    match (version, direction) {
        (Version::V1, Direction::Read) => ("blkio.throttle.read_bps_device", v1),
        (Version::V1, Direction::Write) => ("blkio.throttle.write_bps_device", v1),
        (Version::V2, Direction::Read) => ("io.max", format!("{device} rbps={limit}")),
        (Version::V2, Direction::Write) => ("io.max", format!("{device} wbps={limit}")),
    }
}

/// Let the group have `weight` (10 to 1000, as Docker counts) where others want the same
/// disk. Returns whether this kernel has anything that weighs: a scheduler (CFQ, BFQ) or,
/// in version 2, a model of what a disk can do (iocost).
pub fn weigh(stage: &Stage, group: &Group, weight: u16) -> Result<bool> {
    let plain = weight.to_string();
    let files = match group.version(CONTROLLER)? {
        Version::V1 => [("blkio.weight", plain.clone()), ("blkio.bfq.weight", plain)],
        Version::V2 => [("io.bfq.weight", plain), ("io.weight", in_v2(weight))],
    };
    let folder = group.folder(CONTROLLER)?;
    let there = files.iter().filter(|(name, _)| folder.join(name).exists());
    // Each disk has a scheduler of its own: all of them are told.
    there
        .clone()
        .try_for_each(|(name, text)| group.set(stage, CONTROLLER, name, text))?;
    Ok(there.count() > 0)
}

/// From 10 to 1000 in version 1, from 1 to 10000 in version 2: translated as by crun.
fn in_v2(weight: u16) -> String {
    (1 + (u32::from(weight.clamp(10, 1000)) - 10) * 9999 / 990).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_two_units() {
        assert_eq!([10, 500, 1000, 5000].map(in_v2), ["1", "4950", "10000", "10000"]);
    }

    #[test]
    fn no_limit_is_written_in_two_ways() {
        let device = Device { major: 7, minor: 0 };
        let words = |version, limit| command(version, device, Direction::Write, limit).1;
        assert_eq!(words(Version::V1, 0), "7:0 0");
        assert_eq!(words(Version::V2, 0), "7:0 wbps=max");
        assert_eq!(words(Version::V2, 1 << 20), "7:0 wbps=1048576");
    }
}
