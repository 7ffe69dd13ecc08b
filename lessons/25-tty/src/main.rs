//! Lesson 25, the demonstration: `tty [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! We make a terminal and hold its master. A witness at the other end finds all that belongs
//! to a terminal: a name, a window, and a Ctrl-C that ends its job and nobody else. Then, if
//! we are on a terminal ourselves, COMMAND gets the other end, and we pass on what is typed.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use mount::furnish::{Mount, furnish};
use mount::target::Root;
use nix::sys::termios::{LocalFlags, OutputFlags, tcgetattr};
use stage::{Command, Error, Evidence, Flags, Program, Result, Stage, Verdict};
use tty::{Pty, Raw, Size};

mod relay;
mod witness;

/// Lesson 25: what is `-it`?
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "what is -it?";
    stage::lesson("tty", question, &args.flags, |stage| play(stage, &args))
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    // Who is on no terminal gets a plain shell: this is found out before we make one.
    let program = Program::from_command(&args.command);
    let before = look(stage, "host", io::stdin())?;
    let (pty, slave) = make(stage)?;
    let found = look(stage, "pty", &slave)?;
    let raw = Raw::enter(&slave)?;
    let meanwhile = look(stage, "raw mode", &slave)?;
    drop(raw);
    let restored = look(stage, "restored", &slave)?;

    // The new window is as large as the one that we are in, and then it is not.
    let outer = tty::size_of(io::stdin()).ok().filter(|size| size.rows > 0);
    let large = outer.unwrap_or(Size { rows: 24, columns: 80 });
    let small = Size { rows: large.rows / 2 + 1, columns: large.columns / 2 + 1 };
    let witness = witness::hear(stage, &pty, large, small)?;
    let status = relay::run(stage, &pty, &program, args.flags.json)?;
    let after = look(stage, "host", io::stdin())?;

    Ok(Verdict::on("-t is a terminal of one's own; -i passes on to it what you type")
        .equal("what raw mode leaves", "nothing", &meanwhile["modes"])
        .equal("the modes after it", &found["modes"], &restored["modes"])
        .equal("the terminal inside", pty.name.display(), &witness["terminal"])
        .equal("who leads its session", &witness["getpid()"], &witness["session"])
        .equal("the window inside", large, &witness["window"])
        .equal("the window inside, resized", small, &witness["resized"])
        .equal("what Ctrl-C did to the job inside", "SIGINT", &witness["ended by"])
        .equal("what was echoed of it", "^C", &witness["echo"])
        .equal("the modes outside afterwards", &before["modes"], &after["modes"])
        .status(status))
}

/// A terminal of a devpts of our own, and its other end: while we have that, nobody can hang
/// the terminal up. We go where the devpts is mounted, because a terminal belongs to one.
fn make(stage: &Stage) -> Result<(Pty, OwnedFd)> {
    mount::isolate(stage)?;
    let options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    let devpts = Mount {
        destination: "/dev/pts".into(),
        kind: "devpts".into(),
        source: "devpts".into(),
        options: options.map(String::from).to_vec(),
    };
    furnish(stage, &Root::open(Path::new("/"))?, &[devpts])?;
    let pty = tty::open(stage, Path::new("/dev/pts/ptmx"))?;
    let slave = tty::other_end(stage, &pty.master)?;
    Ok((pty, slave))
}

/// Whether `file` is a terminal, and what it does with keys and lines.
fn look(stage: &Stage, who: &str, file: impl AsFd) -> Result<Evidence> {
    if !file.as_fd().is_terminal() {
        return Ok(stage.look(who).fact("modes", "none: it is no terminal").end());
    }
    let modes = tcgetattr(&file).map_err(|errno| Error::call("ioctl(TCGETS)", errno))?;
    let local = [
        ("ECHO", LocalFlags::ECHO),
        ("ICANON", LocalFlags::ICANON),
        ("ISIG", LocalFlags::ISIG),
    ];
    let local = local.into_iter().filter(|(_, flag)| modes.local_flags.contains(*flag));
    let post = modes.output_flags.contains(OutputFlags::OPOST).then_some("OPOST");
    let set: Vec<&str> = local.map(|(name, _)| name).chain(post).collect();
    let set = if set.is_empty() { "nothing".into() } else { set.join(" ") };
    Ok(stage.look(who).fact("modes", set).end())
}
