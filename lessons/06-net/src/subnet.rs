//! Which addresses do a host and its container have in common?
//!
//! Those of a subnet: addresses that begin with the same bits. The first is the host's, the
//! gateway of all others. Read RFC 4632, section 3.1, for the notation `10.207.1.0/24`.

use std::fmt::{self, Display};
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

    /// The first address: the host's.
    pub fn gateway(&self) -> Ipv4Addr {
        self.address(1)
    }

    /// The second one: the container's.
    pub fn container(&self) -> Ipv4Addr {
        self.address(2)
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

    fn has(&self, address: Ipv4Addr) -> bool {
        let differ = u32::from(address) ^ u32::from(self.network);
        differ >> (32 - u32::from(self.length)) == 0
    }
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
