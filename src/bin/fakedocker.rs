//! What can one say to `fakedocker`?
//!
//! The command line only, with Docker's names and exit statuses; the engine is in `src/`.

use std::io::{IsTerminal, stdin};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use fakedocker::describe::Request;
use fakedocker::foreground::{self, Options};
use fakedocker::network::{self, Network};
use fakedocker::store::Store;
use fakedocker::userns::Users;
use fakedocker::{container, exec, import, rootless, sys};
use stage::{Error, Result};

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
    /// Run a command in a new container
    Run(Run),
    /// Run a command in a running container
    Exec(Exec),
    /// Make an image from the tarball of a root file system
    Import(Import),
    /// Remove containers that have ended
    Rm(Rm),
}

#[derive(Args)]
#[command(
    disable_help_flag = true,
    override_usage = "fakedocker run [OPTIONS] IMAGE [COMMAND [ARG]...]\n       \
                      fakedocker run [OPTIONS] --rootfs DIR [COMMAND [ARG]...]"
)]
struct Run {
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Let the container read standard input
    #[arg(short, long)]
    interactive: bool,
    /// What everybody's fingers type; it comes with lesson 25
    #[arg(short, long, hide = true)]
    tty: bool,
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
    /// Whom to run as: names of the image's /etc/passwd and /etc/group, or numbers [default: root]
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
    network: Option<Network>,
    /// Make a port of the container's a port of the host's
    #[arg(short, long, value_name = "[IP:]HOST:CONTAINER[/udp]")]
    publish: Vec<String>,
    /// A line for the container's /etc/hosts
    #[arg(long, value_name = "NAME:IP")]
    add_host: Vec<String>,
    /// A name server for the container's /etc/resolv.conf
    #[arg(long, value_name = "IP")]
    dns: Vec<IpAddr>,
    /// Make the container's root file system read-only
    #[arg(long)]
    read_only: bool,
    /// Print what each lesson does, on standard error
    #[arg(long)]
    explain: bool,
    /// Use the root file system in this folder: then no IMAGE is given
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// `host` (this machine) or an imported image; then the command [default: a shell]
    #[arg(trailing_var_arg = true, value_name = "IMAGE [COMMAND [ARG]")]
    words: Vec<String>,
}

#[derive(Args)]
#[command(override_usage = "fakedocker exec [OPTIONS] CONTAINER COMMAND [ARG]...")]
struct Exec {
    /// Let the command read standard input
    #[arg(short, long)]
    interactive: bool,
    /// Set an environment variable, or pass on ours
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// The working directory in the container [default: the container's]
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Whom to run as, by the container's names or by numbers [default: the container's user]
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
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
struct Import {
    /// A tar file, plain or compressed by gzip, xz or zstd; `-` for standard input
    tarball: PathBuf,
    /// The image's name, such as debian or debian:12
    name: String,
}

#[derive(Args)]
struct Rm {
    /// Names or IDs of containers
    #[arg(required = true)]
    containers: Vec<String>,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    play(&cli).map_or_else(|error| stage::fail(&error), ExitCode::from)
}

fn play(cli: &Cli) -> Result<u8> {
    let root = cli.root.clone().unwrap_or_else(rootless::store_root);
    let store = |explain: bool| {
        rootless::enter(explain)?;
        let store = Store::open(&root)?;
        container::sweep(&store)?;
        network::sweep()?;
        Ok(store)
    };
    match &cli.command {
        Command::Run(args) if args.tty => Err(Error::input(
            "-t, a terminal of the container's own, is not there yet: -i lends it yours",
        )),
        Command::Run(args) => {
            sys::close_inherited()?;
            rootless::check()?;
            if let Some(Network::Container(name)) = &args.network {
                rootless::enter_with(&root, name, args.explain)?;
            }
            foreground::run(&store(args.explain)?, &args.options())
        }
        Command::Exec(args) => {
            // It goes where the container is, and is root there.
            sys::close_inherited()?;
            exec::exec(&Store::open(&root)?, &args.options())
        }
        Command::Import(args) => import_image(&store(false)?, args),
        Command::Rm(args) => remove(&store(false)?, args),
    }
}

/// Help as clap prints it. What is wrong with a command line in one line, with Docker's
/// exit status.
fn explain(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // With nowhere to print to, the exit status has to say it.
        return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let text = error.to_string();
    let what = text.split("\n\n").next().unwrap_or_default();
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = what.strip_prefix("error: ").unwrap_or("no command given");
    let command = std::env::args()
        .nth(1)
        .filter(|word| ["run", "exec", "import", "rm"].contains(&&**word));
    let command = command.map_or_else(String::new, |word| format!(" {word}"));
    stage::fail(&Error::input(what).hint(format!("see fakedocker{command} --help")))
}

impl Run {
    fn options(&self) -> Options {
        let (image, command) = match (&self.rootfs, self.words.split_first()) {
            (None, Some((image, command))) => (Some(image.clone()), command.to_vec()),
            _ => (None, self.words.clone()),
        };
        let request = Request {
            image,
            rootfs: self.rootfs.clone(),
            command,
            name: self.name.clone(),
            hostname: self.hostname.clone(),
            env: self.env.clone(),
            cwd: self.workdir.clone(),
            user: self.user.clone(),
            users: self.userns,
            volumes: self.volume.clone(),
            network: self.network(),
            read_only: self.read_only,
            terminal: self.interactive && stdin().is_terminal(),
        };
        let (remove, interactive, explain) = (self.rm, self.interactive, self.explain);
        Options { request, remove, interactive, explain }
    }
}

impl Run {
    fn network(&self) -> network::Request {
        network::Request {
            network: self.network.clone(),
            publish: self.publish.clone(),
            add_host: self.add_host.clone(),
            dns: self.dns.clone(),
        }
    }
}

impl Exec {
    fn options(&self) -> exec::Options {
        exec::Options {
            container: self.container.clone(),
            command: self.command.clone(),
            env: self.env.clone(),
            cwd: self.workdir.clone(),
            user: self.user.clone(),
            interactive: self.interactive,
            explain: self.explain,
        }
    }
}

fn import_image(store: &Store, args: &Import) -> Result<u8> {
    let image = import::import(store, &args.tarball, &args.name)?;
    stage::tell(&image.name)?;
    Ok(0)
}

/// Each for itself: one that cannot be removed does not keep the others.
fn remove(store: &Store, args: &Rm) -> Result<u8> {
    let mut result = Ok(0);
    for which in &args.containers {
        match container::remove_ended(store, which) {
            Ok(()) => stage::tell(which)?,
            Err(error) => {
                if let Err(earlier) = std::mem::replace(&mut result, Err(error.status(1)))
                {
                    stage::fail(&earlier);
                }
            }
        }
    }
    result
}
