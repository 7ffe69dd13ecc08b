//! What can one do with containers?
//!
//! Each of these commands can be said with the word `container` before it, or without.

use std::path::Path;

use clap::Subcommand;
use fakedocker::network::Network;
use fakedocker::store::Store;
use fakedocker::{control, exec, rootless, sys};
use stage::Result;

use crate::later::Later;
use crate::life;
use crate::lists::{self, InspectContainer, PruneContainers, Ps};
use crate::run::Run;
use crate::{Containers, Exec, Update, alone, files, open};

#[derive(Subcommand)]
pub enum Command {
    /// Run a command in a new container
    Run(Later<Run>),
    /// Make a container that `start` starts
    Create(Later<Run>),
    /// Run a command in a running container
    Exec(Later<Exec>),
    #[command(flatten)]
    Life(life::Command),
    #[command(flatten)]
    Files(files::Command),
    /// Hold containers to other limits
    Update(Later<Update>),
    /// Stop all processes of containers
    Pause(Later<Containers>),
    /// Let them go on
    Unpause(Later<Containers>),
    #[command(flatten)]
    Seen(lists::OfContainers),
}

#[derive(Subcommand)]
pub enum Container {
    #[command(flatten)]
    Same(Command),
    /// List containers
    #[command(visible_aliases = ["list", "ps"])]
    Ls(Later<Ps>),
    /// Show what is known of containers, as JSON
    Inspect(Later<InspectContainer>),
    /// Remove all containers that do not run
    Prune(Later<PruneContainers>),
}

impl Command {
    /// Whether it ends as a command of the user's does, so that a failure of ours needs a status
    /// of its own.
    pub fn ends_as_another(&self) -> bool {
        matches!(self, Command::Run(_) | Command::Create(_) | Command::Exec(_))
    }

    pub fn play(&self, root: &Path) -> Result<u8> {
        match self {
            Command::Run(args) => args.play(&open_for(root, args)?),
            Command::Create(args) => args.create(&open_for(root, args)?),
            Command::Exec(args) => {
                // It goes where the container is, and is root there.
                alone()?;
                let types = args.interactive && !args.detach;
                let front = life::front(types, args.tty, &args.keys)?;
                exec::exec(&Store::open(root)?, &args.options(front.keys)?)
            }
            Command::Life(args) => {
                // It may start some.
                alone()?;
                args.play(&open(root, false)?)
            }
            Command::Files(args) => args.play(&open(root, false)?),
            Command::Update(args) => args.play(&open(root, false)?),
            Command::Pause(args) => args.each(&open(root, false)?, control::pause),
            Command::Unpause(args) => args.each(&open(root, false)?, control::unpause),
            // Who is not root sees the container's processes from outside, as its owner.
            Command::Seen(args) if !sys::is_root() => args.play(&Store::open(root)?),
            Command::Seen(args) => args.play(&open(root, false)?),
        }
    }
}

/// The store, for who wants a new container.
fn open_for(root: &Path, args: &Run) -> Result<Store> {
    alone()?;
    rootless::check()?;
    if let Some(Network::Container(name)) = &args.network {
        rootless::enter_with(root, name, args.explain)?;
    }
    open(root, args.explain)
}

impl Container {
    pub fn ends_as_another(&self) -> bool {
        matches!(self, Container::Same(command) if command.ends_as_another())
    }

    pub fn play(&self, root: &Path) -> Result<u8> {
        match self {
            Container::Same(command) => command.play(root),
            Container::Ls(args) => args.play(&open(root, false)?).map(|()| 0),
            Container::Inspect(args) => args.play(&open(root, false)?),
            Container::Prune(args) => args.play(&open(root, false)?).map(|()| 0),
        }
    }
}
