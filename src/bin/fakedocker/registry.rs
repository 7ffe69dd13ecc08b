//! What can one say about registries?

use std::time::Duration;

use clap::{Args, Subcommand};
use fakedocker::pull::Audience;
use fakedocker::store::{Name, Store};
use fakedocker::{pull, push, registry};
use stage::{Error, Result};

use crate::later::Later;

#[derive(Subcommand)]
pub enum Command {
    /// Get an image from a registry
    Pull(Later<Pull>),
    /// Send an image to a registry
    Push(Later<Push>),
}

#[derive(Args)]
struct Manners {
    /// Ask by plain HTTP; on this machine (127.0.0.1, localhost) that is done anyway, where
    /// HTTPS is not spoken
    #[arg(long)]
    plain_http: bool,
    /// How long the registry may be silent, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    timeout: String,
}

#[derive(Args)]
pub struct Pull {
    /// Print nothing but the image's name
    #[arg(short, long)]
    quiet: bool,
    /// The machines that the image is for [default: such as this one]
    #[arg(long, value_name = "OS/ARCHITECTURE[/VARIANT]")]
    platform: Option<String>,
    #[command(flatten)]
    manners: Manners,
    /// The image's name, such as debian:12 or localhost:5000/debian
    name: String,
}

#[derive(Args)]
pub struct Push {
    /// Print nothing but the image's name
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    manners: Manners,
    /// The image's name, with the registry that it is for: localhost:5000/debian
    name: String,
}

impl Command {
    pub fn play(&self, store: &Store) -> Result<u8> {
        match self {
            Command::Pull(args) => args.play(store),
            Command::Push(args) => args.play(store),
        }
    }
}

fn audience(quiet: bool) -> Audience {
    if quiet { Audience::Nobody } else { Audience::Reader }
}

impl Manners {
    fn options(&self) -> Result<registry::Options> {
        let seconds = self.timeout.parse::<f32>().ok();
        let seconds = seconds.filter(|seconds| (0.1..=3600.0).contains(seconds));
        let seconds = seconds.ok_or_else(|| {
            Error::input("--timeout: this is no number of seconds from 0.1 to 3600")
        })?;
        let patience = Duration::from_secs_f32(seconds);
        Ok(registry::Options { plain_http: self.plain_http, patience })
    }
}

impl Pull {
    pub fn play(&self, store: &Store) -> Result<u8> {
        self.pull(store).map_err(|error| error.status(1))
    }

    fn pull(&self, store: &Store) -> Result<u8> {
        let name = Name::parse(&self.name)?;
        let options = pull::Options {
            registry: self.manners.options()?,
            platform: self.platform.as_deref().map(pull::platform).transpose()?,
            audience: audience(self.quiet),
        };
        let pulled = pull::pull(store, &name, &options)?;
        if !self.quiet {
            pulled.lines(&name).iter().try_for_each(stage::tell)?;
        }
        stage::tell(name.canonical()).map(|()| 0)
    }
}

impl Push {
    pub fn play(&self, store: &Store) -> Result<u8> {
        self.push(store).map_err(|error| error.status(1))
    }

    fn push(&self, store: &Store) -> Result<u8> {
        let name = Name::parse(&self.name)?;
        let options = push::Options {
            registry: self.manners.options()?,
            audience: audience(self.quiet),
        };
        let pushed = push::push(store, &name, &options)?;
        if self.quiet {
            return stage::tell(name.canonical()).map(|()| 0);
        }
        let (tag, digest, size) = (name.reference(), &pushed.digest, pushed.size);
        stage::tell(format!("{tag}: digest: {digest} size: {size}")).map(|()| 0)
    }
}
