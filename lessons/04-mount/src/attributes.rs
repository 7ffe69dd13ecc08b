//! How does a whole tree of mounts become read-only?
//!
//! A bind mount can bring other mounts along. A remount changes the topmost alone, and a
//! read-only volume would be writable wherever something is mounted in it.
//! mount_setattr(2), since Linux 5.12, changes all of them at once, or none.
//!
//! Read mount_setattr(2), and MS_REMOUNT and MS_BIND in mount(2).

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use stage::{Error, Result, Stage, descriptor};

use crate::NONE;
use crate::target::{path_of, shown};

/// What a mount can be forbidden: the flag, its name, and its name as an attribute.
const RESTRICTIONS: [(MsFlags, &str, u64); 4] = [
    (MsFlags::MS_RDONLY, "RDONLY", libc::MOUNT_ATTR_RDONLY),
    (MsFlags::MS_NOSUID, "NOSUID", libc::MOUNT_ATTR_NOSUID),
    (MsFlags::MS_NODEV, "NODEV", libc::MOUNT_ATTR_NODEV),
    (MsFlags::MS_NOEXEC, "NOEXEC", libc::MOUNT_ATTR_NOEXEC),
];

/// Restrict the mount `target`, known as `destination`, and all mounts below it.
pub fn restrict(
    stage: &Stage,
    target: &OwnedFd,
    destination: &Path,
    flags: MsFlags,
) -> Result<()> {
    let chosen = RESTRICTIONS.iter().filter(|(flag, ..)| flags.contains(*flag));
    let names = |prefix: &str| {
        let names = chosen.clone().map(|(_, name, _)| format!("{prefix}{name}"));
        names.collect::<Vec<_>>().join("|")
    };
    let attributes = chosen.clone().fold(0, |all, (.., attribute)| all | attribute);
    let (fd, set) = (descriptor(target), names("MOUNT_ATTR_"));
    let call = format!(
        "mount_setattr({fd}, \"\", AT_EMPTY_PATH|AT_RECURSIVE, {{attr_set={set}}}, 32)"
    );
    let set = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let how = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    match stage.attempt(&call, || change(target, how, &set))? {
        Err(Errno::ENOSYS) => {}
        answer => return answer.map_err(|errno| Error::call(call, errno)),
    }
    // An older kernel: the topmost mount is all that can be had in one call.
    let (at, names) = (shown(target, destination), names("MS_"));
    let call = format!("mount(NULL, {at}, NULL, {names}|MS_REMOUNT|MS_BIND, NULL)");
    let flags = flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    stage.ask(call, || mount(NONE, &path_of(target), NONE, flags, NONE))
}

/// Change attributes of the mount `target`, or with AT_RECURSIVE those of all below it, too.
#[allow(unsafe_code, reason = "nix has no wrapper for mount_setattr(2)")]
pub(crate) fn change(
    target: &OwnedFd,
    how: libc::c_int,
    attributes: &libc::mount_attr,
) -> nix::Result<()> {
    // SAFETY: the path is an empty text, and the structure lives on and has the size given.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            target.as_raw_fd(),
            c"".as_ptr(),
            how,
            std::ptr::from_ref(attributes),
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(answer).map(drop)
}
