//! Lesson 6: how does an empty network stack reach the world?
//!
//! A network namespace holds links, addresses, routes, sockets' ports and firewall rules. A
//! new one has a single link, the loopback `lo`, and that is down. A veth pair is a cable
//! with two plugs: with one plug in each of two namespaces, they are neighbours.
//!
//! Read network_namespaces(7) and veth(4), then this file, netlink.rs, main.rs. Who may lay
//! no cable is helped by usermode.rs.

use std::fs;
use std::net::Ipv4Addr;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Pid;
use stage::{Error, Ledger, Result, Stage};

pub mod bridge;
pub mod firewall;
mod guest;
pub mod netlink;
mod nftables;
mod publish;
mod rules;
mod subnet;
pub mod usermode;

use netlink::Netlink;
pub use publish::{Held, Protocol, Published};
pub use subnet::Subnet;
use user::Line;

/// The name of the container's end of the cable, in there.
pub const INSIDE: &str = "eth0";

/// Give the calling process a network namespace of its own: empty, not a copy.
pub fn isolate(stage: &Stage) -> Result<()> {
    stage.ask("unshare(CLONE_NEWNET)", || unshare(CloneFlags::CLONE_NEWNET))
}

/// A cable into a container. Dropped, it is unplugged at both ends; if we are killed, the
/// kernel does that when the container's namespace ends.
pub struct Cable {
    /// The name of the host's end.
    pub outside: String,
    _noted: Ledger,
}

impl Cable {
    /// Lay a cable from our network namespace into that of process `pid`, and give our end
    /// the gateway's address of `subnet`.
    pub fn lay(pid: Pid, subnet: &Subnet) -> Result<Cable> {
        subnet.must_be_free()?;
        let mut ledger = Ledger::open("net")?;
        // A link's name has room for 15 letters (IFNAMSIZ): not for "fakedocker" and a PID.
        let outside = format!("fd-{pid}");
        ledger.note(&outside)?;
        let mut netlink = Netlink::open()?;
        netlink.veth(&outside, INSIDE, pid)?;
        // From here on, whatever fails takes the cable with it.
        let cable = Cable { outside, _noted: ledger };
        netlink.add_address(&cable.outside, subnet.gateway(), subnet.length())?;
        netlink.set_up(&cable.outside)?;
        Ok(cable)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // What is not taken back here is, by `sweep`.
        unplug(&self.outside).ok();
    }
}

/// Let our own 127.0.0.1 answer.
pub fn loopback() -> Result<()> {
    Netlink::open()?.set_up("lo")
}

/// Let all users of our network stack listen on ports below 1024, and ping: what they take
/// is taken from nobody else. Read `ip_unprivileged_port_start` and `ping_group_range` in
/// the kernel's documentation, networking/ip-sysctl.rst.
pub fn share() -> Result<()> {
    let write = |name: &str, text: &str| {
        let path = format!("/proc/sys/net/ipv4/{name}");
        fs::write(&path, text).map_err(|error| Error::io(path, &error))
    };
    write("ip_unprivileged_port_start", "0")?;
    // A user namespace (lesson 5) knows fewer groups than there are numbers: more of them
    // are refused.
    let known =
        Line::read("/proc/self/gid_map")?.into_iter().find(|line| line.inside == 0);
    let last = known.map_or(0, |line| line.count.min(1 << 31) - 1);
    write("ping_group_range", &format!("0 {last}"))
}

/// The other half, played in the container: its own loopback, its address, its way out.
pub fn configure(address: Ipv4Addr, length: u8, gateway: Ipv4Addr) -> Result<()> {
    let mut netlink = Netlink::open()?;
    netlink.set_up("lo")?;
    netlink.add_address(INSIDE, address, length)?;
    // The address has brought the route to our neighbours, but only on a link that is up.
    netlink.set_up(INSIDE)?;
    // Whatever is no neighbour: the gateway may know.
    netlink.add_default_route(gateway)
}

/// Unplug what killed runs have left, and say what it was.
pub fn sweep() -> Result<Vec<String>> {
    let left = Ledger::abandoned("net", |link| unplug(link).is_ok())?;
    Ok(left.into_iter().map(|link| format!("link {link}")).collect())
}

/// What [`sweep`] would say: nothing is changed.
pub fn left() -> Result<Vec<String>> {
    let notes = Ledger::left("net")?;
    let links = notes.iter().flat_map(|note| note.lines());
    Ok(links.map(|link| format!("link {link}")).collect())
}

/// Remove a cable by the name of one end, in our own network namespace. One that is gone
/// already is not an error.
pub(crate) fn unplug(link: &str) -> Result<()> {
    match Netlink::open()?.remove(link) {
        Err(error) if error.errno() == Some(Errno::ENODEV) => Ok(()),
        result => result,
    }
}
