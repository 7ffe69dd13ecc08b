//! Lesson 5: who am I in here?
//!
//! A user namespace translates numbers: user 0 inside may be user 1000 outside. Its first
//! process has every capability in it, and no more than before outside. So anybody may
//! make one, and with it all the other namespaces, without sudo.
//!
//! Read user_namespaces(7), then this file, maps.rs and main.rs. What subordinate ids are
//! is in subordinate.rs, which numbers can own a file in numbers.rs, who may refuse all this in
//! refusal.rs, and where names come from in accounts.rs.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{self, Gid, Pid, Uid, getegid, geteuid, setgid, setgroups, setuid};
use stage::{Error, Result, Stage, descriptor};

pub use maps::{Line, Maps};
pub use numbers::Numbers;

pub mod accounts;
mod maps;
mod numbers;
mod refusal;
mod subordinate;

/// Give the calling process a user namespace of its own. It has all capabilities in it,
/// and is nobody (65534) until somebody writes the maps.
pub fn isolate(stage: &Stage) -> Result<()> {
    stage
        .ask("unshare(CLONE_NEWUSER)", || unshare(CloneFlags::CLONE_NEWUSER))
        .map_err(refusal::of_unshare)
}

/// Say who the users and groups in the user namespace of process `pid` are outside. It is
/// for its parent to do, while the process waits; a map is written once, and stays.
pub fn write(stage: &Stage, pid: Pid, maps: &Maps) -> Result<()> {
    if !geteuid().is_root() {
        if maps.uids.len() > 1 {
            return subordinate::write(stage, pid, maps);
        }
        // A group can take rights away (mode 0604). Whoever maps groups without privilege
        // must give up leaving them first.
        put(stage, pid, "setgroups", "deny")?;
    }
    put(stage, pid, "uid_map", &Line::text(&maps.uids))?;
    put(stage, pid, "gid_map", &Line::text(&maps.gids))
}

/// Write `text` to a file of `pid`'s in /proc, in one write(2): the kernel takes no more.
fn put(stage: &Stage, pid: Pid, name: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{name}");
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file =
        openat(AT_FDCWD, path.as_str(), flags, Mode::empty()).map_err(|errno| {
            refusal::of_map(Error::call(format!("open({path:?})"), errno))
        })?;
    let call = format!("write({}, {text:?}, {})", descriptor(&file), text.len());
    let written = stage.ask(call, || {
        let count = unistd::write(&file, text.as_bytes())?;
        i32::try_from(count).map_err(|_| Errno::EOVERFLOW)
    });
    written.map(drop).map_err(refusal::of_map)
}

/// Be user 0 and group 0 of our user namespace, if the maps alone have not made us that:
/// without a number of our own in the maps we are still nobody.
pub fn become_root(stage: &Stage) -> Result<()> {
    if getegid().as_raw() != 0 {
        // The groups that we were in outside are nobody's here, and still count.
        stage.ask("setgroups(0, [])", || setgroups(&[]))?;
        stage.ask("setgid(0)", || setgid(Gid::from_raw(0)))?;
    }
    if !geteuid().is_root() {
        stage.ask("setuid(0)", || setuid(Uid::from_raw(0)))?;
        end_with_parent(stage)?;
    }
    Ok(())
}

/// Be user `uid`, in group `gid` and in these `groups` besides, for good. The groups come
/// first: only root may set them, and a program that kept root's would keep their rights.
pub fn become_user(stage: &Stage, uid: u32, gid: u32, groups: &[u32]) -> Result<()> {
    let set: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    // Who has had to give up leaving groups is in no others, either.
    if !is_denied("setgroups") || !groups.is_empty() {
        stage.ask(format!("setgroups({}, {groups:?})", set.len()), || setgroups(&set))?;
    }
    stage.ask(format!("setgid({gid})"), || setgid(Gid::from_raw(gid)))?;
    // It changes all three, real, effective and saved: there is no way back.
    stage.ask(format!("setuid({uid})"), || setuid(Uid::from_raw(uid)))?;
    end_with_parent(stage)
}

/// Whether our user namespace was denied `what` (user_namespaces(7), "setgroups").
fn is_denied(what: &str) -> bool {
    let text = std::fs::read_to_string(format!("/proc/self/{what}"));
    text.is_ok_and(|text| text.trim() == "deny")
}

/// To become another user clears the wish to die with our parent: prctl(2).
fn end_with_parent(stage: &Stage) -> Result<()> {
    let call = "prctl(PR_SET_PDEATHSIG, SIGKILL)";
    stage.ask(call, || set_pdeathsig(Signal::SIGKILL))
}
