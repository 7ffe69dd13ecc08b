//! How does somebody without privilege reach the world?
//!
//! A cable takes rights in both namespaces, and the host's is not ours. But a program can
//! stay in the host's and hold a tap device in the other: what comes out of it as packets,
//! the program asks for with sockets of its own, as a browser would. Two such programs are
//! common, and for us they differ in their options only.
//!
//! Read pasta(1) (package passt), slirp4netns(1) and the kernel's networking/tuntap.rst.

use std::fs::File;
use std::io::{self, PipeReader, Read, pipe};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::Pid;
use stage::{Child, Error, Result, Stage};

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

/// A program that connects a network namespace to the world. Dropped, it ends; it also ends
/// when we are killed.
pub struct Usermode<'s> {
    tool: Tool,
    child: Child<'s>,
    /// Its standard output. It stays open: to say more to nobody would end the program.
    says: PipeReader,
    complaints: PipeReader,
}

impl<'s> Usermode<'s> {
    /// Connect the network namespace of process `pid`: it gets a link `eth0`, with an
    /// address and a default route.
    pub fn connect(stage: &'s Stage, tool: Tool, pid: Pid) -> Result<Usermode<'s>> {
        let (name, options) = (tool.name(), tool.options());
        let failed = |error: io::Error| Error::io(name, &error);
        let path = format!("/proc/{pid}/ns/net");
        let namespace = File::open(&path).map_err(|error| Error::io(&path, &error))?;
        let (says, say) = pipe().map_err(failed)?;
        let (complaints, complain) = pipe().map_err(failed)?;
        // What nobody reads must not make it wait.
        for end in [fcntl(&complaints, NONBLOCK), fcntl(&complain, NONBLOCK)] {
            end.map_err(|errno| Error::call("fcntl(F_SETFL)", errno))?;
        }
        stage.note(&format!("{name} {options} <{path}"));
        let child = stage.fork(move |_| {
            let mut program = Command::new(name);
            program.args(options.split_whitespace());
            program.stdin(namespace).stdout(say).stderr(complain);
            // In a group of its own, a Ctrl-C is not for it.
            Err(Error::io(name, &program.process_group(0).exec()))
        })?;
        let mut usermode = Usermode { tool, child, says, complaints };
        // Its first word is "ready"; none at all means that it has ended.
        match usermode.says.read(&mut [0; 16]).map_err(failed)? {
            0 => Err(usermode.refusal()),
            _ => Ok(usermode),
        }
    }

    fn refusal(&mut self) -> Error {
        if let Err(error) = self.child.wait() {
            return error;
        }
        let mut said = Vec::new();
        // The end is an error, too, while somebody could still write: what came is there.
        self.complaints.read_to_end(&mut said).ok();
        let said = String::from_utf8_lossy(&said);
        // Without a syslog, pasta complains of that as well.
        let why = said.lines().find(|line| !line.contains("syslog"));
        let why = why.unwrap_or("no reason given").trim();
        Error::input(format!("{} failed: {why}", self.tool.name()))
            .hint("`--network none` does without, `--network host` uses the host's")
    }
}

const NONBLOCK: FcntlArg = FcntlArg::F_SETFL(OFlag::O_NONBLOCK);
