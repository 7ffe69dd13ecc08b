//! Who keeps a container that nobody waits for?
//!
//! A process of its own, one for each: there is no daemon. It is our child until the container
//! runs, so that nothing half-made outlives us; then we let it go.

use std::cell::Cell;
use std::os::fd::OwnedFd;

use stage::{Cue, Evidence, Result, Stage};

use crate::attach::{self, Front};
use crate::container::{Container, State};
use crate::describe;
use crate::foreground::{self, Options};
use crate::keep::Kept;
use crate::store::Store;
use crate::streams::{Input, Wanted};
use crate::sys::{self, socket};

/// What the monitor tells when the container runs: its ID.
const ID: &str = "id";

/// Make a container and start it. Returns its ID, or the exit status of who is in `front`.
pub fn run(store: &Store, options: &Options, front: Option<&Front>) -> Result<Outcome> {
    let stage = Stage::of_engine(options.explain)?;
    let wanted = wanted(options.request.terminal, options.interactive, front);
    start(&stage, front, wanted, || {
        let work = store.work()?;
        let image = describe::find_image(store, &options.request)?;
        foreground::make(store, options, image.as_ref(), work)
    })
}

/// Make a container that is started later; its ID.
pub fn create(store: &Store, options: &Options) -> Result<String> {
    let work = store.work()?;
    let image = describe::find_image(store, &options.request)?;
    let kept = foreground::make(store, options, image.as_ref(), work)?;
    kept.container.is_made(store)?;
    let id = kept.container.id().to_string();
    kept.container.leave();
    Ok(id)
}

/// Start a container that is there, and does not run. In Docker, 125 to 127 are for who asks for
/// a command; whoever starts this one is told 1.
pub fn start_again(store: &Store, which: &str, front: Option<&Front>) -> Result<Outcome> {
    reopen(store, which, front).map_err(|error| match error.exit_status() {
        stage::FAILED..=127 => error.status(1),
        _ => error,
    })
}

fn reopen(store: &Store, which: &str, front: Option<&Front>) -> Result<Outcome> {
    let stage = Stage::of_engine(false)?;
    let (container, spec, state) = Container::reopen(store, which)?;
    let wanted = wanted(spec.process.terminal, state.life.open_stdin, front);
    let State { life, throw_away, .. } = state;
    start(&stage, front, wanted, || Ok(Kept { store, container, spec, life, throw_away }))
}

/// What has come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It runs: its ID.
    Runs(String),
    /// Somebody sat in front of it, and saw this.
    Seen(attach::End),
}

fn wanted(terminal: bool, open_stdin: bool, front: Option<&Front>) -> Wanted {
    match (terminal, open_stdin) {
        (true, _) => Wanted::Terminal(front.and_then(Front::size)),
        (false, true) => Wanted::Pipes(Input::Typed),
        (false, false) => Wanted::Pipes(Input::Nothing),
    }
}

/// Let a monitor of its own keep what `make` makes.
fn start<'s>(
    stage: &Stage,
    front: Option<&Front>,
    wanted: Wanted,
    make: impl FnOnce() -> Result<Kept<'s>>,
) -> Result<Outcome> {
    let (ours, its) = front.map(|_| socket::pair()).transpose()?.unzip();
    let ours = Cell::new(ours);
    let mut monitor = stage.fork(|cue| {
        sys::streams::leave_terminal()?;
        // If it had our end, too, it would not learn that we are gone.
        drop(ours.take());
        monitor(stage, cue, make()?, its, wanted)
    })?;
    let id = monitor.evidence()?[ID].to_string();
    monitor.release()?;
    match front.zip(ours.take()) {
        Some((front, ours)) => front.sit(stage, ours).map(Outcome::Seen),
        None => Ok(Outcome::Runs(id)),
    }
}

/// The monitor's life.
fn monitor(
    stage: &Stage,
    cue: &mut Cue,
    kept: Kept,
    owner: Option<OwnedFd>,
    wanted: Wanted,
) -> Result<u8> {
    let mut relay = kept.relay()?;
    owner.into_iter().for_each(|owner| relay.welcome_owner(owner));
    let ending = kept.live(stage, &mut relay, wanted, || {
        let mut seen = Evidence::default();
        seen.record(ID, kept.container.id());
        cue.show(seen)?;
        cue.outlive()?;
        // What it took to start it is not needed to keep it.
        sys::give_memory_back();
        // Whoever started us wants to see the end of our output, and unmount where we are.
        sys::streams::forget()
    });
    kept.end(stage, relay, ending).map(|ending| ending.status)
}
