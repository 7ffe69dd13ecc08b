//! How do many containers get at each other, and at the world?
//!
//! By a bridge: each container's cable ends in one of its ports. The host has an address on
//! it, too, and is the gateway. The first container makes the bridge, the last one takes it
//! away, and with it all that was changed for it. Who may send what is in firewall.rs.
//!
//! Read bridge(8), and `ip_forward` and `route_localnet` in the kernel's
//! documentation, networking/ip-sysctl.rst.

use std::fmt;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;

use nix::net::if_::if_nametoindex;
use nix::unistd::Pid;
use stage::{Error, Ledger, Result, ledger};

use crate::firewall::{Firewall, docker};
use crate::guest::Guest;
use crate::netlink::{Hardware, Netlink};
use crate::{INSIDE, Published, Subnet, subnet, unplug};

/// The bridge of the engine; that of scripts/host_net.sh is fakedocker0.
pub const NAME: &str = "fakedocker1";
const SCRIPTS: &str = "fakedocker0";

/// With what the names of its ports begin. The rest of an address follows.
pub(crate) const PORT: &str = "fd-";

/// Subnets of private addresses (RFC 1918): the first that is free is taken.
const SUBNETS: [&str; 4] =
    ["10.208.0.0/16", "10.209.0.0/16", "172.29.0.0/16", "192.168.208.0/20"];

/// The bridge. While this value lives, nobody else changes it.
pub struct Bridge {
    subnet: Subnet,
    netlink: Netlink,
    is_new: bool,
    _turn: File,
}

/// A container's place at the bridge. Dropped, it is given back; if we are killed, by the
/// next [`sweep`].
pub struct Place {
    /// The container's address.
    pub address: Ipv4Addr,
    /// The first bits of it that it shares with its neighbours.
    pub length: u8,
    /// The host's address.
    pub gateway: Ipv4Addr,
    /// Why there is no firewall: then the container reaches the host, and nobody else.
    pub refused: Option<Error>,
    guest: Guest,
    ledger: Option<Ledger>,
}

impl Bridge {
    /// The bridge in our network namespace, which is made if need be.
    pub fn open() -> Result<Bridge> {
        let turn = take_turn()?;
        let mut netlink = Netlink::open()?;
        // Up is the last that it gets: one that is down was left half-made.
        let found = netlink.hardware_if_up(NAME)?.and_then(subnet_of);
        let is_new = found.is_none();
        let subnet = match found {
            Some(subnet) => subnet,
            None => make(&mut netlink)?,
        };
        Ok(Bridge { subnet, netlink, is_new, _turn: turn })
    }

    /// Lay a cable from a free port to the network namespace of process `pid`, whose
    /// `published` ports are the host's, too.
    pub fn plug(mut self, pid: Pid, published: &[Published]) -> Result<Place> {
        let (address, mut ledger) = self.claim()?;
        let guest = Guest::of(address, published);
        // What is written down first can be taken back by whoever comes after us.
        ledger.note(format!("{LINK}{}\n{GUEST}{guest}", guest.port))?;
        let refused = self.connect(&guest, pid);
        let mut place = Place {
            address,
            length: self.subnet.length(),
            gateway: self.subnet.gateway(),
            refused: None,
            guest,
            ledger: Some(ledger),
        };
        // Should the place be given back, that takes a turn of its own.
        drop(self);
        place.refused = refused?;
        Ok(place)
    }

    /// Let it in by the firewall, and make the cable. Returns why it was not let in.
    fn connect(&mut self, guest: &Guest, pid: Pid) -> Result<Option<Error>> {
        let refused = self.let_in(guest).err();
        self.netlink.port((&guest.port, NAME), (INSIDE, guest.hardware), pid)?;
        if refused.is_some() {
            // Without rules, the others must be safe from it in another way.
            self.netlink.isolate(&guest.port)?;
        }
        Ok(refused)
    }

    /// The first address that nobody has.
    fn claim(&self) -> Result<(Ipv4Addr, Ledger)> {
        let guests = self.subnet.guests();
        let claimed =
            Ledger::claim_first(LESSON, guests.map(|address| address.to_string()))?;
        let (name, ledger) = claimed.ok_or_else(|| {
            Error::input(format!("all addresses of {} are taken", self.subnet))
        })?;
        let address =
            name.parse().map_err(|_| Error::input(format!("{name:?} is no address")))?;
        Ok((address, ledger))
    }

    fn let_in(&self, guest: &Guest) -> Result<()> {
        let firewall = Firewall::of(NAME)?;
        let all = || firewall.make(PORT, &self.subnet, guest);
        match self.is_new {
            true => all(),
            // Without tables, they may have been refused to the one who made the bridge.
            false => firewall.let_in(guest).or_else(|_| all()),
        }
    }
}

impl fmt::Display for Place {
    /// As [`configure`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.address, self.length, self.gateway)
    }
}

/// The container's half: take the place that is written in `word`, and return its address.
pub fn configure(word: &str) -> Result<Ipv4Addr> {
    let parts = word.split_once(' ').and_then(|(address, gateway)| {
        let (address, length) = address.split_once('/')?;
        Some((address.parse().ok()?, length.parse().ok()?, gateway.parse().ok()?))
    });
    let (address, length, gateway) =
        parts.ok_or_else(|| Error::input(format!("{word:?} is no place at a bridge")))?;
    crate::configure(address, length, gateway)?;
    Ok(address)
}

impl Place {
    /// Give the place back, and take the bridge away if it was the last.
    pub fn leave(mut self) -> Result<()> {
        self.give_back()
    }

    fn give_back(&mut self) -> Result<()> {
        let Some(ledger) = self.ledger.take() else { return Ok(()) };
        let _turn = take_turn()?;
        let is_last = Ledger::count(LESSON)? == 1;
        let given_back = match is_last {
            true => dismantle(),
            false => self.leave_others(),
        };
        // While it is our turn: the next one counts the notes.
        match given_back {
            Ok(()) => drop(ledger),
            Err(_) => ledger.leave_behind(),
        }
        given_back
    }

    /// Go, while others stay.
    fn leave_others(&self) -> Result<()> {
        let firewall = match self.refused {
            None => Some(Firewall::of(NAME)?),
            Some(_) => None,
        };
        let forget = |firewall: &Firewall| firewall.forget(&self.guest);
        let forgotten = firewall.as_ref().map_or(Ok(()), forget);
        // The line to the firewall is closed after that: it takes the kernel as long to forget an
        // element as to remove a cable, and whoever closes the line waits for it.
        unplug(&self.guest.port).and(forgotten)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is not taken back here is, by `sweep`.
        self.give_back().ok();
    }
}

/// The name of our notes, and what can be in them.
const LESSON: &str = "bridge";
const LINK: &str = "link ";
const GUEST: &str = "guest ";

/// Give back the places of killed engines, and say what they were.
pub fn sweep() -> Result<Vec<String>> {
    if !is_there() && Ledger::count(LESSON)? == 0 {
        return Ok(Vec::new());
    }
    let _turn = take_turn()?;
    let mut left = Ledger::abandoned(LESSON, |thing| {
        match (thing.strip_prefix(LINK), thing.strip_prefix(GUEST)) {
            (Some(link), _) => unplug(link).is_ok(),
            (_, Some(guest)) => guest.parse().map_or(Ok(()), forget).is_ok(),
            _ => true,
        }
    })?;
    left.retain(|thing| thing.starts_with(LINK));
    if is_there() && Ledger::count(LESSON)? == 0 {
        dismantle()?;
        left.push(format!("bridge {NAME}"));
    }
    Ok(left)
}

/// What [`sweep`] would say: nothing is changed.
pub fn left() -> Result<Vec<String>> {
    let notes = Ledger::left(LESSON)?;
    let things = notes.iter().flat_map(|note| note.lines());
    let links = things.filter(|thing| thing.starts_with(LINK)).map(String::from);
    let nobody_else = is_there() && Ledger::count(LESSON)? == notes.len();
    let bridge = nobody_else.then(|| format!("bridge {NAME}"));
    Ok(links.chain(bridge).collect())
}

/// Wait until no other of our programs changes this network namespace. The lock is on the
/// namespace itself, so that it goes with it.
fn take_turn() -> Result<File> {
    let namespace = "/proc/self/ns/net";
    let turn = File::open(namespace).and_then(|turn| {
        turn.lock()?;
        Ok(turn)
    });
    turn.map_err(|error| Error::io(format!("flock({namespace:?})"), &error))
}

fn is_there() -> bool {
    if_nametoindex(NAME).is_ok()
}

fn make(netlink: &mut Netlink) -> Result<Subnet> {
    let subnet = subnet::first_free(&SUBNETS)?;
    unplug(NAME)?; // half-made by somebody who was killed
    netlink.bridge(NAME, hardware_of(subnet.gateway()))?;
    netlink.add_address(NAME, subnet.gateway(), subnet.length())?;
    // A published port of 127.0.0.1 leads here: see `guard` in firewall.rs, too. This
    // switch goes with the bridge.
    write(&format!("conf/{NAME}/route_localnet"), "1")?;
    forward()?;
    if docker::is_there() {
        ledger::remember(DOCKER, "")?;
        docker::let_pass(NAME);
    }
    netlink.set_up(NAME)?;
    Ok(subnet)
}

/// The subnet of the bridge, whose hardware address is made of the gateway's.
fn subnet_of(hardware: Hardware) -> Option<Subnet> {
    let mut all = SUBNETS.iter().filter_map(|text| text.parse::<Subnet>().ok());
    all.find(|subnet| hardware_of(subnet.gateway()) == hardware)
}

/// Take all away that the bridge has brought; the bridge itself last, so that who is killed
/// here leaves a sign of it.
fn dismantle() -> Result<()> {
    // Closed at the end: the kernel has forgotten the tables by then, and nobody waits for it.
    let _firewall = forget_tables()?;
    if ledger::recall(DOCKER)?.is_some() {
        docker::dismiss();
        ledger::forget(DOCKER)?;
    }
    // The scripts keep the same note: who goes last restores it.
    if if_nametoindex(SCRIPTS).is_err()
        && let Some(before) = ledger::recall(FORWARD)?
    {
        write(FORWARD, before.trim())?;
        ledger::forget(FORWARD)?;
    }
    Netlink::open()?.remove_group().or_else(|_| unplug(NAME))
}

/// Take `guest` out of our tables. All that lets it in came at once: if it cannot go, none of it
/// was there.
fn forget(guest: Guest) -> Result<()> {
    if let Some(firewall) = Firewall::if_any(NAME)? {
        firewall.forget(&guest).ok();
    }
    Ok(())
}

/// Remove our tables. That cannot go wrong unless they are there.
fn forget_tables() -> Result<Option<Firewall<'static>>> {
    let Some(firewall) = Firewall::if_any(NAME)? else { return Ok(None) };
    match firewall.end() {
        Err(error) if firewall.is_there() => Err(error),
        _ => Ok(Some(firewall)),
    }
}

/// Let the host pass packets on, and write down first what it did before.
fn forward() -> Result<()> {
    let path = Path::new(SWITCHES).join(FORWARD);
    let before = fs::read_to_string(&path);
    let before = before.map_err(|error| Error::io(path.display(), &error))?;
    if before.trim() == "1" {
        return Ok(());
    }
    ledger::remember(FORWARD, &before)?;
    write(FORWARD, "1")
}

/// Notes that belong to the bridge, not to a container.
const FORWARD: &str = "ip_forward";
const DOCKER: &str = "iptables";

const SWITCHES: &str = "/proc/sys/net/ipv4";

fn write(switch: &str, text: &str) -> Result<()> {
    let path = Path::new(SWITCHES).join(switch);
    fs::write(&path, text).map_err(|error| Error::io(path.display(), &error))
}

/// A hardware address that is made of the address, so that nobody remembers a wrong one
/// when an address changes hands. 02: not given by a manufacturer.
pub fn hardware_of(address: Ipv4Addr) -> Hardware {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}
