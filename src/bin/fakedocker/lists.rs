//! What can one say to see what there is, and what happens?

use clap::{Args, Subcommand};
use fakedocker::events::{self, Wanted};
use fakedocker::filters::Filters;
use fakedocker::format::Format;
use fakedocker::listing::{self, List};
use fakedocker::store::Store;
use fakedocker::{stats, when};
use stage::Result;

#[derive(Subcommand)]
pub enum Command {
    /// List containers
    Ps(Ps),
    /// Show what running containers use
    Stats(Stats),
    /// Show what happens, as it happens
    Events(Events),
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
            Command::Stats(args) => args.play(store),
            Command::Events(args) => args.play(store),
        }
        .map(|()| 0)
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
