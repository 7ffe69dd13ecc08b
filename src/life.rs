//! How does one start, stop and await a container?
//!
//! Whoever keeps it is asked (`talk.rs`): it alone can send a signal without hitting somebody who
//! has got the number meanwhile, and knows when all is tidied up.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use stage::{Error, Result};

use crate::attach::{End, tell};
use crate::container::{self, Known, Restart};
use crate::monitor;
use crate::spec::STOP_SIGNAL;
use crate::store::Store;
use crate::sys::socket::{self, Want, await_any};
use crate::sys::{self, SIGKILL};
use crate::talk::{self, Message};
use crate::{control, signals};

/// How long a container has to end when it is asked to, in seconds.
const PATIENCE: u32 = 10;

/// After this time we look again at what nobody tells of, in milliseconds.
const A_LOOK: u16 = 20;

/// Ask the container that `which` means to end, and end it if it has not after `seconds`. One
/// that does not run is as it should be.
pub fn stop(store: &Store, which: &str, seconds: Option<i64>) -> Result<()> {
    let known = find(store, which)?;
    let Some(visit) = talk::visit(known.folder())? else {
        return known.hold(store)?.map(drop).ok_or_else(|| not_answering(which));
    };
    let signal = stop_signal(&known)?;
    tell(&visit, &Message::LetEnd)?;
    tell(&visit, &Message::Signal(signal))?;
    // One that stands still hears nothing.
    control::unpause(store, &known.id).ok();
    let usual = known.state.life.stop_timeout.unwrap_or(PATIENCE).into();
    let seconds = match seconds.unwrap_or(usual) {
        // Number 1 of a PID namespace is spared what it has no handler for (lesson 3).
        _ if !hears(&known, signal) => Some(0),
        seconds => u64::try_from(seconds).ok(),
    };
    if await_end(&visit, seconds.map(Duration::from_secs))?.is_none() {
        tell(&visit, &Message::Signal(SIGKILL))?;
        await_end(&visit, None)?;
    }
    known.tell(store, "stop", &[]);
    Ok(())
}

fn hears(known: &Known, signal: i32) -> bool {
    known.first().is_none_or(|first| sys::hears(first, signal))
}

/// How it is asked to end.
fn stop_signal(known: &Known) -> Result<i32> {
    let of_image = known.spec.annotations.get(STOP_SIGNAL);
    let name = known.state.life.stop_signal.as_ref().or(of_image);
    name.map_or(Ok(sys::SIGTERM), |name| signals::read(name))
}

/// Send it a signal: by its name or number, else the one that nobody can pass over.
pub fn kill(store: &Store, which: &str, signal: Option<&str>) -> Result<()> {
    let signal = signal.map_or(Ok(SIGKILL), signals::read)?;
    let known = find(store, which)?;
    let visit = talk::visit(known.folder())?.ok_or_else(|| not_running(which))?;
    if signal == SIGKILL || signal == stop_signal(&known)? {
        tell(&visit, &Message::LetEnd)?;
    }
    tell(&visit, &Message::Signal(signal))?;
    known.tell(store, "kill", &[("signal", &signal.to_string())]);
    // Who kills wants to see it dead.
    if signal == SIGKILL { await_end(&visit, None).map(drop) } else { Ok(()) }
}

fn not_running(which: &str) -> Error {
    Error::input(format!("container {which:?} is not running")).status(1)
}

fn not_answering(which: &str) -> Error {
    Error::input(format!("container {which:?} does not answer"))
        .status(1)
        .hint("it may be about to start, or to end: try again")
}

/// Wait until it has ended: its exit status. One that does not run has ended.
pub fn wait(store: &Store, which: &str) -> Result<u8> {
    let mut known = find(store, which)?;
    loop {
        let visit = talk::visit(known.folder())?;
        if let Some(status) = visit.and_then(|visit| await_end(&visit, None).transpose())
        {
            return status;
        }
        // It has ended between our looking and our calling.
        known = find(store, &known.id)?;
        match known.state.exit_status {
            Some(status) => return Ok(status),
            None if known.state.started.is_empty() => return Ok(0),
            // Its keeper was killed, and so was it.
            None if !known.is_held => return Ok(128 + SIGKILL as u8),
            // It is just being started anew.
            None => await_any(&[], Some(A_LOOK))?,
        };
    }
}

/// Stop it, and start it again.
pub fn restart(store: &Store, which: &str, seconds: Option<i64>) -> Result<()> {
    let Known { id, state, .. } = find(store, which)?;
    if state.throw_away {
        return Err(Error::input(format!("container {which:?} goes at its end (--rm)"))
            .hint("stop it, and run another one"));
    }
    stop(store, &id, seconds)?;
    monitor::start_again(store, &id, None)?;
    let known = find(store, &id)?;
    known.tell(store, "restart", &[]);
    Ok(())
}

/// Start it; one that runs is as it should be.
pub fn start(store: &Store, which: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let known = find(store, which)?;
        if !known.is_held {
            return monitor::start_again(store, which, None).map(drop);
        }
        let visit = talk::visit(known.folder())?;
        let lives_again = visit.is_some() && known.state.life.restart != Restart::No;
        if known.first().is_some() || lives_again {
            return Ok(());
        }
        // It is about to run, or to end; or somebody copies what is in it.
        if begun.elapsed() > Duration::from_secs(PATIENCE.into()) {
            return Err(not_answering(which));
        }
        let its_end = visit.iter().map(|visit| Want::Read(visit.as_fd()));
        await_any(&its_end.collect::<Vec<_>>(), Some(A_LOOK))?;
    }
}

/// Remove it, and if asked for its nameless volumes. By `force` also one that runs, which is ended
/// before; and then there may be none, which is said: false.
pub fn remove(store: &Store, which: &str, force: bool, volumes: bool) -> Result<bool> {
    let known = container::known_if_any(store, which, &store.lock_containers()?)?;
    let Some(known) = known else {
        let nobody = container::nobody(which);
        if !force {
            return Err(nobody);
        }
        stage::warn(nobody);
        return Ok(false);
    };
    if force && known.is_held {
        if let Some(visit) = talk::visit(known.folder())? {
            tell(&visit, &Message::LetEnd)?;
            tell(&visit, &Message::Signal(SIGKILL))?;
            await_end(&visit, None)?;
        }
        if known.state.throw_away {
            return Ok(true);
        }
    }
    container::remove_ended(store, &known.id, volumes).map(|()| true)
}

fn find(store: &Store, which: &str) -> Result<Known> {
    container::known(store, which, &store.lock_containers()?)
}

/// Wait until whoever keeps it says how it has ended, but no longer than `patience`. None if it
/// has not; or if its keeper has ended without a word.
fn await_end(visit: &OwnedFd, patience: Option<Duration>) -> Result<Option<u8>> {
    let start = Instant::now();
    loop {
        let left = patience.map(|patience| patience.saturating_sub(start.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
        // At most a minute at once: then we look again.
        let left = left.map(|left| left.as_millis().clamp(1, 60_000) as u16);
        await_any(&[Want::Read(visit.as_fd())], left)?;
        // Nothing there yet: we have slept enough, or were woken by a signal.
        let Ok(packet) = socket::receive(visit) else { continue };
        match Message::decode(&packet) {
            Some(Message::Ended(status)) => return Ok(Some(status)),
            Some(_) => {}
            None => return Ok(None),
        }
    }
}

/// The exit status of who has seen this end.
pub fn status_of(end: End) -> u8 {
    match end {
        End::Ended(status) => status,
        End::Left => 0,
    }
}
