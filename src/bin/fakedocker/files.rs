//! What can one say about a container's files?

use clap::{ArgAction, Args, Subcommand};
use fakedocker::store::Store;
use fakedocker::{commit, cp, diff};
use stage::Result;

use crate::later::Later;

#[derive(Subcommand)]
pub enum Command {
    /// Make an image from a container
    Commit(Later<Commit>),
    /// Show what a container has changed in its files
    Diff(Later<Diff>),
    /// Copy files into a container or out of it
    Cp(Later<Cp>),
}

impl Command {
    pub fn play(&self, store: &Store) -> Result<u8> {
        match self {
            Command::Commit(args) => args.play(store),
            Command::Diff(args) => args.play(store),
            Command::Cp(args) => args.play(store),
        }
    }
}

#[derive(Args)]
pub struct Commit {
    /// Who has made it
    #[arg(short, long, value_name = "TEXT")]
    author: Option<String>,
    /// A remark for the image's history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// An instruction of a Dockerfile that changes nothing but the configuration
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Stop the container in time meanwhile
    #[arg(
        short, long, default_value_t = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", action = ArgAction::Set
    )]
    pause: bool,
    /// The container's name, its ID, or the beginning of its ID
    container: String,
    /// The image's name
    name: Option<String>,
}

#[derive(Args)]
pub struct Diff {
    /// The container's name, its ID, or the beginning of its ID
    container: String,
}

#[derive(Args)]
#[command(override_usage = "fakedocker cp [OPTIONS] CONTAINER:PATH PATH|-\n       \
                            fakedocker cp [OPTIONS] PATH|- CONTAINER:PATH")]
pub struct Cp {
    /// Owners stay
    #[arg(short, long)]
    archive: bool,
    /// Follow PATH where it is a symbolic link
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// What is copied: `FOLDER/.` for what is in it, `-` for a tar archive
    from: String,
    /// Where to
    to: String,
}

impl Commit {
    pub fn play(&self, store: &Store) -> Result<u8> {
        let options = commit::Options {
            container: self.container.clone(),
            name: self.name.clone(),
            author: self.author.clone(),
            message: self.message.clone(),
            changes: self.change.clone(),
            pause: self.pause,
        };
        stage::tell(commit::commit(store, &options)?)?;
        Ok(0)
    }
}

impl Diff {
    pub fn play(&self, store: &Store) -> Result<u8> {
        let lines = diff::diff(store, &self.container)?;
        lines.iter().try_for_each(stage::tell)?;
        Ok(0)
    }
}

impl Cp {
    pub fn play(&self, store: &Store) -> Result<u8> {
        let options = cp::Options { archive: self.archive, follow: self.follow_link };
        cp::cp(store, &self.from, &self.to, options)?;
        Ok(0)
    }
}
