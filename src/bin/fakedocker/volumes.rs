//! What can one say about volumes?

use clap::{Args, Subcommand};
use fakedocker::filters::Filters;
use fakedocker::settings;
use fakedocker::store::Store;
use fakedocker::volumes::list::{self, List, fits};
use fakedocker::volumes::{Volumes, asked};
use serde_json::json;
use stage::Result;

use crate::later::Later;
use crate::prune::{prune, tell_of};
use crate::{Inspect, each, show};

/// What `run` mounts.
#[derive(Args)]
pub struct Mounts {
    /// Mount a volume, which is made if it is not there, or show a folder or file of the host
    /// (/FOLDER or ./FOLDER); PATH alone: a volume that goes with the container, by --rm or rm -v
    #[arg(short, long, value_name = "[NAME:|HOST:]PATH[:ro,nocopy]")]
    volume: Vec<String>,
    /// The same in words: type=volume|bind|tmpfs,source=,target=,readonly
    #[arg(long, value_name = "KEY=VALUE,...")]
    mount: Vec<String>,
    /// Mount a file system in memory: exec, size=64m, mode=1770, uid=, gid=
    #[arg(long, value_name = "PATH[:OPTIONS]")]
    tmpfs: Vec<String>,
    /// Mount what that container has: its volumes, and what it sees of the host
    #[arg(long, value_name = "CONTAINER[:ro]")]
    volumes_from: Vec<String>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Make a volume
    Create(Later<Create>),
    /// List volumes
    Ls(Later<Ls>),
    /// Remove volumes that no container has
    Rm(Later<Rm>),
    /// Show what is known of volumes, as JSON
    Inspect(Later<Inspect>),
    /// Remove all nameless volumes that no container has
    Prune(Later<Prune>),
}

#[derive(Args)]
pub struct Create {
    /// Something to be known of it
    #[arg(long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// Who keeps it: there is only `local`
    #[arg(short, long, value_parser = ["local"], hide = true)]
    driver: Option<String>,
    /// Its name [default: 64 hexadecimal digits]
    name: Option<String>,
}

#[derive(Args)]
pub struct Ls {
    /// Only the names
    #[arg(short, long)]
    quiet: bool,
    /// Only volumes for which this holds: dangling=true, name=PART, label=KEY[=VALUE]
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// json, or a text with fields such as {{.Name}} {{.Driver}} {{.Mountpoint}} {{.Labels}}
    #[arg(long, value_name = "TEXT")]
    format: Option<String>,
}

#[derive(Args)]
pub struct Rm {
    /// Although there may be none of this name
    #[arg(short, long)]
    force: bool,
    /// Names of volumes
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
}

#[derive(Args)]
pub struct Prune {
    /// Those that have a name, too
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only volumes for which this holds: label=KEY[=VALUE]
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
}

impl Mounts {
    pub fn request(&self) -> asked::Request {
        asked::Request {
            volumes: self.volume.clone(),
            mounts: self.mount.clone(),
            tmpfs: self.tmpfs.clone(),
            lenders: self.volumes_from.clone(),
        }
    }
}

impl Command {
    pub fn play(&self, store: &Store) -> Result<u8> {
        let volumes = Volumes::of(store.root());
        match self {
            Command::Create(args) => args.play(&volumes),
            Command::Ls(args) => args.play(&volumes),
            Command::Rm(args) => each(&args.volumes, |name| {
                volumes.remove(name, args.force)?;
                stage::tell(name)
            }),
            Command::Inspect(args) => show(args, |name| Ok(json!(volumes.find(name)?))),
            Command::Prune(args) => args.play(&volumes),
        }
    }
}

impl Create {
    fn play(&self, volumes: &Volumes) -> Result<u8> {
        let labels = settings::labels(&self.label)?;
        stage::tell(volumes.create(self.name.as_deref(), labels)?.name)?;
        Ok(0)
    }
}

impl Ls {
    fn play(&self, volumes: &Volumes) -> Result<u8> {
        let (filters, format) = (self.filter.clone(), self.format.clone());
        let list = List { quiet: self.quiet, filters, format };
        list::list(volumes, &list)?.iter().try_for_each(stage::tell).map(|()| 0)
    }
}

impl Prune {
    fn play(&self, volumes: &Volumes) -> Result<u8> {
        let filters = Filters::read(&self.filter, &["label"])?;
        prune(self.force, self.what(), || {
            let (gone, freed) = volumes.prune(|volume| {
                (self.all || volume.is_nameless()) && fits(&filters, volume, false)
            })?;
            tell_of("Deleted Volumes:", &gone)?;
            Ok(freed)
        })?;
        Ok(0)
    }

    fn what(&self) -> &str {
        match self.all {
            true => "all volumes that no container has",
            false => "all volumes without a name that no container has",
        }
    }
}
