//! What does one try to find out what a filter forbids?
//!
//! Calls that everybody may make, root or not, and that change nothing.

use std::process::Command;

use nix::errno::Errno;
use stage::{Answer, Evidence, Result, Stage, proc};

/// ADDR_NO_RANDOMIZE, for programs that want to find everything at the same place.
const SAME_PLACE: libc::c_ulong = 0x004_0000;
/// Not to be changed, only told.
const QUESTION: libc::c_ulong = 0xffff_ffff;

/// Try them as `who`, and see what the kernel knows of our filters.
pub fn look(stage: &Stage, who: &str) -> Result<Evidence> {
    let seen = stage.look(who).fact("question", told(personality(stage, QUESTION)?));
    let seen = seen.fact("same place", told(personality(stage, SAME_PLACE)?));
    personality(stage, 0)?.ok(); // as it was at first
    let seen = seen.fact("keyctl", told(keyctl(stage)?)).fact("clone3", told(clone3()));
    let program = Command::new("true").status().is_ok_and(|status| status.success());
    let seen = seen.fact("a program", if program { "works" } else { "does not work" });
    Ok(seen.fact("Seccomp", proc::status_line("self", "Seccomp")?).end())
}

fn told<T>(answer: nix::Result<T>) -> String {
    answer.map_or_else(|errno| format!("{errno:?}"), |_| "works".into())
}

/// What kind of program we have been.
struct Kind(libc::c_ulong);

/// As strace shows it.
impl Answer for Kind {
    fn answer(&self) -> String {
        match self.0 {
            0 => "0 (PER_LINUX)".into(),
            SAME_PLACE => "0x40000 (PER_LINUX|ADDR_NO_RANDOMIZE)".into(),
            other => format!("{other:#x}"),
        }
    }
}

/// Be a program of another kind.
fn personality(stage: &Stage, kind: libc::c_ulong) -> Result<nix::Result<Kind>> {
    let said = match kind {
        SAME_PLACE => "PER_LINUX|ADDR_NO_RANDOMIZE".into(),
        0 => "PER_LINUX".into(),
        _ => format!("{kind:#x}"),
    };
    stage.attempt(format!("personality({said})"), || {
        #[allow(unsafe_code, reason = "nix has the known ones only")]
        // SAFETY: it takes a number.
        let before = unsafe { libc::syscall(libc::SYS_personality, kind) };
        Errno::result(before).map(|before| Kind(before.unsigned_abs()))
    })
}

/// Ask for the keys of our session: no namespace holds them.
fn keyctl(stage: &Stage) -> Result<nix::Result<usize>> {
    let call = "keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0)";
    stage.attempt(call, || {
        let (get, session) =
            (libc::KEYCTL_GET_KEYRING_ID, libc::KEY_SPEC_SESSION_KEYRING);
        #[allow(unsafe_code, reason = "nix has no keyctl")]
        // SAFETY: it takes numbers.
        let number = unsafe { libc::syscall(libc::SYS_keyctl, get, session, 0) };
        Errno::result(number).map(|number| usize::try_from(number).unwrap_or_default())
    })
}

/// Start a process by a description of no bytes: that is none. It is not narrated as a fork is,
/// for there is no child.
fn clone3() -> nix::Result<()> {
    #[allow(unsafe_code, reason = "nix has no clone3")]
    // SAFETY: nothing is read where nothing is said to be.
    Errno::result(unsafe { libc::syscall(libc::SYS_clone3, 0, 0) }).map(drop)
}
