//! How much has a group read and written?
//!
//! The kernel counts for each group and disk, in bytes. Version 1 has a line for each
//! number, `7:0 Write 4096`; version 2 has one for each disk, `7:0 rbytes=0 wbytes=4096 …`.

use cgroup::{Group, Version};
use stage::Result;

use crate::{CONTROLLER, Device};

/// Bytes that a group has moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From disks.
    pub read: u64,
    /// To disks.
    pub written: u64,
}

/// All that the group has read and written, on all disks. In version 1, many kernels count
/// only on disks for which the group has a limit: 0 may mean that nobody has counted.
pub fn traffic(group: &Group) -> Result<Traffic> {
    let add = |sum: Traffic, (_, one): &(Device, Traffic)| Traffic {
        read: sum.read + one.read,
        written: sum.written + one.written,
    };
    Ok(entries(group)?.iter().fold(Traffic::default(), add))
}

/// The same for one disk.
pub fn traffic_on(group: &Group, device: Device) -> Result<Traffic> {
    let all = entries(group)?;
    let found = all.into_iter().find(|(of, _)| *of == device);
    Ok(found.map(|(_, traffic)| traffic).unwrap_or_default())
}

fn entries(group: &Group) -> Result<Vec<(Device, Traffic)>> {
    let version = group.version(CONTROLLER)?;
    let name = match version {
        // With the groups below it; kernels before 4.5 have the one without only.
        Version::V1 => "blkio.throttle.io_service_bytes_recursive",
        Version::V2 => "io.stat",
    };
    Ok(parse(version, &group.get(CONTROLLER, name)?))
}

/// Word by word, because some kernels leave out line breaks behind disks with no numbers.
fn parse(version: Version, text: &str) -> Vec<(Device, Traffic)> {
    let mut found: Vec<(Device, Traffic)> = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        if let Some(device) = Device::parse(word)
            && found.last().is_none_or(|(last, _)| *last != device)
        {
            found.push((device, Traffic::default()));
        }
        let value = match version {
            Version::V1 if ["Read", "Write"].contains(&word) => words.next(),
            _ => word.split_once('=').map(|(_, value)| value),
        };
        let number = value.and_then(|value| value.parse().ok());
        let (Some(number), Some((_, traffic))) = (number, found.last_mut()) else {
            continue;
        };
        match word.split('=').next() {
            Some("Read" | "rbytes") => traffic.read = number,
            Some("Write" | "wbytes") => traffic.written = number,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(minor: u64, read: u64, written: u64) -> (Device, Traffic) {
        (Device { major: 7, minor }, Traffic { read, written })
    }

    #[test]
    fn version_1_has_a_line_for_each_number() {
        let text =
            "7:1 Read 1\n7:1 Write 2\n7:1 Sync 3\n7:1 Total 3\n7:0 Read 4\nTotal 7";
        assert_eq!(parse(Version::V1, text), [entry(1, 1, 2), entry(0, 4, 0)]);
        assert_eq!(parse(Version::V1, "Total 0"), []);
    }

    #[test]
    fn version_2_has_a_line_for_each_disk() {
        let text = "7:0 \n7:1 7:2 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n";
        let found = parse(Version::V2, text);
        assert_eq!(found, [entry(0, 0, 0), entry(1, 0, 0), entry(2, 1, 2)]);
    }
}
