//! Who may send what to whom, and under which address?
//!
//! The kernel's packet filter, nftables, decides, by rules in tables. Ours are tables of our
//! own: nobody else's rules are changed, and they go as a whole. A table has chains, which
//! hang on hooks: the places that a packet passes. A set (here: of guests, and of published
//! ports) is looked up by a rule, so that a container more is an element, not a rule.
//!
//! Read nft(8), and <https://wiki.nftables.org> for a picture of the hooks.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use stage::{Error, Result};

use crate::netlink::Hardware;
use crate::{Published, Subnet};

/// The tables of `bridge`, whose ports' names begin with `prefix`.
pub fn tables(bridge: &str, prefix: &str, subnet: &Subnet) -> String {
    let tables = [GUARD, ROUTES].concat();
    tables
        .replace("BRIDGE", bridge)
        .replace("PREFIX", prefix)
        .replace("SUBNET", &subnet.to_string())
}

/// Frames on the bridge: each port may send as its own container only.
pub const GUARD: &str = r#"
table bridge BRIDGE {
    set guests { type ifname . ether_addr . ipv4_addr; }
    chain guard {
        type filter hook prerouting priority -300;
        iifname != "PREFIX*" accept
        ether type != { ip, arp } drop
        iifname . ether saddr . ip saddr != @guests drop
        iifname . ether saddr . arp saddr ip != @guests drop
        iifname . arp saddr ether . arp saddr ip != @guests drop
        # The host's own loopback, which route_localnet would open.
        ip daddr 127.0.0.0/8 drop
    }
}
"#;

/// Packets that the host routes. A published port has another destination, for packets from
/// outside and for the host's own.
pub const ROUTES: &str = r#"
table ip BRIDGE {
    map published {
        type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service
        flags interval
    }
    chain published_ports {
        fib daddr type local meta l4proto { tcp, udp } \
            dnat ip to meta l4proto . ip daddr . th dport map @published
    }
    chain prerouting {
        type nat hook prerouting priority -100;
        jump published_ports
    }
    chain output {
        type nat hook output priority -100;
        jump published_ports
    }
    chain postrouting {
        type nat hook postrouting priority 100;
        # Outside, nobody knows the way back to our subnet: take the host's address.
        ip saddr SUBNET oifname != "BRIDGE" masquerade
        # The answer must come back the way that the question took.
        oifname "BRIDGE" ct status dnat ip saddr { 127.0.0.0/8, SUBNET } masquerade
    }
    # From outside, only what was published or asked for.
    chain forward {
        type filter hook forward priority 0;
        oifname != "BRIDGE" accept
        iifname "BRIDGE" accept
        ct state established,related accept
        ct status dnat accept
        drop
    }
}
"#;

/// What the tables of a bridge know of one container.
pub struct Guest<'g> {
    /// The bridge.
    pub bridge: &'g str,
    /// The container's port of it.
    pub port: &'g str,
    /// Its hardware address.
    pub hardware: Hardware,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its ports that are the host's, too.
    pub published: &'g [Published],
}

impl Guest<'_> {
    /// The commands that let it in.
    pub fn welcome(&self) -> String {
        let address = self.address;
        let ports = self
            .published
            .iter()
            .map(|it| format!("{} : {address} . {}", key(it), it.container));
        self.each("add", ports.collect())
    }

    /// The commands that forget it.
    pub fn farewell(&self) -> String {
        self.each("delete", self.published.iter().map(key).collect())
    }

    /// In one line, so that it can be noted as one.
    fn each(&self, verb: &str, ports: Vec<String>) -> String {
        let Guest { bridge, port, address, .. } = self;
        let hardware = self.hardware.map(|byte| format!("{byte:02x}")).join(":");
        let guest = format!("{{ \"{port}\" . {hardware} . {address} }}");
        let mut commands = format!("{verb} element bridge {bridge} guests {guest}");
        for element in ports {
            let command = format!("{verb} element ip {bridge} published {{ {element} }}");
            commands.push_str(&format!("; {command}"));
        }
        commands
    }
}

/// By what a published port is found: the protocol, the address, and the port.
fn key(port: &Published) -> String {
    let address = match *port.host.ip() {
        Ipv4Addr::UNSPECIFIED => "0.0.0.0/0".to_string(),
        address => address.to_string(),
    };
    format!("{} . {address} . {}", port.protocol, port.host.port())
}

/// The command that removes all tables of `bridge`, also if there are none.
pub fn no_tables(bridge: &str) -> String {
    ["ip", "bridge"]
        .map(|family| {
            format!("table {family} {bridge}\ndelete table {family} {bridge}\n")
        })
        .concat()
}

/// Remove all tables of `bridge`. That cannot go wrong unless they are there: without nft, or
/// where the kernel has no such filter, they never were.
pub fn forget(bridge: &str) -> Result<()> {
    let removed = apply(&no_tables(bridge));
    let is_there = || apply(&format!("list table ip {bridge}\n")).is_ok();
    if removed.is_err() && is_there() { removed } else { Ok(()) }
}

/// Let nft(8) carry out `commands`: all of them, or none.
pub fn apply(commands: &str) -> Result<()> {
    // As an argument: of an input that it cannot read, nft says that all of it is done.
    let nft = Command::new("nft")
        .arg(commands)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let nft = nft.map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Error::input("there is no nft").hint("it is in the package nftables")
        }
        _ => Error::io("nft", &error),
    })?;
    let ended = stage::output_of(nft).map_err(|error| Error::io("nft", &error))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let why = said.lines().next().unwrap_or("it gave no reason").to_string();
    Err(Error::input(format!("nft failed: {why}")))
}

/// Where Docker or a firewall guards forwarding, no table of ours can overrule a refusal: a
/// packet must be accepted there, too.
pub mod docker {
    use std::process::{Command, Stdio};

    /// Our chain in the table `filter` of iptables(8).
    const CHAIN: &str = "FAKEDOCKER1";

    /// Whether forwarding is guarded by iptables.
    pub fn is_there() -> bool {
        let mut save = Command::new("iptables-save");
        let saved = save.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let guards = |line: &str| {
            line.starts_with(":FORWARD DROP") || line.starts_with("-A FORWARD")
        };
        let saved = saved.and_then(stage::output_of);
        saved.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).lines().any(guards))
    }

    /// Let packets from and to `bridge` pass. Returns whether that went well.
    pub fn let_pass(bridge: &str) -> bool {
        dismiss();
        let words = [
            format!("-N {CHAIN}"),
            format!("-A {CHAIN} -i {bridge} -j ACCEPT"),
            format!(
                "-A {CHAIN} -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT"
            ),
            format!("-I FORWARD -j {CHAIN}"),
        ];
        words.iter().all(|words| iptables(words))
    }

    /// Take our chain away, as far as it is there.
    pub fn dismiss() {
        for words in ["-D FORWARD -j", "-F", "-X"] {
            iptables(&format!("{words} {CHAIN}"));
        }
    }

    fn iptables(words: &str) -> bool {
        let mut iptables = Command::new("iptables");
        iptables.args(["-w", "-t", "filter"]).args(words.split(' '));
        let ended = iptables.stdout(Stdio::null()).stderr(Stdio::null()).status();
        ended.is_ok_and(|status| status.success())
    }
}
