//! What can one say to `fakedocker`?
//!
//! The command line only, with Docker's names and exit statuses; the engine is in `src/`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use fakedocker::attach::DetachKeys;
use fakedocker::store::Store;
use fakedocker::{control, exec, format, rootless, sys};
use serde_json::Value;
use stage::{Error, Result};

mod build;
mod containers;
mod files;
mod guards;
mod images;
mod later;
mod life;
mod limits;
mod lists;
#[path = "../common/manual.rs"]
mod manual;
mod prune;
mod registry;
mod run;
mod settings;
mod volumes;

use containers::Container;
use later::Later;
use life::Keys;
use limits::Limits;

/// A container engine that is the sum of its lessons
#[derive(Parser)]
#[command(name = "fakedocker", version)]
struct Cli {
    /// Where images and containers are kept [default: /var/lib/fakedocker; for who is not
    /// root, ~/.local/share/fakedocker]
    #[arg(long, value_name = "DIR", global = true)]
    root: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Containers(containers::Command),
    /// What can be done with containers
    #[command(subcommand)]
    Container(Later<Container>),
    /// Build an image from a Dockerfile
    Build(Later<build::Build>),
    #[command(flatten)]
    Images(images::Command),
    /// What can be done with volumes
    #[command(subcommand)]
    Volume(Later<volumes::Command>),
    #[command(flatten)]
    Lists(lists::Command),
    #[command(flatten)]
    Manual(manual::Command),
}

#[derive(Args)]
#[command(override_usage = "fakedocker exec [OPTIONS] CONTAINER COMMAND [ARG]...")]
struct Exec {
    /// Let the command read standard input
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal of its own
    #[arg(short, long)]
    tty: bool,
    /// Do not wait for its end
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    keys: Keys,
    /// Set an environment variable, or pass on ours
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// The same for each line of a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// The working directory in the container [default: the container's]
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Whom to run as, by the container's names or by numbers [default: the container's user]
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Give it all capabilities, and let it call everything
    #[arg(long)]
    privileged: bool,
    /// Print what lesson 8 does, on standard error
    #[arg(long)]
    explain: bool,
    /// The container's name, its ID, or the beginning of its ID
    container: String,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Args)]
struct Containers {
    /// Names or IDs of containers
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

#[derive(Args)]
struct Inspect {
    /// Show this text, with what is known in the place of names such as {{.State.Pid}}
    #[arg(short, long, value_name = "TEXT")]
    format: Option<String>,
    /// Names or IDs
    #[arg(required = true, value_name = "NAME")]
    which: Vec<String>,
}

#[derive(Args)]
struct Update {
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    which: Containers,
}

/// What bash is told besides: how to complete the names of containers and the like.
const NAMES: &str = include_str!("names.bash");

/// Those that start a process in a container.
const STARTERS: [&str; 6] = ["build", "create", "exec", "restart", "run", "start"];

fn main() -> ExitCode {
    if std::env::args_os().any(|word| STARTERS.iter().any(|it| word == *it)) {
        // Whoever needs it asks again: before we have read much, it costs least.
        let _ = sys::own::protect();
    }
    sys::usual_umask();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    let played = play(&cli).map_err(|error| match &cli.command {
        Command::Containers(it) if it.ends_as_another() => error,
        Command::Container(which) if which.ends_as_another() => error,
        _ if error.exit_status() == stage::FAILED => error.status(1),
        _ => error,
    });
    played.map_or_else(|error| stage::fail(&error), ExitCode::from)
}

fn play(cli: &Cli) -> Result<u8> {
    let root = cli.root.clone().unwrap_or_else(rootless::store_root);
    match &cli.command {
        Command::Containers(command) => command.play(&root),
        Command::Container(command) => command.play(&root),
        Command::Build(args) => {
            // It runs containers.
            alone()?;
            rootless::check()?;
            args.play(&open(&root, false)?)
        }
        Command::Images(args) => args.play(&open(&root, false)?),
        Command::Volume(args) => args.play(&open(&root, false)?),
        Command::Manual(args) => args.play(Cli::command(), NAMES),
        // It is the same for everybody, and needs nothing.
        Command::Lists(lists::Command::Version(args)) => args.version(),
        Command::Lists(args) => args.play(&open(&root, false)?),
    }
}

/// The store in the folder `root`, without what killed engines have left there.
fn open(root: &Path, explain: bool) -> Result<Store> {
    rootless::enter(explain)?;
    let store = Store::open(root)?;
    fakedocker::sweep(&store)?;
    Ok(store)
}

/// What comes before anything that starts a process in a container: neither our program nor what
/// our starter has open is for it.
fn alone() -> Result<()> {
    sys::own::protect()?;
    sys::close_inherited()
}

/// Help as clap prints it. What is wrong with a command line in one line, with Docker's
/// exit status.
fn explain(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // With nowhere to print to, the exit status has to say it.
        return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    stage::fail(&stage::misunderstood::<Cli>(error))
}

impl Exec {
    fn options(&self, keys: DetachKeys) -> Result<exec::Options> {
        Ok(exec::Options {
            container: self.container.clone(),
            command: self.command.clone(),
            env: settings::env(&self.env_file, &self.env)?,
            cwd: self.workdir.clone(),
            user: self.user.clone(),
            interactive: self.interactive,
            privileged: self.privileged,
            terminal: self.tty,
            keys,
            detached: self.detach,
            explain: self.explain,
        })
    }
}

impl Update {
    fn play(&self, store: &Store) -> Result<u8> {
        let asked = self.limits.request();
        self.which.each(store, |store, which| control::update(store, which, &asked))
    }
}

impl Containers {
    /// Do it to each of them, and say which.
    fn each(
        &self,
        store: &Store,
        action: impl Fn(&Store, &str) -> Result<()>,
    ) -> Result<u8> {
        each(&self.containers, |which| {
            action(store, which)?;
            stage::tell(which)
        })
    }
}

/// Each for itself: one that refuses does not keep the others.
fn each(which: &[String], action: impl Fn(&str) -> Result<()>) -> Result<u8> {
    let mut result = Ok(0);
    for which in which {
        if let Err(error) = action(which) {
            note(&mut result, error);
        }
    }
    result
}

/// Another failure: the last one is for the exit status.
fn note(result: &mut Result<u8>, error: Error) {
    if let Err(earlier) = std::mem::replace(result, Err(error)) {
        stage::fail(&earlier);
    }
}

/// One list of all, as Docker has it, or a line for each.
fn show(args: &Inspect, inspect: impl Fn(&str) -> Result<Value>) -> Result<u8> {
    let (mut known, mut result) = (Vec::new(), Ok(0));
    for which in &args.which {
        match inspect(which) {
            Ok(value) => known.push(value),
            Err(error) => note(&mut result, error),
        }
    }
    match &args.format {
        None => stage::tell(format!("{:#}", Value::Array(known)))?,
        Some(template) => known
            .iter()
            .try_for_each(|value| stage::tell(format::fill(template, value)?))?,
    }
    result
}
