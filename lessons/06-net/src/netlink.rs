//! How are links, addresses and routes changed?
//!
//! Not by system calls of their own: by messages to the kernel, over a socket of the family
//! AF_NETLINK. ip(8) does nothing else. A message is a header, a structure and attributes;
//! the kernel answers each with an errno. Read netlink(7) and rtnetlink(7).

use std::net::Ipv4Addr;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth,
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
    RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::unistd::Pid;
use stage::{Error, Result};

/// The address of a link's hardware (MAC address), by which neighbours know it.
pub type Hardware = [u8; 6];

/// For what must not be there yet, as O_CREAT|O_EXCL.
const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// The links of our bridge are a group (IFLA_GROUP), whose number nobody else is likely to have.
const GROUP: u32 = u32::from_be_bytes(*b"fake");

/// A line to the kernel. It speaks of the network namespace that it was opened in.
pub struct Netlink {
    socket: Socket,
}

impl Netlink {
    /// Open a line.
    pub fn open() -> Result<Netlink> {
        let failed =
            |error| Error::io("socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE)", &error);
        let socket = Socket::new(NETLINK_ROUTE).map_err(failed)?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(failed)?;
        Ok(Netlink { socket })
    }

    /// Make a veth pair: `outside` here, `inside` in the network namespace of process `pid`.
    /// Both in one message, so that nothing is left half-way by whoever is killed.
    pub fn veth(&mut self, outside: &str, inside: &str, pid: Pid) -> Result<()> {
        let call = format!("RTM_NEWLINK({outside}, veth, {inside} in {pid})");
        self.pair(&call, named(outside), named(inside), pid)
    }

    /// The same for a bridge: `port` is one of its ports, and up; `inside` has the hardware
    /// address `hardware`.
    pub fn port(
        &mut self,
        (port, bridge): (&str, &str),
        (inside, hardware): (&str, Hardware),
        pid: Pid,
    ) -> Result<()> {
        let (mut here, mut there) = (named(port), named(inside));
        here.attributes.push(LinkAttribute::Controller(index(bridge)?));
        here.attributes.push(LinkAttribute::Group(GROUP));
        there.attributes.push(LinkAttribute::Address(hardware.into()));
        (here.header.flags, here.header.change_mask) = (LinkFlags::Up, LinkFlags::Up);
        let call = format!("RTM_NEWLINK({port}, veth, {bridge}, {inside} in {pid})");
        self.pair(&call, here, there, pid)
    }

    fn pair(
        &mut self,
        call: &str,
        mut here: LinkMessage,
        mut there: LinkMessage,
        pid: Pid,
    ) -> Result<()> {
        there.attributes.push(LinkAttribute::NetNsPid(pid.as_raw().unsigned_abs()));
        here.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(there))),
        ]));
        self.request(call, RouteNetlinkMessage::NewLink(here), NEW)
    }

    /// Make a bridge, a switch in software.
    pub fn bridge(&mut self, name: &str, hardware: Hardware) -> Result<()> {
        let mut link = named(name);
        link.attributes.push(LinkAttribute::Address(hardware.into()));
        link.attributes.push(LinkAttribute::Group(GROUP));
        let kind = LinkInfo::Kind(InfoKind::Bridge);
        link.attributes.push(LinkAttribute::LinkInfo(vec![kind]));
        let call = format!("RTM_NEWLINK({name}, bridge)");
        self.request(&call, RouteNetlinkMessage::NewLink(link), NEW)
    }

    /// The hardware address of `link`; None if it is not up, or not there.
    pub fn hardware_if_up(&mut self, link: &str) -> Result<Option<Hardware>> {
        let call = format!("RTM_GETLINK({link})");
        let question = RouteNetlinkMessage::GetLink(named(link));
        let link = match self.exchange(&call, question, 0)? {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => link,
            _ => return Ok(None),
        };
        let hardware = link.attributes.into_iter().find_map(|it| match it {
            LinkAttribute::Address(bytes) => bytes.try_into().ok(),
            _ => None,
        });
        Ok(hardware.filter(|_| link.header.flags.contains(LinkFlags::Up)))
    }

    /// Let the `port` of a bridge reach no other isolated port, only the bridge itself.
    pub fn isolate(&mut self, port: &str) -> Result<()> {
        let change = LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::Isolated(
                true,
            )])),
        ]);
        self.change(port, change, "IFLA_BRPORT_ISOLATED")
    }

    /// Give `link` another hardware address.
    pub fn set_hardware(&mut self, link: &str, hardware: Hardware) -> Result<()> {
        self.change(link, LinkAttribute::Address(hardware.into()), "IFLA_ADDRESS")
    }

    fn change(&mut self, link: &str, change: LinkAttribute, shown: &str) -> Result<()> {
        let mut message = named(link);
        message.attributes.push(change);
        let call = format!("RTM_NEWLINK({link}, {shown})");
        self.request(&call, RouteNetlinkMessage::NewLink(message), 0)
    }

    /// Let packets in and out of `link`.
    pub fn set_up(&mut self, link: &str) -> Result<()> {
        let mut message = named(link);
        (message.header.flags, message.header.change_mask) =
            (LinkFlags::Up, LinkFlags::Up);
        let call = format!("RTM_NEWLINK({link}, IFF_UP)");
        self.request(&call, RouteNetlinkMessage::NewLink(message), 0)
    }

    /// Give `link` an address, whose first `length` bits it shares with its neighbours.
    pub fn add_address(
        &mut self,
        link: &str,
        address: Ipv4Addr,
        length: u8,
    ) -> Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.index = index(link)?;
        message.header.prefix_len = length;
        // Of a link between two, the far end is the "address"; for all others it is the same.
        message.attributes.push(AddressAttribute::Local(address.into()));
        message.attributes.push(AddressAttribute::Address(address.into()));
        let call = format!("RTM_NEWADDR({link}, {address}/{length})");
        self.request(&call, RouteNetlinkMessage::NewAddress(message), NEW)
    }

    /// Send all that no other route knows to `gateway`, a neighbour.
    pub fn add_default_route(&mut self, gateway: Ipv4Addr) -> Result<()> {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::Boot; // as ip(8) has it: not a daemon's
        message.header.scope = RouteScope::Universe;
        message.header.kind = RouteType::Unicast;
        message.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
        let call = format!("RTM_NEWROUTE(default, via {gateway})");
        self.request(&call, RouteNetlinkMessage::NewRoute(message), NEW)
    }

    /// Remove `link`, and so the other end of its pair.
    pub fn remove(&mut self, link: &str) -> Result<()> {
        let call = format!("RTM_DELLINK({link})");
        self.request(&call, RouteNetlinkMessage::DelLink(named(link)), 0)
    }

    /// Remove our bridge and its ports, all in one: the kernel waits long for each removal, until
    /// nobody can still be looking at the link.
    pub fn remove_group(&mut self) -> Result<()> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Group(GROUP));
        self.request("RTM_DELLINK(IFLA_GROUP)", RouteNetlinkMessage::DelLink(message), 0)
    }

    /// Send a message, and wait for the kernel's yes.
    fn request(&mut self, call: &str, what: RouteNetlinkMessage, how: u16) -> Result<()> {
        match self.exchange(call, what, NLM_F_ACK | how)? {
            // An "error" without a code is the kernel's yes.
            NetlinkPayload::Error(error) => match error.code {
                None => Ok(()),
                Some(code) => Err(Error::call(call, Errno::from_raw(-code.get()))),
            },
            other => Err(Error::input(format!(
                "{call}: an answer to something else: {other:?}"
            ))),
        }
    }

    /// Send a message, and wait for the kernel's answer.
    fn exchange(
        &mut self,
        call: &str,
        what: RouteNetlinkMessage,
        how: u16,
    ) -> Result<NetlinkPayload<RouteNetlinkMessage>> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | how;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(what));
        message.finalize(); // only now is its length known
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let failed = |error| Error::io(call, &error);
        self.socket.send(&bytes, 0).map_err(failed)?;
        let (answer, _) = self.socket.recv_from_full().map_err(failed)?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer);
        let answer = answer.map_err(|error| Error::input(format!("{call}: {error}")))?;
        Ok(answer.payload)
    }
}

/// A message about the link that is called `name`, or is to be.
fn named(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_string()));
    message
}

/// The number by which messages name a link.
fn index(link: &str) -> Result<u32> {
    if_nametoindex(link)
        .map_err(|errno| Error::call(format!("SIOCGIFINDEX({link})"), errno))
}
