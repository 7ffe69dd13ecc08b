//! Lesson 22: why is root in a container not root?
//!
//! What root may do is cut into some forty pieces, the capabilities, and a process can have
//! any of them. It has five sets: *effective* is what counts now, *permitted* what it may take
//! up again, *bounding* what a program can bring it at the most; *inheritable* and *ambient*
//! are passed on to programs. A container's root has lost most of them, in all five.
//!
//! Read capabilities(7), then this file, set.rs, main.rs. The mechanism asks the kernel, not
//! /proc: in a container, that may show what the container likes.

use nix::errno::Errno;
use nix::sys::prctl;
use stage::{Result, Stage};

mod set;
mod sys;

pub use set::{DOCKER, Set, choose};

/// Let no program bring us or our children more than `keep`, whoever runs it, and for good. It
/// takes CAP_SETPCAP, and so comes before [`keep`], and before becoming another user.
pub fn bound(stage: &Stage, keep: Set) -> Result<()> {
    let mut forbidden = sys::bounding()?.without(keep).into_iter();
    let Some(first) = forbidden.next() else { return Ok(()) };
    let call = format!("prctl(PR_CAPBSET_DROP, {first})");
    stage.ask(call, || sys::drop_from_bounding(first))?;
    // Twenty lines of the same would say less.
    let mut others = 0;
    for capability in forbidden {
        let call = format!("prctl(PR_CAPBSET_DROP, {capability})");
        let dropped = sys::drop_from_bounding(capability);
        dropped.map_err(|errno| stage::Error::call(call, errno))?;
        others += 1;
    }
    stage.note(&format!("and {others} others, one by one: all but what is kept"));
    Ok(())
}

/// Have no more than `keep` of what we are permitted, and pass nothing on.
pub fn keep(stage: &Stage, keep: Set) -> Result<()> {
    let clear = "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)";
    stage.ask(clear, sys::clear_ambient)?;
    // A user who is not root has lost all of them by becoming that.
    let left = sys::permitted()?.and(keep);
    let (header, mask) = ("{version=_LINUX_CAPABILITY_VERSION_3, pid=0}", left.mask());
    let data = format!("{{effective={mask:#x}, permitted={mask:#x}, inheritable=0}}");
    stage.ask(format!("capset({header}, {data})"), || sys::capset(left))
}

/// Let no program give us more than we have: setuid bits and file capabilities are ignored
/// from now on, in our children, too. Nobody can take it back.
pub fn no_new_privs(stage: &Stage) -> Result<()> {
    stage.ask("prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)", prctl::set_no_new_privs)
}

/// What we are permitted at this moment.
pub fn permitted() -> Result<Set> {
    sys::permitted()
}

/// The errno of a call of libc's that has no wrapper.
fn outcome(result: impl Into<i64>) -> nix::Result<()> {
    if result.into() < 0 { Err(Errno::last()) } else { Ok(()) }
}
