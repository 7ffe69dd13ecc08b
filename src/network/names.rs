//! How do containers find each other, and the world, by name?
//!
//! Programs look into /etc/hosts first, then ask a name server of /etc/resolv.conf. Each
//! container has files of its own there, which lie in its folder. When another one comes or
//! goes, whoever starts or ends it changes a line in them all: no process has to stay for that.
//!
//! Read hosts(5) and resolv.conf(5).

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::FileExt;
use std::path::Path;

use stage::{Error, Result};

use crate::sys::files::at_once;

/// The files, each under its name in the container's folder and in the container's /etc.
pub const FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// What a container's /etc/hosts begins with.
const LOCALHOST: &str =
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// What ends a line about another container: then its ID follows.
const REMARK: &str = "\t# container ";

/// A container that others can find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its ID.
    pub id: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its address.
    pub address: Ipv4Addr,
}

impl Neighbour {
    /// The line about it.
    pub fn line(&self) -> String {
        let short = self.short();
        let names = self.name.as_deref().into_iter().chain([short]).collect::<Vec<_>>();
        format!("{}\t{}{REMARK}{short}\n", self.address, names.join(" "))
    }

    fn short(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

/// A name of `--add-host`, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    name: String,
    /// None for the gateway, as `host-gateway`.
    address: Option<IpAddr>,
}

/// Read one value of `--add-host`: `NAME:IP`, also with `=`, as Docker has it.
pub fn read_host(text: &str) -> Result<Host> {
    let wrong = |why: &str| {
        Error::input(format!("--add-host {text:?}: {why}"))
            .hint("--add-host takes NAME:IP, such as db:10.0.0.7 or box:host-gateway")
    };
    let parts = text.split_once('=').or_else(|| text.split_once(':'));
    let (name, address) = parts.ok_or_else(|| wrong("it has no address"))?;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || !name.chars().all(fits) {
        return Err(wrong("the name is not of letters, digits, `-`, `_`, `.`"));
    }
    let address = match address {
        "host-gateway" => None,
        address => Some(address.parse().map_err(|_| wrong("the address is none"))?),
    };
    Ok(Host { name: name.into(), address })
}

/// The container's own lines of /etc/hosts; `place` is its address and its gateway's.
pub fn hosts(
    names: &[&str],
    place: Option<(Ipv4Addr, Ipv4Addr)>,
    added: &[Host],
) -> String {
    let mut text = LOCALHOST.to_string();
    if let Some((address, _)) = place {
        text.push_str(&format!("{address}\t{}\n", names.join(" ")));
    }
    let gateway = place.map(|(_, gateway)| IpAddr::V4(gateway));
    for host in added {
        // Where there is no gateway, the host itself is at 127.0.0.1, or nowhere.
        let address = host.address.or(gateway).unwrap_or(Ipv4Addr::LOCALHOST.into());
        text.push_str(&format!("{address}\t{}\n", host.name));
    }
    text
}

/// Bring the lines about others in the hosts file at `path` up to date. Other lines stay:
/// the container may have written them.
pub fn introduce(path: &Path, others: &[&Neighbour]) -> Result<()> {
    let new: String = others.iter().map(|it| it.line()).collect();
    rewrite(path, REMARK, &new)
}

/// Add `line` about another one to the hosts file at `path`.
pub fn add(path: &Path, line: &str) -> Result<()> {
    let add = || {
        // Nobody in the container can keep us waiting by a lease (fcntl(2), F_SETLEASE).
        let mut file = at_once(OpenOptions::new().read(true).append(true)).open(path)?;
        let (length, mut last) = (file.metadata()?.len(), [b'\n']);
        if length >= LONGEST {
            return Ok(());
        }
        if let Some(at) = length.checked_sub(1) {
            file.read_at(&mut last, at)?;
        }
        let end = if last == [b'\n'] { "" } else { "\n" };
        file.write_all(format!("{end}{line}").as_bytes())
    };
    unless_gone(path, add())
}

/// Remove the line about another one from it.
pub fn remove(path: &Path, other: &Neighbour) -> Result<()> {
    rewrite(path, &format!("{REMARK}{}", other.short()), "")
}

/// The container is just going: then there is nothing to be told.
fn unless_gone(path: &Path, written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        written => written.map_err(|error| Error::io(path.display(), &error)),
    }
}

/// What is longer is no list of hosts any more, and is left to the container.
const LONGEST: u64 = 1 << 20;

/// Leave out the lines that have `remark` in them, and put `new` ones at the end.
fn rewrite(path: &Path, remark: &str, new: &str) -> Result<()> {
    let rewrite = || {
        // In place: the container has this very file mounted.
        let file = at_once(OpenOptions::new().read(true).write(true)).open(path)?;
        let mut old = Vec::new();
        (&file).take(LONGEST).read_to_end(&mut old)?;
        if old.len() as u64 == LONGEST {
            return Ok(());
        }
        let has_it =
            |line: &[u8]| line.windows(remark.len()).any(|it| it == remark.as_bytes());
        let lines = old.split_inclusive(|byte| *byte == b'\n');
        let mut kept: Vec<u8> =
            lines.filter(|line| !has_it(line)).flatten().copied().collect();
        if kept.last().is_some_and(|byte| *byte != b'\n') {
            kept.push(b'\n');
        }
        kept.extend(new.as_bytes());
        let same = kept.iter().zip(&old).take_while(|(new, old)| new == old).count();
        if same < kept.len() {
            file.write_all_at(&kept[same..], same as u64)?;
        }
        if kept.len() == old.len() { Ok(()) } else { file.set_len(kept.len() as u64) }
    };
    unless_gone(path, rewrite())
}

/// The container's /etc/resolv.conf: the host's, but with name servers that can be reached
/// from there, or with those that were asked for.
pub fn resolvers(own_stack: bool, asked: &[IpAddr]) -> String {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let host = text("/etc/resolv.conf");
    let (mut lines, mut servers): (Vec<String>, Vec<String>) =
        host.lines().map(String::from).partition(|line| server(line).is_none());
    if !asked.is_empty() {
        servers = asked.iter().map(|address| format!("nameserver {address}")).collect();
    } else if own_stack {
        // A service on the host's loopback is not on ours; systemd's knows the real ones.
        let far = |line: &String| server(line).is_some_and(|it| !it.is_loopback());
        servers.retain(far);
        if servers.is_empty() {
            let real = text("/run/systemd/resolve/resolv.conf");
            servers = real.lines().map(String::from).filter(far).collect();
        }
        if servers.is_empty() {
            servers
                .push("# the host's name servers cannot be reached: give --dns".into());
        }
    }
    lines.append(&mut servers);
    lines.join("\n") + "\n"
}

/// The address in a line `nameserver ADDRESS`.
fn server(line: &str) -> Option<IpAddr> {
    let mut words = line.split_whitespace();
    (words.next() == Some("nameserver")).then_some(())?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_docker_reads_them() {
        for text in ["db:10.0.0.7", "db=10.0.0.7", "v6:::1", "box:host-gateway"] {
            assert!(read_host(text).is_ok(), "{text}");
        }
        for text in
            ["", "db", "db:", ":1.2.3.4", "a b:1.2.3.4", "db:1.2.3", "a\nb:1.2.3.4"]
        {
            assert!(read_host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_without_address_is_the_gateway() {
        let place = Some((Ipv4Addr::new(10, 208, 0, 2), Ipv4Addr::new(10, 208, 0, 1)));
        let text =
            hosts(&["box", "id"], place, &[read_host("out:host-gateway").unwrap()]);
        assert!(text.ends_with("10.208.0.2\tbox id\n10.208.0.1\tout\n"), "{text}");
    }
}
