//! How does the engine do without root?
//!
//! It becomes root, of a user namespace of its own (lesson 5). From then on the same code
//! runs as with sudo. What such a root is refused is decided where it is asked for; whether
//! we are one is decided here.

use std::path::{Path, PathBuf};

use enter::Kind;
use overlay::release;
use stage::{Error, Evidence, Pid, Result, Stage, proc};
use user::{Maps, Numbers};

use crate::spec::User;

use crate::store::{self, Store};
use crate::userns::Users;
use crate::{container, sys};

/// Whether the machine is somebody else's: we are not root, or root of a user namespace.
pub fn is_rootless() -> bool {
    !sys::is_root() || proc::is_in_user_namespace()
}

/// Refuse, before anything is touched, a machine where no container can be run like this.
pub fn check() -> Result<()> {
    if is_rootless() { release::check() } else { Ok(()) }
}

/// Who is not root goes into a user namespace of its own, and is root there.
pub fn enter(explain: bool) -> Result<()> {
    if sys::is_root() {
        return Ok(());
    }
    let stage = Stage::of_engine(explain)?;
    // Nobody can write the maps of a namespace that it is in itself: a child founds it.
    let mut founder = stage.fork(|cue| {
        user::isolate(&stage)?;
        cue.report(Evidence::default())?;
        Ok(0)
    })?;
    founder.evidence()?;
    user::write(&stage, founder.pid(), &maps(&stage))?;
    be_root_of(&stage, founder.pid())?;
    founder.finish().map(drop)
}

/// The same for who wants the network of the container `name`: it is root there only in the
/// user namespace that the network belongs to.
pub fn enter_with(root: &Path, name: &str, explain: bool) -> Result<()> {
    if !is_rootless() {
        return Ok(());
    }
    let other = container::running(&Store::open(root)?, name)?;
    follow(&Stage::of_engine(explain)?, Pid::from_raw(other.first.pid))
}

/// Be root where process `pid` is, if its user namespace is not the one that we are in.
pub fn follow(stage: &Stage, pid: Pid) -> Result<()> {
    match proc::namespace_of(pid, "user")? == proc::namespace("user")? {
        true => Ok(()),
        false => be_root_of(stage, pid),
    }
}

fn be_root_of(stage: &Stage, pid: Pid) -> Result<()> {
    enter::join(stage, pid, &[Kind::User])?;
    user::become_root(stage)
}

/// As many numbers as can be had: the subordinate ones, else our own alone.
fn maps(stage: &Stage) -> Maps {
    let tools = ["newuidmap", "newgidmap"];
    match tools.into_iter().all(sys::is_installed).then(Maps::range) {
        Some(Ok(maps)) => maps,
        Some(Err(error)) => {
            stage.note(&format!("a single user and group: {error}"));
            Maps::own()
        }
        None => {
            stage.note("a single user and group: there is no newuidmap (package uidmap)");
            Maps::own()
        }
    }
}

/// The `user` of a process, if there is such a one among `numbers`. Groups that are not are
/// left out.
pub fn possible(user: User, users: Users, numbers: &Numbers) -> Result<User> {
    if !is_rootless() {
        return Ok(user);
    }
    if users != Users::Host {
        return Err(Error::input(
            "--userns takes root: without, all users are ours anyway",
        ));
    }
    let mut user = user;
    user.additional_gids.retain(|gid| numbers.has_group(*gid));
    match numbers.has_user(user.uid) && numbers.has_group(user.gid) {
        true => Ok(user),
        false => Err(Error::input(format!(
            "there is no user {}:{} here: numbers set aside for you, and newuidmap, bring more",
            user.uid, user.gid
        ))
        .hint("lesson 5, \"More than one number\", tells how; or do without -u")),
    }
}

/// Where the store is, unless somebody says otherwise: root has one for the machine, others
/// have their own, as the XDG Base Directory Specification has it.
pub fn store_root() -> PathBuf {
    if !is_rootless() {
        return store::ROOT.into();
    }
    let folder = |name| std::env::var_os(name).map(PathBuf::from);
    let absolute = |name| folder(name).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").unwrap_or_else(|| {
        let home = absolute("HOME").or_else(|| sys::home_of(proc::uid_outside()));
        home.as_deref().unwrap_or(Path::new("/")).join(".local/share")
    });
    data.join("fakedocker")
}
