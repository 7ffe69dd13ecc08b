//! Which disk is meant?
//!
//! The kernel does not want a path, but the two numbers of the device behind it: who drives
//! it, and which of those it is. `ls -l /dev` shows them where files have their size.

use std::fmt;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::sys::stat::{major, minor};
use stage::{Error, Result};

/// A block device by its numbers, which read `7:0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Who drives it: 7 for loop devices, 8 for SCSI disks and what looks like them.
    pub major: u64,
    /// Which of those it is.
    pub minor: u64,
}

impl Device {
    /// The one at `path`, a whole disk: what is limited is the queue of its requests, and a
    /// partition has none of its own. The kernel would say ENODEV.
    pub fn at(path: &Path) -> Result<Device> {
        let found = fs::metadata(path);
        let found = found.map_err(|error| Error::io(path.display(), &error))?;
        if !found.file_type().is_block_device() {
            let error = Error::input(format!("{} is no block device", path.display()));
            return Err(error.hint("`lsblk --paths` lists those that there are"));
        }
        let number = found.rdev();
        let device = Device { major: major(number), minor: minor(number) };
        match device.disk_of_partition() {
            None => Ok(device),
            Some(disk) => {
                let error = Error::input(format!("{} is a partition", path.display()));
                Err(error.hint(format!("a limit is for the whole disk: /dev/{disk}")))
            }
        }
    }

    /// The name of the disk that this is a part of, if it is one: its folder is in the disk's.
    fn disk_of_partition(self) -> Option<String> {
        let folder = format!("/sys/dev/block/{self}");
        let folder =
            fs::canonicalize(folder).ok().filter(|it| it.join("partition").exists())?;
        Some(folder.parent()?.file_name()?.to_str()?.to_string())
    }

    /// What `7:0` stands for.
    pub(crate) fn parse(text: &str) -> Option<Device> {
        let (major, minor) = text.split_once(':')?;
        Some(Device { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_disk_is_named() {
        let error = |path: &str| Device::at(Path::new(path)).unwrap_err().to_string();
        assert_eq!(error("/dev/null"), "/dev/null is no block device");
        assert!(error("/no/such").starts_with("/no/such: ENOENT"));
    }
}
