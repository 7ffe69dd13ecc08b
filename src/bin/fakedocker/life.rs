//! What can one say about the life of a container?

use clap::{Args, Subcommand};
use fakedocker::attach::{self, DetachKeys, Front};
use fakedocker::container::{Life, Restart};
use fakedocker::monitor::{self, Outcome};
use fakedocker::store::Store;
use fakedocker::{container, life, logs, signals};
use stage::{Error, Result};

use crate::later::Later;
use crate::{Containers, each};

#[derive(Subcommand)]
pub enum Command {
    /// Start containers that have ended, or have not begun yet
    Start(Later<Start>),
    /// Ask containers to end, and end them if they do not
    Stop(Later<Stop>),
    /// Stop containers, and start them again
    Restart(Later<Stop>),
    /// Send a signal to containers
    Kill(Later<Kill>),
    /// Wait until containers have ended, and show their exit statuses
    Wait(Later<Containers>),
    /// Sit in front of a running container
    Attach(Later<Attach>),
    /// Show what a container has written
    Logs(Later<Logs>),
    /// Give a container another name
    Rename(Later<Rename>),
    /// Remove containers that have ended
    Rm(Later<Rm>),
}

#[derive(Args)]
pub struct Start {
    /// Sit in front of it until it ends: then there is one
    #[arg(short, long)]
    attach: bool,
    /// And type what it reads
    #[arg(short, long)]
    interactive: bool,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    which: Containers,
}

#[derive(Args)]
pub struct Stop {
    /// How many seconds they have for it; -1 for as long as they want [default: 10]
    #[arg(
        short = 't',
        long = "timeout",
        alias = "time",
        value_name = "SECONDS",
        allow_hyphen_values = true
    )]
    seconds: Option<i64>,
    #[command(flatten)]
    which: Containers,
}

#[derive(Args)]
pub struct Kill {
    /// Which one, by name or number [default: KILL]
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    #[command(flatten)]
    which: Containers,
}

#[derive(Args)]
pub struct Attach {
    /// Type nothing, only look
    #[arg(long)]
    no_stdin: bool,
    #[command(flatten)]
    keys: Keys,
    /// Its name or its ID
    container: String,
}

/// The keys by which one leaves a container.
#[derive(Args)]
pub struct Keys {
    /// The keys by which one leaves a container that has a terminal
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    detach_keys: String,
}

#[derive(Args)]
pub struct Logs {
    /// And what it writes from now on
    #[arg(short, long)]
    follow: bool,
    /// The last lines only: a number, or all
    #[arg(short = 'n', long, value_name = "NUMBER", default_value = "all")]
    tail: String,
    /// Nothing from before: 2026-11-22T17:14:09Z, 10m (ago), seconds since 1970
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Nothing from after
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// With the time of each line
    #[arg(short, long)]
    timestamps: bool,
    /// Its name or its ID
    container: String,
}

#[derive(Args)]
pub struct Rename {
    /// Its name or its ID
    container: String,
    /// What it is to be called
    new: String,
}

#[derive(Args)]
pub struct Rm {
    /// End them first, if they run; there may be none
    #[arg(short, long)]
    force: bool,
    /// And their volumes, but for those that have a name
    #[arg(short, long)]
    volumes: bool,
    #[command(flatten)]
    which: Containers,
}

/// How a new container is to be kept.
#[derive(Args)]
pub struct Kept {
    /// Start it again at its end: no, on-failure[:TIMES], unless-stopped, always
    #[arg(long, value_name = "POLICY", default_value = "no")]
    restart: String,
    /// How `stop` asks it to end [default: the image's, or TERM]
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// How many seconds it has for that [default: 10]
    #[arg(long, value_name = "SECONDS")]
    stop_timeout: Option<u32>,
    /// Where what it writes is kept: local, or none
    #[arg(long, value_name = "DRIVER", default_value = "local", value_parser = ["local", "json-file", "none"])]
    log_driver: String,
    /// How long a log may become, as max-size=10m; one older one is kept
    #[arg(long, value_name = "NAME=VALUE")]
    log_opt: Vec<String>,
}

impl Kept {
    pub fn life(&self, throw_away: bool) -> Result<Life> {
        let restart = read_restart(&self.restart)?;
        if throw_away && restart != Restart::No {
            return Err(Error::input("--rm and --restart: it cannot go and come again"));
        }
        self.stop_signal.as_deref().map_or(Ok(0), signals::read)?;
        Ok(Life {
            restart,
            stop_signal: self.stop_signal.clone(),
            stop_timeout: self.stop_timeout,
            log_size: self.log_size()?,
            ..Life::default()
        })
    }

    fn log_size(&self) -> Result<Option<u64>> {
        let mut size = (self.log_driver == "none").then_some(0);
        for option in &self.log_opt {
            match option.split_once('=') {
                Some(("max-size", text)) => size = Some(logs::read_size(text)?),
                // One is always kept.
                Some(("max-file", "1" | "2")) => {}
                _ => {
                    return Err(Error::input(format!(
                        "--log-opt {option:?} is not known"
                    ))
                    .hint("max-size=10m; the log before it is kept, too"));
                }
            }
        }
        Ok(size)
    }
}

fn read_restart(text: &str) -> Result<Restart> {
    let times = |text: &str| text.parse().ok().filter(|times| *times > 0);
    match text.split_once(':') {
        None if text == "no" => Ok(Restart::No),
        None if text == "always" => Ok(Restart::Always),
        None if text == "unless-stopped" => Ok(Restart::UnlessStopped),
        None if text == "on-failure" => Ok(Restart::OnFailure { at_most: None }),
        Some(("on-failure", text)) if times(text).is_some() => {
            Ok(Restart::OnFailure { at_most: times(text) })
        }
        _ => Err(Error::input(format!("--restart {text:?} is not known"))
            .hint("no, on-failure, on-failure:3, unless-stopped, always")),
    }
}

impl Keys {
    pub fn read(&self) -> Result<DetachKeys> {
        DetachKeys::parse(&self.detach_keys)
    }
}

impl Command {
    pub fn play(&self, store: &Store) -> Result<u8> {
        match self {
            Command::Start(args) => args.play(store),
            Command::Stop(args) => args
                .which
                .each(store, |store, which| life::stop(store, which, args.seconds)),
            Command::Restart(args) => {
                let again = |store: &Store, which: &str| {
                    life::restart(store, which, args.seconds)
                };
                args.which.each(store, again)
            }
            Command::Kill(args) => {
                let signal = args.signal.as_deref();
                args.which.each(store, |store, which| life::kill(store, which, signal))
            }
            Command::Wait(args) => {
                each(&args.containers, |which| stage::tell(life::wait(store, which)?))
            }
            Command::Attach(args) => {
                let keys = args.keys.read()?;
                let end = attach::attach(store, &args.container, !args.no_stdin, keys);
                end.map(life::status_of)
            }
            Command::Logs(args) => {
                logs::show(store, &args.container, &args.wanted()?).map(|()| 0)
            }
            Command::Rename(args) => {
                container::rename(store, &args.container, &args.new).map(|()| 0)
            }
            Command::Rm(args) => {
                each(&args.which.containers, |which| {
                    match life::remove(store, which, args.force, args.volumes)? {
                        true => stage::tell(which),
                        false => Ok(()),
                    }
                })
            }
        }
    }
}

impl Start {
    fn play(&self, store: &Store) -> Result<u8> {
        let which = &self.which.containers;
        if !self.attach && !self.interactive {
            return self.which.each(store, life::start);
        }
        let [which] = &which[..] else {
            return Err(Error::input("-a and -i: one sits in front of one container"));
        };
        let known = container::known(store, which, &store.lock_containers()?)?;
        let keys = self.keys.read()?;
        if known.first().is_some() {
            let end = attach::attach(store, which, self.interactive, keys);
            return end.map(life::status_of);
        }
        let terminal = known.spec.process.terminal;
        let types = self.interactive && known.state.life.open_stdin;
        let front = Front { types, terminal, keys, passes_signals: true };
        front.check()?;
        match monitor::start_again(store, which, Some(&front))? {
            Outcome::Seen(end) => Ok(life::status_of(end)),
            Outcome::Runs(_) => Ok(0),
        }
    }
}

impl Logs {
    fn wanted(&self) -> Result<logs::Wanted> {
        let tail = match self.tail.as_str() {
            "all" | "-1" => None,
            number => Some(number.parse().map_err(|_| {
                Error::input(format!("--tail {number:?}: give a number of lines, or all"))
            })?),
        };
        Ok(logs::Wanted {
            follow: self.follow,
            tail,
            since: logs::read_moment("--since", self.since.as_deref())?,
            until: logs::read_moment("--until", self.until.as_deref())?,
            timestamps: self.timestamps,
        })
    }
}

/// Who sits in front of a new container.
pub fn front(types: bool, terminal: bool, keys: &Keys) -> Result<Front> {
    let keys = keys.read()?;
    let front = Front { types, terminal, keys, passes_signals: true };
    front.check().map(|()| front)
}
