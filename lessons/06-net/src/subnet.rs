//! Which addresses do a host and its container have in common?
//!
//! Those of a subnet: addresses that begin with the same bits. The first is the host's, the
//! gateway of all others. Read RFC 4632, section 3.1, for the notation `10.207.1.0/24`.

use std::fmt::{self, Display};
use std::fs;
use std::net::Ipv4Addr;
use std::str::FromStr;

use nix::ifaddrs::getifaddrs;
use stage::{Error, Result};

/// A range of addresses, such as `10.207.1.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    network: Ipv4Addr,
    length: u8,
}

impl Subnet {
    /// How many bits the addresses have in common.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The bits that they have in common, and then zeros.
    pub fn network(&self) -> Ipv4Addr {
        self.network
    }

    /// The first address: the host's.
    pub fn gateway(&self) -> Ipv4Addr {
        self.address(1)
    }

    /// The second one: the container's.
    pub fn container(&self) -> Ipv4Addr {
        self.address(2)
    }

    /// All addresses but the gateway's: neither the first nor the last number (RFC 919).
    pub fn guests(&self) -> impl Iterator<Item = Ipv4Addr> + use<'_> {
        let last = (1 << (32 - u32::from(self.length))) - 2;
        (2..=last).map(|number| self.address(number))
    }

    fn address(&self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network) + number)
    }

    /// Refuse a subnet that a link of this machine is in already.
    pub fn must_be_free(&self) -> Result<()> {
        let links = getifaddrs().map_err(|errno| Error::call("getifaddrs", errno))?;
        for link in links {
            let address = link.address.and_then(|it| Some(it.as_sockaddr_in()?.ip()));
            if address.is_some_and(|address| self.has(address)) {
                let name = link.interface_name;
                return Err(Error::input(format!(
                    "{name} has addresses of {self} already"
                ))
                .hint("take others: --subnet 10.99.1.0/24, if no link has those"));
            }
        }
        Ok(())
    }

    fn overlaps(&self, other: &Subnet) -> bool {
        self.has(other.network) || other.has(self.network)
    }

    fn has(&self, address: Ipv4Addr) -> bool {
        let differ = u32::from(address) ^ u32::from(self.network);
        differ >> (32 - u32::from(self.length)) == 0
    }
}

/// The first of `subnets` that no link and no route of this machine has to do with.
pub fn first_free(subnets: &[&str]) -> Result<Subnet> {
    let routes = routes()?;
    for text in subnets {
        let subnet: Subnet = text.parse().map_err(Error::input)?;
        let is_used = routes.iter().any(|route| route.overlaps(&subnet));
        if !is_used && subnet.must_be_free().is_ok() {
            return Ok(subnet);
        }
    }
    let tried = subnets.join(", ");
    Err(Error::input(format!("every subnet is in use: {tried}"))
        .hint("see `ip route`; or do without: --network none"))
}

/// Where this machine's routes lead, but for the default route: proc_pid_net(5).
fn routes() -> Result<Vec<Subnet>> {
    let table = "/proc/self/net/route";
    let table = fs::read_to_string(table).map_err(|error| Error::io(table, &error))?;
    let read = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // The bytes of both are written backwards.
        let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
        let (network, mask) = (number(1)?.swap_bytes(), number(7)?.swap_bytes());
        let length = u8::try_from(mask.leading_ones()).ok()?;
        Some(Subnet { network: network.into(), length })
    };
    Ok(table.lines().filter_map(read).filter(|route| route.length > 0).collect())
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Subnet, String> {
        let parts = text.split_once('/').ok_or("it reads like 10.207.1.0/24")?;
        let network: Ipv4Addr =
            parts.0.parse().map_err(|_| format!("{} is no address", parts.0))?;
        let length: u8 =
            parts.1.parse().map_err(|_| format!("{} is no length", parts.1))?;
        if !(8..=30).contains(&length) {
            return Err("its length is from 8 to 30 bits: it holds two ends".to_string());
        }
        if u32::from(network) << length != 0 {
            return Err(format!("{network} has bits behind the first {length}"));
        }
        Ok(Subnet { network, length })
    }
}

impl Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_has_two_ends() {
        let subnet: Subnet =
            "10.207.1.0/24".parse().unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(subnet.gateway(), Ipv4Addr::new(10, 207, 1, 1));
        assert_eq!(subnet.container(), Ipv4Addr::new(10, 207, 1, 2));
        assert_eq!(subnet.to_string(), "10.207.1.0/24");
        assert!(subnet.has(Ipv4Addr::new(10, 207, 1, 255)));
        assert!(!subnet.has(Ipv4Addr::new(10, 207, 2, 0)));
    }

    #[test]
    fn what_is_no_subnet_is_told() {
        for wrong in ["10.207.1.0", "10.207.1/24", "10.0.0.0/31", "10.207.1.1/24"] {
            assert!(wrong.parse::<Subnet>().is_err(), "{wrong}");
        }
    }
}
