//! What can one say to `fakedocker run`?

use std::io::{IsTerminal, stdin};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use fakedocker::describe::Request;
use fakedocker::foreground::Options;
use fakedocker::network::{self, Network};
use fakedocker::userns::Users;

use crate::limits::Limits;

#[derive(Args)]
#[command(
    disable_help_flag = true,
    override_usage = "fakedocker run [OPTIONS] IMAGE [COMMAND [ARG]...]\n       \
                      fakedocker run [OPTIONS] --rootfs DIR [COMMAND [ARG]...]"
)]
pub struct Run {
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Let the container read standard input
    #[arg(short, long)]
    interactive: bool,
    /// What everybody's fingers type; it comes with lesson 25
    #[arg(short, long, hide = true)]
    pub tty: bool,
    /// Stay as number 1, which waits for orphans and passes signals on to the command
    #[arg(long)]
    init: bool,
    /// What comes before the command, in place of the image's entrypoint; "" for nothing
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// The hostname in the container, at most 64 bytes [default: the container's ID]
    #[arg(short, long)]
    hostname: Option<String>,
    /// A name for the container
    #[arg(long)]
    name: Option<String>,
    /// Set an environment variable, or pass on ours
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
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
    /// Show a folder or file of the host in the container
    #[arg(short, long, value_name = "HOST:CONTAINER[:ro]")]
    volume: Vec<String>,
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
    /// Make the container's root file system read-only
    #[arg(long)]
    read_only: bool,
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
    pub fn options(&self) -> Options {
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
            env: self.env.clone(),
            cwd: self.workdir.clone(),
            user: self.user.clone(),
            users: self.userns,
            volumes: self.volume.clone(),
            network: self.network(),
            limits: self.limits.request(),
            devices: self.device.clone(),
            cgroupns: self.cgroupns == "private",
            read_only: self.read_only,
            init: self.init,
            terminal: self.interactive && stdin().is_terminal(),
        };
        let (remove, interactive, explain) = (self.rm, self.interactive, self.explain);
        Options { request, remove, interactive, explain, at_once: false }
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
