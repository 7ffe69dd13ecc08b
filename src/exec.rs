//! How does another process get into a running container?
//!
//! It joins (lesson 8): the container does not start it, and is not even asked.

use std::io::{IsTerminal, stdin};
use std::path::PathBuf;

use caps::Set;
use enter::Kind;
use pids::rlimits;
use stage::{Child, Error, Evidence, Pid, Result, Stage};
use tty::{DetachKeys, Raw};
use user::Numbers;

use crate::container::{self, First};
use crate::describe;
use crate::guards::{Capabilities, Guards};
use crate::relay::Relay;
use crate::rootless;
use crate::run::{become_user, enter_working_directory, program};
use crate::settings::limits_of;
use crate::spec::Spec;
use crate::store::Store;
use crate::streams::{self, ItsEnds, OurEnds};
use crate::sys::streams::{OURS, forget, leave_terminal, write_all};
use crate::userns::Users;
use crate::{limits, sys, users};

/// What the command line asks for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The container's name or ID.
    pub container: String,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// `NAME=value`, or `NAME` for our own value; the rest is the container's.
    pub env: Vec<String>,
    /// The working directory, else the container's.
    pub cwd: Option<PathBuf>,
    /// `USER[:GROUP]`, names or numbers; else the container's.
    pub user: Option<String>,
    /// Let the command read our standard input.
    pub interactive: bool,
    /// Give it all capabilities, and let it call everything.
    pub privileged: bool,
    /// Give it a terminal of its own.
    pub terminal: bool,
    /// The keys by which one leaves it there.
    pub keys: DetachKeys,
    /// Do not wait for it.
    pub detached: bool,
    /// Print what each lesson does.
    pub explain: bool,
}

/// Run a command in a running container, and return its exit status.
pub fn exec(store: &Store, options: &Options) -> Result<u8> {
    let (spec, first) = describe_guest(store, options)?;
    let stage = Stage::of_engine(options.explain)?;
    if !options.can_be_left() {
        return enter(store, &stage, &spec, &first, options, || Ok(()));
    }
    // Whoever stays with the command is not us: as soon as we are let go, we end.
    let mut keeper = stage.fork(|cue| {
        let status = enter(store, &stage, &spec, &first, options, || {
            leave_terminal()?;
            cue.show(Evidence::default())?;
            cue.outlive()?;
            forget()
        })?;
        let mut seen = Evidence::default();
        seen.record(ENDED, status);
        cue.show(seen).map(|()| status)
    })?;
    match keeper.evidence()?.get(ENDED) {
        Some(_) => keeper.wait(),
        None => keeper.release().map(|()| 0),
    }
}

/// The container as it is to be for the command, and its first process.
fn describe_guest(store: &Store, options: &Options) -> Result<(Spec, First)> {
    let container::Running { mut spec, first, .. } =
        container::running(store, &options.container)?;
    if let Some(user) = &options.user {
        let pid = running_pid(&first, &options.container)?;
        let changed = users::change(&mut spec.process, pid, user);
        changed.map_err(|error| error.status(126))?;
        spec.process.user =
            rootless::possible(spec.process.user, Users::Host, &Numbers::of(pid)?)?;
    }
    spec.process.args.clone_from(&options.command);
    let env = &mut spec.process.env;
    if options.terminal && !env.iter().any(|entry| entry.starts_with("TERM=")) {
        env.push(describe::TERM.into());
    }
    describe::set_environment(&mut spec.process.env, &options.env)?;
    if let Some(cwd) = &options.cwd {
        spec.process.cwd.clone_from(cwd);
    }
    if options.privileged {
        spec.process.capabilities = Capabilities::of(Set::all());
        (spec.process.no_new_privileges, spec.linux.seccomp) = (false, None);
    }
    spec.process.terminal = options.terminal;
    spec.check()?;
    Ok((spec, first))
}

/// What the keeper of a command that nobody has left tells at its end.
const ENDED: &str = "ended";

impl Options {
    /// Whether the command may go on without us.
    fn can_be_left(&self) -> bool {
        self.detached || (self.interactive && self.terminal)
    }
}

/// Join it, start the command, and wait for its end. When it is to go on without us, `let_go` is
/// told.
fn enter(
    store: &Store,
    stage: &Stage,
    spec: &Spec,
    first: &First,
    options: &Options,
    let_go: impl FnOnce() -> Result<()>,
) -> Result<u8> {
    let guards = Guards::of(spec)?;
    // From inside, its group is not seen any more.
    let group = limits::group_of(spec, running_pid(first, &options.container)?)?;
    let way_in =
        group.map(|group| limits::way_in(&group, &options.container)).transpose()?;
    rlimits::allow(stage, &limits_of(spec))?;
    // Pipes are given away by their user's number outside.
    let lent = (!options.terminal).then(|| lend(spec, options)).transpose()?;
    join(store, stage, spec, first, &options.container)?;
    let (its, ours) = lent.map_or_else(|| open_terminal(stage, spec), Ok)?;
    // The guest is in the container with all that we have open, and our rights.
    sys::hide()?;
    let mut guest = stage.fork(|cue| {
        // Lesson 9: what it uses is the container's, too.
        way_in.as_ref().map_or(Ok(()), |way_in| way_in.enter(stage))?;
        enter_working_directory(&spec.process.cwd)?;
        its.take(stage, spec.process.user.uid)?;
        // Lessons 22 and 23: no more than the container's own may.
        guards.put_on(stage, || become_user(stage, spec))?;
        cue.exec(stage, &program(spec))
    })?;
    drop(its);
    guest.await_start()?;
    if !options.detached {
        return attend(stage, guest, ours, options, let_go);
    }
    let_go()?;
    guest.wait()
}

/// What the command finds as its standard input, output and error, and our ends of that.
fn lend(spec: &Spec, options: &Options) -> Result<(ItsEnds, OurEnds)> {
    match options.detached {
        false => streams::lend(options.interactive, spec.user_outside()),
        true => streams::nothing().map(|its| (its, OurEnds::default())),
    }
}

/// Lesson 25: the same as a terminal of the container's, where we are now.
fn open_terminal(stage: &Stage, spec: &Spec) -> Result<(ItsEnds, OurEnds)> {
    let size = tty::size_of(stdin()).ok();
    let (master, slave) = streams::open_terminal(stage, size, spec.process.user.uid)?;
    let mut ours = OurEnds::default();
    ours.adopt(stage, master)?;
    Ok((ItsEnds::Opened(slave), ours))
}

/// Pass on what is typed and written, until the command has ended. If it is left, nobody types
/// any more, and what it writes goes nowhere.
fn attend(
    stage: &Stage,
    mut guest: Child,
    ours: OurEnds,
    options: &Options,
    let_go: impl FnOnce() -> Result<()>,
) -> Result<u8> {
    let types = options.interactive && stdin().is_terminal();
    let is_raw = types && options.terminal;
    let mut raw = is_raw.then(|| Raw::enter(stdin())).transpose()?;
    let mut relay = Relay::of_guest();
    relay.lend_ours(types);
    relay.leave_by = is_raw.then(|| options.keys.clone());
    relay.begin(ours);
    let mut let_go = Some(let_go);
    loop {
        if let Some(status) = guest.look_in()? {
            relay.drain(stage)?;
            return relay.lost.map_or(Ok(status), Err);
        }
        relay.turn(stage, None)?;
        if relay.is_left
            && let Some(let_go) = let_go.take()
        {
            raw = None;
            // What comes next begins on a line of its own.
            write_all(OURS[2], b"\n")?;
            let_go()?;
        }
        if raw.is_some() {
            tty::size_of(stdin()).into_iter().for_each(|size| relay.resize(size));
        }
    }
}

/// Lesson 8: enter all that the container has of its own. Of the PID namespace, that is for
/// our next child.
fn join(
    store: &Store,
    stage: &Stage,
    spec: &Spec,
    first: &First,
    which: &str,
) -> Result<()> {
    let pid = running_pid(first, which)?;
    // Without root, its user namespace comes first: it grants the rest, and what else is to
    // be done here.
    if rootless::is_rootless() {
        rootless::follow(stage, pid)?;
    }
    crate::sweep(store)?;
    let mut kinds = vec![Kind::Uts, Kind::Ipc, Kind::Pid, Kind::Mount];
    kinds.extend(spec.namespace("network").map(|_| Kind::Net));
    kinds.extend(spec.namespace("cgroup").map(|_| Kind::Cgroup));
    if spec.users().is_none() {
        return enter::join_at_once(stage, pid, &kinds);
    }
    kinds.push(Kind::User);
    enter::join_at_once(stage, pid, &kinds)?;
    // There we are nobody yet (lesson 5).
    user::become_root(stage)
}

/// The container's first process.
fn running_pid(first: &First, which: &str) -> Result<Pid> {
    let ended = || Error::input(format!("container {which:?} has just ended")).status(1);
    first.pid().ok_or_else(ended)
}
