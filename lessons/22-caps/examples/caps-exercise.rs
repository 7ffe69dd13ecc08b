//! Lesson 22, the exercise: give a shell of root's one capability, for good.
//!
//! Fill in the two functions, with `prctl` below them. Read capabilities(7), and
//! PR_CAPBSET_DROP and PR_SET_NO_NEW_PRIVS in prctl(2).
//! Then run
//!
//!     sudo target/debug/lab check caps

#![allow(
    clippy::todo,
    dead_code,
    unused_variables,
    reason = "the exercise is yours to finish"
)]

use std::fs;
use std::io::Error;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Its number, in linux/capability.h.
const CAP_CHOWN: u32 = 0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gain_nothing()?;
    let last: u32 =
        fs::read_to_string("/proc/sys/kernel/cap_last_cap")?.trim().parse()?;
    for capability in 0..=last {
        if capability != CAP_CHOWN {
            forbid(capability)?;
        }
    }
    // Become a shell that reads standard input. exec returns only when it fails. The program
    // of a user 0 gets all that the bounding set has, and no more.
    Err(Command::new("/bin/sh").exec().into())
}

/// Let no program give us more than we have.
fn gain_nothing() -> Result<(), Error> {
    todo!("ask for no new privileges")
}

/// Take a capability out of the bounding set.
fn forbid(capability: u32) -> Result<(), Error> {
    todo!("drop it")
}

/// prctl(2) with one argument. It wants all five, the others zero.
#[allow(unsafe_code, reason = "std has no prctl")]
fn prctl(option: i32, argument: u32) -> Result<(), Error> {
    let (argument, none) = (libc::c_ulong::from(argument), 0 as libc::c_ulong);
    // SAFETY: these options take numbers.
    match unsafe { libc::prctl(option, argument, none, none, none) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}
