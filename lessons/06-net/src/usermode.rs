//! How does somebody without privilege reach the world?
//!
//! A cable takes rights in both namespaces, and the host's is not ours. But a program can
//! stay in the host's and hold a tap device in the other: what comes out of it as packets,
//! the program asks for with sockets of its own, as a browser would. Two such programs are
//! common, and for us they differ in their options only.
//!
//! Read pasta(1) (package passt), slirp4netns(1) and the kernel's networking/tuntap.rst.

use std::fs::File;
use std::io::{PipeReader, Read, pipe};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use stage::{Error, Result, Stage};

/// The programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are named as they are called")]
pub enum Tool {
    Pasta,
    Slirp4netns,
}

/// No port of either side appears on the other, and nothing leads to the host's own
/// 127.0.0.1. The namespace is on standard input; "ready" is said on standard output.
const PASTA: &str = "--foreground --quiet --config-net --ns-ifname eth0 --no-map-gw \
    --dns-forward 169.254.1.1 -t none -u none -T none -U none --no-netns-quit \
    --pid /proc/self/fd/1 --netns-only --netns /proc/self/fd/0";
const SLIRP4NETNS: &str = "--configure --mtu 65520 --disable-host-loopback --ready-fd 1 \
    --netns-type path /proc/self/fd/0 eth0";

impl Tool {
    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Pasta => "pasta",
            Tool::Slirp4netns => "slirp4netns",
        }
    }

    /// The address inside at which it answers as the host's nameserver.
    pub fn nameserver(self) -> Ipv4Addr {
        match self {
            Tool::Pasta => Ipv4Addr::new(169, 254, 1, 1),
            Tool::Slirp4netns => Ipv4Addr::new(10, 0, 2, 3),
        }
    }

    fn options(self) -> &'static str {
        match self {
            Tool::Pasta => PASTA,
            Tool::Slirp4netns => SLIRP4NETNS,
        }
    }
}

/// A network namespace that a program connects to the world. Dropped, the program ends; it
/// also ends when we are killed.
pub struct Usermode(Child);

impl Usermode {
    /// Connect the network namespace of process `pid`, in which nothing is configured yet.
    pub fn connect(stage: &Stage, tool: Tool, pid: Pid) -> Result<Usermode> {
        let (name, options) = (tool.name(), tool.options());
        let path = format!("/proc/{pid}/ns/net");
        let namespace = File::open(&path).map_err(|error| Error::io(&path, &error))?;
        stage.note(&format!("{name} {options} <{path}"));
        let failed = |error: std::io::Error| Error::io(name, &error);
        let (complaints, complain) = pipe().map_err(failed)?;
        // What nobody reads must not make it wait.
        for end in [fcntl(&complaints, NONBLOCK), fcntl(&complain, NONBLOCK)] {
            end.map_err(|errno| Error::call("fcntl(F_SETFL)", errno))?;
        }
        let mut command = Command::new(name);
        command.args(options.split_whitespace()).stdin(namespace);
        command.stdout(Stdio::piped()).stderr(complain);
        let child = end_with_us(&mut command).spawn().map_err(failed)?;
        drop(command); // and with it our own end of its standard error
        // From here on, whatever fails takes it with it.
        let mut usermode = Usermode(child);
        match usermode.says_ready().map_err(failed)? {
            true => Ok(usermode),
            false => Err(usermode.refusal(name, complaints)),
        }
    }

    /// Wait for its first word; none at all means that it has ended.
    fn says_ready(&mut self) -> std::io::Result<bool> {
        // It stays open: to say more to nobody would end it.
        let Some(says) = &mut self.0.stdout else { return Ok(false) };
        Ok(says.read(&mut [0; 16])? > 0)
    }

    fn refusal(&mut self, name: &str, mut complaints: PipeReader) -> Error {
        self.0.wait().ok();
        let mut said = Vec::new();
        // The end is an error, too: "nothing there yet".
        complaints.read_to_end(&mut said).ok();
        let said = String::from_utf8_lossy(&said).into_owned();
        // Without a syslog, pasta complains of that as well.
        let why = said.lines().find(|line| !line.contains("syslog"));
        let why = why.unwrap_or("no reason given").trim();
        Error::input(format!("{name} failed: {why}"))
            .hint("`--network none` does without, `--network host` uses the host's")
    }
}

const NONBLOCK: FcntlArg = FcntlArg::F_SETFL(OFlag::O_NONBLOCK);

/// In a group of its own, a Ctrl-C is not for it.
#[allow(unsafe_code, reason = "code between fork and exec must not touch locks")]
fn end_with_us(command: &mut Command) -> &mut Command {
    let ends = || set_pdeathsig(Signal::SIGKILL).map_err(Errno::into);
    // SAFETY: prctl(2) is a plain system call, it takes no lock and no memory.
    unsafe { command.process_group(0).pre_exec(ends) }
}

impl Drop for Usermode {
    fn drop(&mut self) {
        // One that has ended by itself is not an error.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
