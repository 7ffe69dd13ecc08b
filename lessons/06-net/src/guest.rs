//! What does the firewall know of one container?
//!
//! An element in the set of guests, and one for each published port. All of it can be told from
//! the address and the ports: so these are noted, and whoever finds the note can take it back.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::bridge::{PORT, hardware_of};
use crate::netlink::Hardware;
use crate::nftables::Element;
use crate::rules::link;
use crate::{Protocol, Published};

/// What the tables of a bridge know of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The container's port of the bridge.
    pub port: String,
    /// Its hardware address.
    pub hardware: Hardware,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its ports that are the host's, too.
    pub published: Vec<Published>,
}

impl Guest {
    /// The one that has `address`.
    pub fn of(address: Ipv4Addr, published: &[Published]) -> Guest {
        let [.., high, low] = address.octets();
        let port = format!("{PORT}{high}.{low}");
        let (hardware, published) = (hardware_of(address), published.to_vec());
        Guest { port, hardware, address, published }
    }

    /// Who may send as whom: the port, the hardware address, the address, each in whole registers.
    pub(crate) fn element(&self) -> Element {
        let hardware = [&self.hardware[..], &[0; 2]].concat();
        let key = [&link(&self.port)[..], &hardware, &self.address.octets()].concat();
        Element { key, ..Element::default() }
    }

    /// The published ports, and where they lead.
    pub(crate) fn ports(&self) -> Vec<Element> {
        let element = |it: &Published| {
            let (first, last) = match *it.host.ip() {
                Ipv4Addr::UNSPECIFIED => (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST),
                address => (address, address),
            };
            let key = |address| key(it.protocol, address, it.host.port());
            let data = [self.address.octets(), whole(it.container)].concat();
            Element { key: key(first), last: Some(key(last)), data: Some(data) }
        };
        self.published.iter().map(element).collect()
    }
}

/// By what a published port is found: the protocol, the address, and the port.
fn key(protocol: Protocol, address: Ipv4Addr, port: u16) -> Vec<u8> {
    // As in an IP header: RFC 790.
    let protocol = match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    };
    [[protocol, 0, 0, 0], address.octets(), whole(port)].concat()
}

/// A port fills a register.
fn whole(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

impl fmt::Display for Guest {
    /// As it is noted: `10.208.0.2 tcp:0.0.0.0:8080:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        self.published
            .iter()
            .try_for_each(|it| write!(f, " {}:{}:{}", it.protocol, it.host, it.container))
    }
}

impl FromStr for Guest {
    type Err = ();

    fn from_str(text: &str) -> Result<Guest, ()> {
        let mut words = text.split(' ');
        let address = words.next().and_then(|word| word.parse().ok()).ok_or(())?;
        let published = words.map(|word| published(word).ok_or(()));
        Ok(Guest::of(address, &published.collect::<Result<Vec<_>, ()>>()?))
    }
}

fn published(word: &str) -> Option<Published> {
    let (protocol, rest) = word.split_once(':')?;
    let (host, container) = rest.rsplit_once(':')?;
    let protocol =
        [Protocol::Tcp, Protocol::Udp].into_iter().find(|it| it.to_string() == protocol);
    Some(Published {
        protocol: protocol?,
        host: host.parse().ok()?,
        container: container.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_all() {
        let noted = "10.208.1.2 tcp:0.0.0.0:8080:80 udp:127.0.0.1:5353:53";
        let guest: Guest = noted.parse().unwrap_or_else(|()| panic!("{noted}"));
        assert_eq!(guest.to_string(), noted);
        assert_eq!((&*guest.port, guest.published.len()), ("fd-1.2", 2));
        for wrong in ["", "10.208.1", "10.208.1.2 80", "10.208.1.2 sctp:0.0.0.0:1:1"] {
            assert_eq!(wrong.parse::<Guest>(), Err(()), "{wrong}");
        }
    }
}
