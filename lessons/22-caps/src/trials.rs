//! What does one try to find out which rights are there?
//!
//! Calls that the kernel refuses without a certain capability, and that change nothing with
//! it: each is either without effect from the start, or ends with the mount namespace.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::path::Path;

use caps::Set;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, socket};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Uid, fchown};
use stage::{Error, Evidence, Result, Stage, descriptor};

/// A call, and who may make it.
pub struct Trial {
    pub what: &'static str,
    /// The capability that it takes.
    pub needs: &'static str,
    /// What it says with it. `works`, or the errno of what does not exist.
    pub granted: &'static str,
    /// What it says without.
    pub refused: &'static str,
    attempt: Attempt,
}

pub const TRIALS: [Trial; 7] = [
    trial("chown", "CHOWN", "works", "EPERM", chown),
    trial("port 80", "NET_BIND_SERVICE", "works", "EACCES", port),
    trial("mknod", "MKNOD", "works", "EPERM", node),
    trial("mount", "SYS_ADMIN", "works", "EPERM", mounting),
    trial("settime", "SYS_TIME", "works", "EPERM", settime),
    trial("module", "SYS_MODULE", "ENOENT", "EPERM", module),
    trial("kexec", "SYS_BOOT", "EINVAL", "EPERM", kexec),
];

type Attempt = fn(&Stage) -> Result<nix::Result<()>>;

const fn trial(
    what: &'static str,
    needs: &'static str,
    granted: &'static str,
    refused: &'static str,
    attempt: Attempt,
) -> Trial {
    Trial { what, needs, granted, refused, attempt }
}

impl Trial {
    /// What it says to whoever has these capabilities.
    pub fn predicted(&self, set: Set) -> Result<&'static str> {
        let has = set.has(Set::named(&[self.needs])?);
        Ok(if has { self.granted } else { self.refused })
    }
}

/// Try all of them as `who`.
pub fn look(stage: &Stage, who: &str) -> Result<Evidence> {
    let mut seen = stage.look(who);
    for trial in &TRIALS {
        let answer = (trial.attempt)(stage)?;
        let said = answer.map_or_else(|errno| format!("{errno:?}"), |()| "works".into());
        seen = seen.fact(trial.what, said);
    }
    Ok(seen.end())
}

/// Give a file away.
fn chown(stage: &Stage) -> Result<nix::Result<()>> {
    let file = memfd_create("file", MFdFlags::MFD_CLOEXEC)
        .map_err(|errno| Error::call("memfd_create", errno))?;
    let call = format!("fchown({}, 1, 1)", descriptor(&file));
    let (user, group) = (Uid::from_raw(1), Gid::from_raw(1));
    stage.attempt(call, || fchown(&file, Some(user), Some(group)))
}

/// Be the machine's web server.
fn port(stage: &Stage) -> Result<nix::Result<()>> {
    let made =
        socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    let made = made.map_err(|errno| Error::call("socket", errno))?;
    let address = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 80));
    let call = format!("bind({}, {{sin_port=htons(80)}}, 16)", descriptor(&made));
    stage.attempt(call, || bind(made.as_raw_fd(), &address))
}

/// Make a node for a disk: lesson 16 is about opening it.
fn node(stage: &Stage) -> Result<nix::Result<()>> {
    let path = Path::new("/tmp/disk");
    std::fs::remove_file(path).ok(); // of the trial before
    let call = format!("mknodat(AT_FDCWD, {path:?}, S_IFBLK|0600, makedev(0x7, 0))");
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    stage.attempt(call, || mknod(path, SFlag::S_IFBLK, mode, makedev(7, 0)))
}

/// Mount something, and take it away again.
fn mounting(stage: &Stage) -> Result<nix::Result<()>> {
    let (place, none) = ("/tmp", MsFlags::empty());
    let call = format!("mount(\"tmpfs\", {place:?}, \"tmpfs\", 0, NULL)");
    let mounted = stage.attempt(call, || {
        mount(Some("tmpfs"), place, Some("tmpfs"), none, None::<&str>)
    })?;
    if mounted.is_ok() {
        let call = format!("umount2({place:?}, 0)");
        stage.ask(call, || umount2(place, MntFlags::empty()))?;
    }
    Ok(mounted)
}

/// Set the clock to nothing: it stays, but who may not is told so.
fn settime(stage: &Stage) -> Result<nix::Result<()>> {
    stage.attempt("settimeofday(NULL, NULL)", || {
        #[allow(unsafe_code, reason = "the C library wants a time")]
        // SAFETY: the kernel reads nothing from addresses that are NULL.
        outcome(unsafe { libc::syscall(libc::SYS_settimeofday, 0, 0) })
    })
}

/// Remove a module that is not there.
fn module(stage: &Stage) -> Result<nix::Result<()>> {
    stage.attempt("delete_module(\"fakedocker-none\", O_NONBLOCK)", || {
        let (name, flags) = (c"fakedocker-none", libc::O_NONBLOCK);
        #[allow(unsafe_code, reason = "nix would need a feature for it")]
        // SAFETY: the kernel reads a string that ends.
        outcome(unsafe { libc::syscall(libc::SYS_delete_module, name.as_ptr(), flags) })
    })
}

/// Load another kernel, in more pieces than there may be.
fn kexec(stage: &Stage) -> Result<nix::Result<()>> {
    stage.attempt("kexec_load(NULL, 17, NULL, KEXEC_ARCH_DEFAULT)", || {
        #[allow(unsafe_code, reason = "nix has no kexec_load")]
        // SAFETY: 17 pieces are refused before anything is read.
        outcome(unsafe { libc::syscall(libc::SYS_kexec_load, 0, 17, 0, 0) })
    })
}

fn outcome(result: libc::c_long) -> nix::Result<()> {
    Errno::result(result).map(drop)
}
