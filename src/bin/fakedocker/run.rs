//! What can one say to `fakedocker run`?

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use fakedocker::container::Life;
use fakedocker::describe::Request;
use fakedocker::foreground::{self, Options};
use fakedocker::life::status_of;
use fakedocker::monitor::{self, Outcome};
use fakedocker::network::{self, Network};
use fakedocker::pull::{self, When};
use fakedocker::store::Store;
use fakedocker::userns::Users;
use stage::Result;

use crate::guards::Guards;
use crate::life::{self, Kept, Keys};
use crate::limits::Limits;
use crate::settings::Settings;
use crate::volumes::Mounts;

#[derive(Args)]
#[command(
    disable_help_flag = true,
    override_usage = "fakedocker run|create [OPTIONS] IMAGE [COMMAND [ARG]...]\n       \
                      fakedocker run|create [OPTIONS] --rootfs DIR [COMMAND [ARG]...]"
)]
pub struct Run {
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Let the container read standard input
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal of its own
    #[arg(short, long)]
    tty: bool,
    /// Stay as number 1, which waits for orphans and passes signals on to the command
    #[arg(long)]
    init: bool,
    /// Do not wait for its end: print its ID
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    kept: Kept,
    /// What comes before the command, in place of the image's entrypoint; "" for nothing
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// The hostname in the container, at most 64 bytes [default: the container's ID]
    #[arg(short, long)]
    hostname: Option<String>,
    /// A name for the container
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// The working directory in the container
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Whom to run as: names of the image's /etc/passwd and /etc/group, or numbers [default: the image's]
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Users of its own: those from 0 on are those from FIRST on outside; or `host`
    #[arg(
        long,
        value_name = "FIRST:COUNT",
        default_value = "host",
        hide_default_value = true
    )]
    userns: Users,
    #[command(flatten)]
    mounts: Mounts,
    /// The container's network: bridge, host, none or container:NAME [default: bridge];
    /// without root pasta, slirp4netns, host, none [default: the first that is there]
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<Network>,
    /// Make a port of the container's a port of the host's
    #[arg(short, long, value_name = "[IP:]HOST:CONTAINER[/udp]")]
    publish: Vec<String>,
    /// A line for the container's /etc/hosts
    #[arg(long, value_name = "NAME:IP")]
    add_host: Vec<String>,
    /// A name server for the container's /etc/resolv.conf
    #[arg(long, value_name = "IP")]
    dns: Vec<IpAddr>,
    /// A device of the host's
    #[arg(long, value_name = "HOST[:CONTAINER][:rwm]")]
    device: Vec<String>,
    /// Whether it sees its cgroup as the topmost one (private), or where it is (host)
    #[arg(long, value_name = "MODE", default_value = "private", value_parser = ["private", "host"])]
    cgroupns: String,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    guards: Guards,
    /// Make the container's root file system read-only
    #[arg(long)]
    read_only: bool,
    /// Get the image from its registry: if it is missing, always, or never
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pull: When,
    /// Print what each lesson does, on standard error
    #[arg(long)]
    pub explain: bool,
    /// Use the root file system in this folder: then no IMAGE is given
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// `host` (this machine) or an image; then the command [default: the image's, or a shell]
    #[arg(trailing_var_arg = true, value_name = "IMAGE [COMMAND [ARG]")]
    words: Vec<String>,
}

impl Run {
    pub fn play(&self, store: &Store) -> Result<u8> {
        let options = self.prepare(store)?;
        if !self.detach && !self.tty {
            return foreground::run(store, &options);
        }
        let front = match self.detach {
            true => None,
            false => Some(life::front(self.interactive, self.tty, &self.keys)?),
        };
        match monitor::run(store, &options, front.as_ref())? {
            Outcome::Runs(id) => stage::tell(id).map(|()| 0),
            Outcome::Seen(end) => Ok(status_of(end)),
        }
    }

    /// Make it, and no more.
    pub fn create(&self, store: &Store) -> Result<u8> {
        stage::tell(monitor::create(store, &self.prepare(store)?)?).map(|()| 0)
    }

    /// What is asked for, with the image here.
    fn prepare(&self, store: &Store) -> Result<Options> {
        let options = self.options()?;
        let image = options.request.image.as_deref();
        image.map_or(Ok(()), |image| pull::provide(store, image, self.pull))?;
        Ok(options)
    }

    fn options(&self) -> Result<Options> {
        let (image, command) = match (&self.rootfs, self.words.split_first()) {
            (None, Some((image, command))) => (Some(image.clone()), command.to_vec()),
            _ => (None, self.words.clone()),
        };
        let request = Request {
            image,
            rootfs: self.rootfs.clone(),
            command,
            entrypoint: self.entrypoint.clone(),
            name: self.name.clone(),
            hostname: self.hostname.clone(),
            env: self.settings.env()?,
            cwd: self.workdir.clone(),
            user: self.user.clone(),
            users: self.userns,
            volumes: self.mounts.request(),
            settings: self.settings.request()?,
            network: self.network(),
            limits: self.limits.request(),
            guards: self.guards.request(),
            devices: self.device.clone(),
            cgroupns: self.cgroupns == "private",
            read_only: self.read_only,
            init: self.init,
            terminal: self.tty,
        };
        let (remove, interactive, explain) = (self.rm, self.interactive, self.explain);
        let life = Life { detached: self.detach, ..self.kept.life(remove)? };
        Ok(Options { request, remove, interactive, explain, life })
    }

    fn network(&self) -> network::Request {
        network::Request {
            network: self.network.clone(),
            publish: self.publish.clone(),
            add_host: self.add_host.clone(),
            dns: self.dns.clone(),
        }
    }
}
