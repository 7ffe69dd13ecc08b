//! What can be seen of a network stack?
//!
//! Nothing here changes anything: links and addresses by getifaddrs(3), the default route
//! in /proc/self/net/route, and what the kernel says about a way to an address.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};

use net::INSIDE;
use nix::errno::Errno;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nameindex};
use stage::{Error, Evidence, Result, Stage, proc};

use crate::echo::ECHO;

/// What is seen where there is nothing.
pub const NONE: &str = "-";

/// What can be seen of one link, and of our namespace.
pub fn host(stage: &Stage, link: &str) -> Result<Evidence> {
    let seen = stage.look("host").fact("namespace", proc::namespace("net")?);
    Ok(seen.fact(link, state(link)?).end())
}

/// What the container can see of itself.
pub fn container(stage: &Stage) -> Result<Evidence> {
    let seen = stage.look("container").fact("namespace", proc::namespace("net")?);
    let seen = seen.fact("links", links()?.join(" "));
    let seen = seen.fact("lo", state("lo")?).fact(INSIDE, state(INSIDE)?);
    let seen = seen.fact("gateway", gateway()?.map_or(NONE.into(), |it| it.to_string()));
    Ok(seen.fact("127.0.0.1", reach(Ipv4Addr::LOCALHOST)).end())
}

/// Links that the kernel puts into every new namespace where a tunnel's module is loaded.
const TUNNELS: [&str; 9] = [
    "erspan0", "gre0", "gretap0", "ip6_vti0", "ip6gre0", "ip6tnl0", "ip_vti0", "sit0",
    "tunl0",
];

/// The names of all links but those.
fn links() -> Result<Vec<String>> {
    let all = if_nameindex().map_err(|errno| Error::call("if_nameindex", errno))?;
    let names = all.iter().map(|link| link.name().to_string_lossy().into_owned());
    Ok(names.filter(|name| !TUNNELS.contains(&name.as_str())).collect())
}

/// Whether a link is there, is up, and has an IPv4 address: `up 10.207.1.2/24`.
fn state(link: &str) -> Result<String> {
    let all = getifaddrs().map_err(|errno| Error::call("getifaddrs", errno))?;
    let of_link: Vec<_> = all.filter(|entry| entry.interface_name == link).collect();
    let Some(first) = of_link.first() else { return Ok(NONE.to_string()) };
    if !first.flags.contains(InterfaceFlags::IFF_UP) {
        return Ok("down".to_string());
    }
    let address = of_link.iter().find_map(address);
    Ok(address.map_or("up".to_string(), |address| format!("up {address}")))
}

fn address(entry: &InterfaceAddress) -> Option<String> {
    let ip = entry.address?.as_sockaddr_in()?.ip();
    let mask = entry.netmask?.as_sockaddr_in()?.ip();
    Some(format!("{ip}/{}", u32::from(mask).leading_ones()))
}

/// The gateway of the default route; see proc_pid_net(5): its bytes are written backwards.
fn gateway() -> Result<Option<Ipv4Addr>> {
    let table = "/proc/self/net/route";
    let table = fs::read_to_string(table).map_err(|error| Error::io(table, &error))?;
    let routes = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut default = routes.filter(|route| route.get(1) == Some(&"00000000"));
    let gateway = default.find_map(|route| u32::from_str_radix(route.get(2)?, 16).ok());
    Ok(gateway.map(|backwards| Ipv4Addr::from(backwards.swap_bytes())))
}

/// Whether the kernel knows a way to `address`: `reachable`, or its refusal.
fn reach(address: Ipv4Addr) -> String {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
    match socket.and_then(|socket| socket.connect((address, ECHO))) {
        Ok(()) => "reachable".to_string(),
        Err(error) => {
            format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or_default()))
        }
    }
}
