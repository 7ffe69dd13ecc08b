//! What would the kernel grant?
//!
//! A child that never becomes a program tries it, and what it made goes with it. It says what
//! came of it by the error with which it does not start.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, access, mkdir};

/// The kinds of namespaces, as /proc/PID/ns calls them, and the flags of unshare(2).
pub const NAMESPACES: [(&str, i32); 8] = [
    ("uts", libc::CLONE_NEWUTS),
    ("ipc", libc::CLONE_NEWIPC),
    ("pid", libc::CLONE_NEWPID),
    ("mnt", libc::CLONE_NEWNS),
    ("user", libc::CLONE_NEWUSER),
    ("net", libc::CLONE_NEWNET),
    ("time", libc::CLONE_NEWTIME),
    ("cgroup", libc::CLONE_NEWCGROUP),
];

/// Whether we may make a namespace by `flag`.
pub fn namespace(flag: i32) -> Result<(), Errno> {
    try_in_child(None, move || unshare(flag))
}

/// Whether the user and group `who`, else we ourselves, may make a user namespace, and have in
/// it the right to make another one by `flag`.
pub fn inside_user_namespace(who: Option<(u32, u32)>, flag: i32) -> Result<(), Errno> {
    // One after the other: where a security module takes the rights away, the first succeeds.
    try_in_child(who, move || {
        unshare(libc::CLONE_NEWUSER)?;
        unshare(flag)
    })
}

/// Whether root may stack an overlay, for which the kernel may have to load its module.
pub fn overlay() -> Result<(), Errno> {
    let none = None::<&str>;
    try_in_child(None, move || {
        unshare(libc::CLONE_NEWNS)?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(none, "/", none, private, none)?;
        mount(Some("tmpfs"), "/tmp", Some("tmpfs"), MsFlags::empty(), none)?;
        for folder in ["/tmp/lower", "/tmp/upper", "/tmp/work", "/tmp/merged"] {
            mkdir(folder, Mode::S_IRWXU)?;
        }
        let layers = "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work";
        let (kind, flags) = (Some("overlay"), MsFlags::empty());
        mount(kind, "/tmp/merged", kind, flags, Some(layers))
    })
}

/// Whether we may write to `path`, or make something in it.
pub fn is_writable(path: &Path) -> bool {
    access(path, AccessFlags::W_OK).is_ok()
}

#[allow(unsafe_code, reason = "code between fork and exec must not touch locks")]
fn try_in_child(
    who: Option<(u32, u32)>,
    part: impl Fn() -> Result<(), Errno> + Send + Sync + 'static,
) -> Result<(), Errno> {
    let mut nobody = Command::new("/");
    if let Some((uid, gid)) = who {
        nobody.uid(uid).gid(gid);
    }
    let granted = Errno::ECANCELED;
    let part = move || part().and(Err(granted)).map_err(io::Error::from);
    // SAFETY: all parts are system calls with short paths: they take no lock and no memory.
    unsafe { nobody.pre_exec(part) };
    let refused = nobody.spawn().err().and_then(|error| error.raw_os_error());
    match refused.map(Errno::from_raw) {
        Some(errno) if errno != granted => Err(errno),
        _ => Ok(()),
    }
}

#[allow(unsafe_code, reason = "nix does not know all flags")]
fn unshare(flag: i32) -> Result<(), Errno> {
    // SAFETY: no memory is passed, and the child that calls it has one thread.
    Errno::result(unsafe { libc::unshare(flag) }).map(drop)
}
