//! Which of the kernel's switches are a container's own?
//!
//! /proc/sys has a file for each. Most are of the one kernel that all share, and to write to them
//! changes the host. But some show what belongs to a namespace (lessons 2 and 6), and each process
//! finds those of its own in the same file: how large a message may be, whether packets are
//! passed on. They are set while /proc/sys can still be written to: see protect.rs.
//!
//! Read proc(5), "/proc/sys", ipc_namespaces(7) and network_namespaces(7).

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd;
use stage::{Error, Result, Stage, descriptor};

use crate::target::Root;

/// The namespace that a switch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The IPC namespace.
    Ipc,
    /// The network namespace.
    Network,
}

const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Whose the switch `name` is; None if it is the whole machine's.
pub fn owner(name: &str) -> Option<Owner> {
    let is_ipc = IPC.contains(&name) || name.starts_with("fs.mqueue.");
    let ipc = is_ipc.then_some(Owner::Ipc);
    ipc.or_else(|| name.starts_with("net.").then_some(Owner::Network))
}

/// Set the switch `name` to `value`, in the /proc of `root`.
pub fn set(stage: &Stage, root: &Root, name: &str, value: &str) -> Result<()> {
    let path = Path::new("/proc/sys").join(name.replace('.', "/"));
    let file = root.writable(&path).map_err(|error| refused(error, name))?;
    // A mount of the user's may lie there, and what is behind that is not meant.
    let kind = fstatfs(&file).map_err(|errno| Error::call("fstatfs", errno))?;
    if kind.filesystem_type() != PROC_SUPER_MAGIC {
        return Err(Error::input(format!(
            "{path:?} is not the kernel's: nothing is set"
        )));
    }
    let call = format!("write({}, {value:?}, {})", descriptor(&file), value.len());
    let written = stage.ask(call, || {
        let count = unistd::write(&file, value.as_bytes())?;
        i32::try_from(count).map_err(|_| Errno::EOVERFLOW)
    });
    written.map(drop).map_err(|error| refused(error, name))
}

fn refused(error: Error, name: &str) -> Error {
    match error.errno() {
        Some(Errno::ENOENT) => error.hint(format!("this kernel has no switch {name}")),
        Some(Errno::EINVAL | Errno::ERANGE) => error.hint(format!(
            "{name} does not take that: see what it has now with sysctl(8)"
        )),
        Some(Errno::EACCES | Errno::EPERM) => {
            error.hint(format!("to set {name} takes the machine's own root"))
        }
        _ => error,
    }
}

/// Whether `name` is a name at all, such as `net.ipv4.ip_forward`.
pub fn is_name(name: &str) -> bool {
    let path = PathBuf::from(name.replace('.', "/"));
    let allowed =
        |letter: char| letter.is_ascii_alphanumeric() || "._-:@".contains(letter);
    name.chars().all(allowed) && path.components().count() == name.split('.').count()
}
