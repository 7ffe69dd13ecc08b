//! Which calls change capabilities?
//!
//! prctl(2) and capset(2), for which nix has no wrapper. Sets are passed as two words of 32
//! bits each, the lower one first: linux/capability.h.

use nix::errno::Errno;
use stage::{Error, Result};

use crate::outcome;
use crate::set::{Capability, Set};

/// _LINUX_CAPABILITY_VERSION_3
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const OURS: Header = Header { version: VERSION, pid: 0 };

/// The bounding set. What the kernel does not know ends it.
#[allow(unsafe_code, reason = "nix has no PR_CAPBSET_READ")]
pub fn bounding() -> Result<Set> {
    let mut set = Set::default();
    for capability in (0..64).map(Capability) {
        // SAFETY: it takes a number, and returns one.
        let answer = unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability.long()) };
        match answer {
            0 => {}
            1 => set = set.with(capability),
            _ if Errno::last() == Errno::EINVAL => break,
            _ => return Err(Error::call("prctl(PR_CAPBSET_READ)", Errno::last())),
        }
    }
    Ok(set)
}

#[allow(unsafe_code, reason = "nix has no PR_CAPBSET_DROP")]
pub fn drop_from_bounding(capability: Capability) -> nix::Result<()> {
    // SAFETY: it takes a number.
    outcome(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability.long()) })
}

#[allow(unsafe_code, reason = "nix has no PR_CAP_AMBIENT")]
pub fn clear_ambient() -> nix::Result<()> {
    let (what, none) =
        (libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0 as libc::c_ulong);
    // SAFETY: it takes numbers.
    outcome(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, what, none, none, none) })
}

#[allow(unsafe_code, reason = "nix has no capget")]
pub fn permitted() -> Result<Set> {
    let mut data = [Data::default(); 2];
    // SAFETY: the kernel reads a header and writes two words of each set, which are there.
    let asked = unsafe { libc::syscall(libc::SYS_capget, &OURS, data.as_mut_ptr()) };
    outcome(asked).map_err(|errno| Error::call("capget", errno))?;
    Ok(Set::from_words(data[0].permitted, data[1].permitted))
}

/// Have exactly `set`, and hand none of it down.
#[allow(unsafe_code, reason = "nix has no capset")]
pub fn capset(set: Set) -> nix::Result<()> {
    let words = set.words();
    let data =
        words.map(|word| Data { effective: word, permitted: word, inheritable: 0 });
    // SAFETY: the kernel reads a header and two words of each set.
    outcome(unsafe { libc::syscall(libc::SYS_capset, &OURS, data.as_ptr()) })
}
