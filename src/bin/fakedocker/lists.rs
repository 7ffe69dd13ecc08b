//! What can one say to see what there is, and what happens?

use clap::{Args, Subcommand};
use fakedocker::events::{self, Wanted};
use fakedocker::filters::Filters;
use fakedocker::format::{self, Format};
use fakedocker::listing::{self, List};
use fakedocker::network::known;
use fakedocker::store::Store;
use fakedocker::volumes::{Volume, Volumes};
use fakedocker::{about, container, images, inspect, stats, top, usage, when};
use serde_json::{Value, json};
use stage::{Error, Result};

use crate::later::Later;
use crate::prune::{prune, tell_of};
use crate::{Inspect, show};

#[derive(Subcommand)]
pub enum Command {
    /// List containers
    Ps(Later<Ps>),
    /// Show what is known of containers, images or volumes, as JSON
    Inspect(Later<InspectAny>),
    /// Show what happens, as it happens
    Events(Later<Events>),
    /// Show what there is, and on which machine
    Info(Later<About>),
    /// Show the version
    Version(Later<About>),
    /// What can be done with all of it
    #[command(subcommand)]
    System(Later<System>),
}

/// What one can see of one container, or of several.
#[derive(Subcommand)]
pub enum OfContainers {
    /// Show what running containers use
    Stats(Later<Stats>),
    /// Show what runs in a container
    Top(Later<Top>),
    /// Show which ports of the host's are a container's
    Port(Later<Port>),
}

#[derive(Subcommand)]
pub enum System {
    /// Show what takes room on the disk
    Df(Later<Df>),
    /// Show what happens, as it happens
    Events(Later<Events>),
    /// Show what there is, and on which machine
    Info(Later<About>),
    /// Remove what nobody uses
    Prune(Later<Prune>),
}

#[derive(Args)]
pub struct Ps {
    /// Also those that do not run
    #[arg(short, long)]
    all: bool,
    /// Only those for which this holds, such as status=exited or name=web
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Show them by this template, such as "table {{.ID}}\t{{.Status}}", or as json
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Only so many, the newest, whether they run or not
    #[arg(short = 'n', long, value_name = "NUMBER", allow_hyphen_values = true)]
    last: Option<i64>,
    /// Only the newest
    #[arg(short, long)]
    latest: bool,
    /// All of what is long
    #[arg(long)]
    no_trunc: bool,
    /// Only the IDs
    #[arg(short, long)]
    quiet: bool,
    /// What they have written, too
    #[arg(short, long)]
    size: bool,
}

#[derive(Args)]
pub struct Stats {
    /// Also those that do not run
    #[arg(short, long)]
    all: bool,
    /// Show them by this template, or as json
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Show it once, and not again and again
    #[arg(long)]
    no_stream: bool,
    /// Whole IDs
    #[arg(long)]
    no_trunc: bool,
    /// Names or IDs of containers [default: all that run]
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

#[derive(Args)]
pub struct InspectAny {
    /// What it is [default: whatever has that name]
    #[arg(long = "type", value_name = "TYPE", value_parser = ["container", "image", "volume"])]
    kind: Option<String>,
    /// How much a container has written, too
    #[arg(short, long)]
    size: bool,
    #[command(flatten)]
    which: Inspect,
}

#[derive(Args)]
pub struct InspectContainer {
    /// How much it has written, too
    #[arg(short, long)]
    size: bool,
    #[command(flatten)]
    which: Inspect,
}

#[derive(Args)]
pub struct Top {
    /// The container's name, its ID, or the beginning of its ID
    container: String,
    /// What ps is told besides: see ps(1)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PS OPTION")]
    options: Vec<String>,
}

#[derive(Args)]
pub struct Port {
    /// The container's name, its ID, or the beginning of its ID
    container: String,
    /// Only this port of the container's
    #[arg(value_name = "PORT[/PROTOCOL]")]
    port: Option<String>,
}

#[derive(Args)]
pub struct About {
    /// Show it by this template, or as json
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
}

#[derive(Args)]
pub struct Df {
    /// Show it by this template, or as json
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "verbose")]
    format: Option<String>,
    /// Show each thing
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Args)]
pub struct PruneContainers {
    /// Only those for which this holds: until=TIME or label=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

#[derive(Args)]
pub struct Prune {
    /// All images on which no container stands, and not only those that have no name
    #[arg(short, long)]
    all: bool,
    /// Nameless volumes that no container has, too
    #[arg(long)]
    volumes: bool,
    #[command(flatten)]
    containers: PruneContainers,
}

#[derive(Args)]
pub struct Events {
    /// Only those for which this holds, such as container=web or event=die
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Show them by this template, or as json
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// What has happened since this time, or for so long (10m), too
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Not what happens after this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Command {
    pub fn play(&self, store: &Store) -> Result<u8> {
        match self {
            Command::Ps(args) => args.play(store),
            Command::Inspect(args) => return args.play(store),
            Command::Events(args) => args.play(store),
            Command::Info(args) => args.info(store),
            Command::Version(args) => return args.version(),
            Command::System(args) => args.play(store),
        }
        .map(|()| 0)
    }
}

impl OfContainers {
    pub fn play(&self, store: &Store) -> Result<u8> {
        match self {
            OfContainers::Stats(args) => args.play(store),
            OfContainers::Top(args) => args.play(store),
            OfContainers::Port(args) => args.play(store),
        }
        .map(|()| 0)
    }
}

impl System {
    fn play(&self, store: &Store) -> Result<()> {
        match self {
            System::Df(args) => args.play(store),
            System::Events(args) => args.play(store),
            System::Info(args) => args.info(store),
            System::Prune(args) => args.play(store),
        }
    }
}

impl Ps {
    pub fn play(&self, store: &Store) -> Result<()> {
        // A negative number is none, as in Docker.
        let last = self.last.and_then(|last| usize::try_from(last).ok());
        let list = List {
            all: self.all,
            last: if self.latest { Some(1) } else { last.filter(|last| *last > 0) },
            quiet: self.quiet,
            no_trunc: self.no_trunc,
            sizes: self.size,
            filters: self.filter.clone(),
            format: self.format.clone(),
        };
        listing::list(store, &list)?.iter().try_for_each(stage::tell)
    }
}

impl Stats {
    pub fn play(&self, store: &Store) -> Result<()> {
        let options = stats::Options {
            containers: self.containers.clone(),
            all: self.all,
            once: self.no_stream,
            no_trunc: self.no_trunc,
            format: self.format.clone(),
        };
        stats::show(store, &options)
    }
}

impl InspectAny {
    pub fn play(&self, store: &Store) -> Result<u8> {
        let container = |which: &str| inspect::inspect(store, which, self.size);
        let image = |which: &str| images::inspect(store, which);
        let volume = |which: &str| Ok(json!(Volumes::of(store.root()).find(which)?));
        let any = |which: &str| {
            let first = |error: Error| match error.advice() {
                Some(_) => error,
                None => error.hint("nor is there an image or a volume of that name"),
            };
            container(which).or_else(|error| {
                image(which).or_else(|_| volume(which)).map_err(|_| first(error))
            })
        };
        show(&self.which, |which| match self.kind.as_deref() {
            Some("container") => container(which),
            Some("image") => image(which),
            Some("volume") => volume(which),
            _ => any(which),
        })
    }
}

impl InspectContainer {
    pub fn play(&self, store: &Store) -> Result<u8> {
        show(&self.which, |which| inspect::inspect(store, which, self.size))
    }
}

impl Top {
    fn play(&self, store: &Store) -> Result<()> {
        let lines = top::top(store, &self.container, &self.options)?;
        lines.iter().try_for_each(stage::tell)
    }
}

impl Port {
    fn play(&self, store: &Store) -> Result<()> {
        let container =
            container::known(store, &self.container, &store.lock_containers()?)?;
        // Of one that does not run, nothing is published.
        if container.first().is_none() && self.port.is_none() {
            return Ok(());
        }
        let lines = known::lines(&container.state, self.port.as_deref())?;
        lines.iter().try_for_each(stage::tell)
    }
}

impl About {
    fn info(&self, store: &Store) -> Result<()> {
        let info = about::info(store)?;
        self.tell(&info, about::info_lines(&info))
    }

    pub fn version(&self) -> Result<u8> {
        self.tell(&about::version(), about::version_lines()).map(|()| 0)
    }

    fn tell(&self, known: &Value, lines: Vec<String>) -> Result<()> {
        match &self.format {
            Some(format) => stage::tell(format::fill(format, known)?),
            None => lines.iter().try_for_each(stage::tell),
        }
    }
}

impl Df {
    fn play(&self, store: &Store) -> Result<()> {
        let lines = match self.verbose {
            true => usage::usage_of_each(store),
            false => usage::usage(store, self.format.as_deref()),
        }?;
        lines.iter().try_for_each(stage::tell)
    }
}

impl PruneContainers {
    pub fn play(&self, store: &Store) -> Result<()> {
        let filters = Filters::read(&self.filter, &usage::KEYS)?;
        let what = "all containers that do not run";
        prune(self.force, what, || self.take(store, &filters))
    }

    fn take(&self, store: &Store, filters: &Filters) -> Result<u64> {
        let (gone, freed) = usage::prune_containers(store, filters)?;
        tell_of("Deleted Containers:", &gone)?;
        Ok(freed)
    }
}

impl Prune {
    fn play(&self, store: &Store) -> Result<()> {
        let filters = Filters::read(&self.containers.filter, &usage::KEYS)?;
        prune(self.containers.force, &self.what(), || {
            Ok(self.containers.take(store, &filters)? + self.take(store)?)
        })
    }

    fn take(&self, store: &Store) -> Result<u64> {
        let mut freed = 0;
        if self.volumes {
            let pruned = Volumes::of(store.root()).prune(Volume::is_nameless)?;
            tell_of("Deleted Volumes:", &pruned.0)?;
            freed += pruned.1;
        }
        let pruned = images::prune(store, self.all)?;
        tell_of("Deleted Images:", &pruned.0)?;
        Ok(freed + pruned.1)
    }

    fn what(&self) -> String {
        let volumes =
            if self.volumes { ", nameless volumes that no container has" } else { "" };
        let images = if self.all { "on which none stands" } else { "that have no name" };
        format!(
            "all containers that do not run{volumes}, all images {images}, and what was built \
             on the way"
        )
    }
}

impl Events {
    pub fn play(&self, store: &Store) -> Result<()> {
        let moment = |flag: &str, text: &Option<String>| {
            text.as_deref().map(|text| when::read(flag, text)).transpose()
        };
        let wanted = Wanted {
            since: moment("--since", &self.since)?,
            until: moment("--until", &self.until)?,
            filters: Filters::read(&self.filter, &events::KEYS)?,
        };
        let format = self.format.as_deref().filter(|text| *text != "json");
        let format = format.map(|text| Format::read(Some(text), "")).transpose()?;
        events::follow(store, &wanted, |event| match &format {
            Some(format) => stage::tell(format.line(&event.known())?),
            None if self.format.is_some() => stage::tell(event.json()),
            None => stage::tell(event.line()),
        })
    }
}
