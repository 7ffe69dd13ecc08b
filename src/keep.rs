//! Who stays with a container as long as it lives?
//!
//! Its keeper: connects it, starts it, passes on what it writes and what it is told, waits for its
//! end, and tidies up. If it is to be started again, all of that again.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use stage::{Child, Error, Result, Stage, proc};

use crate::container::{Container, First, Life, Restart, State};
use crate::limits::units::in_words;
use crate::logs::{self, Log};
use crate::network::{Connection, Setup};
use crate::relay::{Asked, Relay};
use crate::run::{Contained, contain};
use crate::spec::Spec;
use crate::store::Store;
use crate::streams::{self, Wanted};
use crate::sys::{self, SIGKILL};
use crate::volumes::Volumes;

/// A container, and what its keeper has to know.
pub struct Kept<'s> {
    /// Where it is.
    pub store: &'s Store,
    /// Its folder, which is ours.
    pub container: Container,
    /// What it is.
    pub spec: Spec,
    /// How it is to be kept.
    pub life: Life,
    /// It goes at its end.
    pub throw_away: bool,
}

/// How a container has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// What its first process has left, or 128 + the signal that ended it.
    pub status: u8,
    /// How many of its processes the kernel has ended for want of memory.
    pub oom_kills: u64,
    /// Somebody wanted it to end, and not to be started again.
    is_final: bool,
}

/// The first pause before it is started again; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After a life that was as long as this, the next pause is the first one again.
const LONG: Duration = Duration::from_secs(10);

impl Kept<'_> {
    /// Who hears it, and whom it hears.
    pub fn relay(&self) -> Result<Relay> {
        let folder = self.container.folder();
        let longest = self.life.log_size.unwrap_or(logs::LONGEST);
        let log = (longest > 0).then(|| Log::new(folder, longest));
        Relay::new(folder, log)
    }

    /// Start it, and stay until it has ended for good. When it has been started the first
    /// time, `at_start` is told.
    pub fn live(
        &self,
        stage: &Stage,
        relay: &mut Relay,
        wanted: Wanted,
        at_start: impl FnOnce() -> Result<()>,
    ) -> Result<Ending> {
        let mut began = Instant::now();
        let mut ending = self.live_once(stage, relay, wanted, &self.spec, at_start)?;
        let (mut again, mut pause) = (0, PAUSE);
        while self.is_to_live_again(&ending, again) {
            if began.elapsed() >= LONG {
                pause = PAUSE;
            }
            if !rest(stage, relay, pause)? {
                break;
            }
            (again, pause) = (again + 1, (pause * 2).min(LONGEST_PAUSE));
            let restarts = |state: State| State { restarts: state.restarts + 1, ..state };
            self.container.change(&self.store.lock_containers()?, restarts)?;
            // Its limits may have been changed meanwhile.
            let spec = self.container.spec()?;
            began = Instant::now();
            ending = self.live_once(stage, relay, wanted, &spec, || Ok(()))?;
        }
        Ok(ending)
    }

    fn is_to_live_again(&self, ending: &Ending, again: u32) -> bool {
        let wants = match self.life.restart {
            Restart::No => false,
            Restart::OnFailure { at_most } => {
                ending.status != 0 && at_most.is_none_or(|most| again < most)
            }
            Restart::UnlessStopped | Restart::Always => true,
        };
        wants && !ending.is_final
    }

    /// From its start to its end.
    fn live_once(
        &self,
        stage: &Stage,
        relay: &mut Relay,
        wanted: Wanted,
        spec: &Spec,
        at_start: impl FnOnce() -> Result<()>,
    ) -> Result<Ending> {
        let Kept { store, container, .. } = self;
        let network = Setup::read(store, &self.life.network)?;
        let spec = network.update(spec, container.plan());
        container.furnish(&network.files(&spec.hostname))?;
        let mut connection = Connection::prepare(network)?;
        let (its, mut ours) = streams::make(wanted, spec.user_outside())?;
        let connect = |pid| {
            let word = connection.connect(stage, pid)?;
            let name = container.name();
            container.meets_others(store, connection.hosts(&spec.hostname, name))?;
            Ok(word)
        };
        let ending = contain(stage, &spec, &its, connect).and_then(|mut contained| {
            drop(its);
            let address = connection.address();
            self.await_start(&mut contained, address)?;
            ours.arrive(stage)?;
            relay.begin(ours);
            at_start()?;
            attend(stage, relay, contained)
        });
        connection.end();
        let ending = ending?;
        // Where it goes at once, nobody reads how it has ended.
        if !self.throw_away || self.life.restart != Restart::No {
            container.ended(store, ending.status, ending.oom_kills > 0)?;
        }
        let status = ending.status.to_string();
        container.tell(store, "die", &self.spec, &[("exitCode", &status)]);
        Volumes::of(store.root()).tell_of_end(container.id(), &self.spec);
        Ok(ending)
    }

    /// Wait until its command runs. From then on, others may join it.
    fn await_start(
        &self,
        contained: &mut Contained,
        address: Option<Ipv4Addr>,
    ) -> Result<()> {
        let first = &mut contained.first;
        if self.life.at_once {
            first.end_at_once();
        }
        contained.limits.let_hear(first)?;
        first.await_start()?;
        // If it has ended already, there is nobody to join; but it has been started.
        let namespace = proc::namespace_of(first.pid(), "pid").ok();
        let pid = first.pid().as_raw();
        let first = namespace.map(|namespace| First { pid, namespace });
        self.container.runs(self.store, first, address)?;
        let volumes = Volumes::of(self.store.root());
        volumes.tell_of_mounts(self.container.id(), &self.spec);
        self.container.tell(self.store, "start", &self.spec, &[]);
        Ok(())
    }

    /// Note why nobody keeps it any more, leave it or remove it, and tell all who listen.
    pub fn end(
        self,
        stage: &Stage,
        relay: Relay,
        ending: Result<Ending>,
    ) -> Result<Ending> {
        // Nobody wants a new one that has never run.
        let stays = !self.throw_away && self.container.stays();
        if let (Err(error), true) = (&ending, stays) {
            self.note_failure(error).unwrap_or_else(stage::warn);
        }
        if stays {
            self.container.leave();
        } else {
            self.container.remove(self.store, &self.spec)?;
        }
        let status =
            ending.as_ref().map_or_else(Error::exit_status, |ending| ending.status);
        relay.end(stage, status)?;
        ending
    }

    /// It could not be started, or not again; or what has to be done at its end failed.
    fn note_failure(&self, error: &Error) -> Result<()> {
        let lock = self.store.lock_containers()?;
        let failed = |state| State { error: error.to_string(), ..state };
        self.container.change(&lock, failed)?;
        drop(lock);
        self.container.ended(self.store, error.exit_status(), false)
    }
}

/// Pass on what it writes and what it is told, until it has ended.
fn attend(stage: &Stage, relay: &mut Relay, mut contained: Contained) -> Result<Ending> {
    let first = &mut contained.first;
    let mut is_final = false;
    let status = loop {
        if let Some(status) = first.look_in()? {
            break status;
        }
        relay.turn(stage, None)?;
        for asked in std::mem::take(&mut relay.asked) {
            is_final |= asked == Asked::LetEnd;
            answer(first, asked)?;
        }
    };
    relay.drain(stage)?;
    let oom_kills = contained.limits.end(stage).unwrap_or_else(|error| {
        stage::warn(error);
        0
    });
    Ok(Ending { status, oom_kills, is_final })
}

fn answer(first: &mut Child, asked: Asked) -> Result<()> {
    match asked {
        Asked::LetEnd => Ok(()),
        // Also one that stands still cannot but end.
        Asked::Signal(SIGKILL) => first.kill(),
        Asked::Signal(number) => sys::send(first.pid(), number),
        Asked::HangUp => first.hang_up(),
    }
}

/// Wait for that time. False if it is not to be started again after that.
fn rest(stage: &Stage, relay: &mut Relay, pause: Duration) -> Result<bool> {
    let start = Instant::now();
    while let Some(left) = pause.checked_sub(start.elapsed()) {
        // Rounded up: milliseconds are counted.
        let left = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
        relay.turn(stage, Some(left))?;
        let asked = std::mem::take(&mut relay.asked);
        let ends = asked.into_iter().any(|asked| asked != Asked::HangUp);
        if ends || stage.is_asked_to_stop() {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Ending {
    /// The status; and a warning, if the kernel had to help.
    pub fn tell(self, spec: &Spec) -> u8 {
        if self.oom_kills > 0 {
            tell_of_kills(self.oom_kills, spec);
        }
        self.status
    }
}

fn tell_of_kills(count: u64, spec: &Spec) {
    let processes = match count {
        1 => "a process".into(),
        _ => format!("{count} processes"),
    };
    let limit = spec.linux.resources.memory.limit.map(i64::unsigned_abs);
    let limit = limit.map_or_else(
        || "the machine has no more".into(),
        |limit| format!("--memory is {}", in_words(limit)),
    );
    stage::warn(format!(
        "out of memory: the kernel killed {processes} of the container; {limit}"
    ));
}
