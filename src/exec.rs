//! How does another process get into a running container?
//!
//! It joins (lesson 8): the container does not start it, and is not even asked.

use std::path::PathBuf;

use enter::Kind;
use stage::{Error, Pid, Result, Stage, proc};

use crate::container::{self, First};
use crate::describe;
use crate::network;
use crate::rootless;
use crate::run::{enter_working_directory, program};
use crate::spec::Spec;
use crate::store::Store;
use crate::sys;

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
    /// Let the command read our standard input.
    pub interactive: bool,
    /// Print what each lesson does.
    pub explain: bool,
}

/// Run a command in a running container, and return its exit status.
pub fn exec(store: &Store, options: &Options) -> Result<u8> {
    let container::Running { mut spec, first, .. } =
        container::running(store, &options.container)?;
    spec.process.args.clone_from(&options.command);
    describe::set_environment(&mut spec.process.env, &options.env)?;
    if let Some(cwd) = &options.cwd {
        spec.process.cwd.clone_from(cwd);
    }
    spec.check()?;
    let stage = Stage::of_engine(options.explain)?;
    if !options.interactive {
        sys::without_input()?;
    }
    join(store, &stage, &spec, &first, &options.container)?;
    let mut guest = stage.fork(|cue| {
        enter_working_directory(&spec.process.cwd)?;
        cue.exec(&stage, &program(&spec))
    })?;
    guest.wait()
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
    let pid = Pid::from_raw(first.pid);
    // It may have ended meanwhile, and its number may be somebody else's.
    if proc::namespace_of(pid, "pid").ok().as_ref() != Some(&first.namespace) {
        return Err(Error::input(format!("container {which:?} has just ended")).status(1));
    }
    // Its user namespace comes first: it grants the rest, and what else is to be done here.
    rootless::follow(stage, pid)?;
    container::sweep(store)?;
    network::sweep()?;
    let mut kinds = vec![Kind::Uts, Kind::Ipc, Kind::Pid, Kind::Mount];
    kinds.extend(spec.namespace("network").map(|_| Kind::Net));
    enter::join_at_once(stage, pid, &kinds)
}
