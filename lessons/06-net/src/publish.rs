//! How does a port of the host's become a container's?
//!
//! No process is needed: a rule of the firewall gives packets to the port another
//! destination (firewall.rs). But whoever comes later and wants the port must be told that
//! it is taken, so that a socket holds it while the container is there.

use std::fmt;
use std::io::ErrorKind;
use std::net::{SocketAddrV4, TcpListener, UdpSocket};

use stage::{Error, Result};

/// A port of the host's that stands for one of a container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// What travels to it.
    pub protocol: Protocol,
    /// The address and port on the host; 0.0.0.0 for all its addresses.
    pub host: SocketAddrV4,
    /// The container's port.
    pub container: u16,
}

/// A transport protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in RFC 9293 and RFC 768")]
pub enum Protocol {
    Tcp,
    Udp,
}

/// A socket that holds a published port. Nothing arrives at it: the rules come first.
pub enum Held {
    /// Of a TCP port.
    Tcp(TcpListener),
    /// Of a UDP port.
    Udp(UdpSocket),
}

impl Published {
    /// Take the port, or say that somebody has it.
    pub fn hold(&self) -> Result<Held> {
        let held = match self.protocol {
            Protocol::Tcp => TcpListener::bind(self.host).map(Held::Tcp),
            Protocol::Udp => UdpSocket::bind(self.host).map(Held::Udp),
        };
        held.map_err(|error| {
            let (host, protocol) = (self.host, self.protocol);
            let refused = Error::io(format!("bind({host}/{protocol})"), &error);
            match error.kind() {
                ErrorKind::AddrInUse => refused.hint(format!(
                    "another program has the port: `ss -lnp --{protocol}` tells which"
                )),
                ErrorKind::AddrNotAvailable => {
                    refused.hint("the host has no such address: see `ip address`")
                }
                _ => refused,
            }
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}
