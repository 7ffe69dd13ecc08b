//! Lesson 1: can two hostnames live on one machine?
//!
//! A UTS namespace holds two names of the machine: the hostname and the NIS domain name.
//! UTS is "UNIX Time-sharing System", from the name of the structure that uname(2) fills.
//!
//! Read uts_namespaces(7), then this file, then main.rs.

use std::ffi::OsStr;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::utsname::uname;
use nix::unistd::sethostname;
use stage::{Error, Result, Stage};

/// The kernel's limit for both names, in bytes: `__NEW_UTS_LEN` in sethostname(2).
pub const MAX_NAME: usize = 64;

/// Give the calling process a UTS namespace of its own, a copy of the one it was in.
pub fn isolate(stage: &Stage) -> Result<()> {
    stage.ask("unshare(CLONE_NEWUTS)", || unshare(CloneFlags::CLONE_NEWUTS))
}

/// Name the machine, for all processes in our UTS namespace: `name` is 1 to 64 bytes.
pub fn set_hostname(stage: &Stage, name: &str) -> Result<()> {
    check(name)?;
    let call = format!("sethostname({name:?}, {})", name.len());
    stage.ask(call, || sethostname(name))
}

/// Set the NIS domain name, the second name in the namespace: `name` is 1 to 64 bytes.
#[allow(unsafe_code, reason = "nix has no wrapper for setdomainname(2)")]
pub fn set_domainname(stage: &Stage, name: &str) -> Result<()> {
    check(name)?;
    let call = format!("setdomainname({name:?}, {})", name.len());
    stage.ask(call, || {
        // SAFETY: the pointer and the length describe `name`, which outlives the call.
        let result = unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) };
        Errno::result(result).map(drop)
    })
}

/// Refuse a name that the kernel would not take, before anything is touched.
pub fn check(name: &str) -> Result<()> {
    match name.len() {
        0 => Err(Error::input("a hostname cannot be empty: give 1 to 64 bytes")),
        1..=MAX_NAME => Ok(()),
        length => Err(Error::input(format!(
            "the hostname is {length} bytes long, the kernel takes at most {MAX_NAME}"
        ))),
    }
}

/// Both names, as the calling process sees them now.
pub fn names() -> Result<(String, String)> {
    let names = uname().map_err(|errno| Error::call("uname", errno))?;
    let text = |name: &OsStr| name.to_string_lossy().into_owned();
    Ok((text(names.nodename()), text(names.domainname())))
}
