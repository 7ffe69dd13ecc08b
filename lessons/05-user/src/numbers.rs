//! Which numbers can own a file here?
//!
//! In a user namespace those that are in its maps: the kernel refuses to give a file to others
//! (chown(2), EINVAL), for they would be nobody outside. Read user_namespaces(7).

use nix::unistd::Pid;
use stage::Result;

use crate::maps::{Line, Maps};

/// Which numbers of users and groups there are here: others cannot own a file.
#[derive(Debug, Clone)]
pub struct Numbers {
    maps: Maps,
}

impl Numbers {
    /// Those of our own user namespace.
    pub fn here() -> Result<Numbers> {
        Numbers::of(Pid::this())
    }

    /// Those of the user namespace of process `pid`.
    pub fn of(pid: Pid) -> Result<Numbers> {
        let read = |map: &str| Line::read(&format!("/proc/{pid}/{map}"));
        Ok(Numbers { maps: Maps { uids: read("uid_map")?, gids: read("gid_map")? } })
    }

    /// Whether there is a user `uid`.
    pub fn has_user(&self, uid: u32) -> bool {
        is_in(&self.maps.uids, uid)
    }

    /// Whether there is a group `gid`.
    pub fn has_group(&self, gid: u32) -> bool {
        is_in(&self.maps.gids, gid)
    }

    /// Whether root is alone.
    pub fn is_single(&self) -> bool {
        self.maps.uids.iter().map(|line| u64::from(line.count)).sum::<u64>() == 1
    }
}

fn is_in(lines: &[Line], number: u32) -> bool {
    let place = |line: &Line| number.checked_sub(line.inside);
    lines.iter().any(|line| place(line).is_some_and(|place| place < line.count))
}
