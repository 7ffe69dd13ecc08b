//! Who may send what to whom, and under which address?
//!
//! The kernel's packet filter, nftables, decides, by rules in tables. Ours are tables of our
//! own: nobody else's rules are changed, and they go as a whole. A table has chains, which
//! hang on hooks: the places that a packet passes. A set (here: of guests, and of published
//! ports) is looked up by a rule, so that a container more is an element, not a rule.
//!
//! guest.rs has what the sets know of a container, nftables.rs how the kernel is told all that.
//! Read nft(8), and <https://wiki.nftables.org> for a picture of the hooks.

use nix::errno::Errno;
use stage::Result;

use crate::guest::Guest;
use crate::nftables::{Batch, Family, Filter};
use crate::{Subnet, rules};

/// The tables of `bridge`, whose ports' names begin with `prefix`: as nft(8) reads and shows them.
/// What is sent to the kernel is in rules.rs.
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
        oifname "BRIDGE" ct status dnat ip saddr 127.0.0.0/8 masquerade
        oifname "BRIDGE" ct status dnat ip saddr SUBNET masquerade
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

/// The rules of the bridge called `name`.
pub struct Firewall<'n> {
    name: &'n str,
    filter: Filter,
}

impl<'n> Firewall<'n> {
    /// Those of the bridge in our network namespace.
    pub fn of(name: &'n str) -> Result<Firewall<'n>> {
        Ok(Firewall { name, filter: Filter::open()? })
    }

    /// The same; None where the kernel has no such filter: then it has no tables of ours.
    pub fn if_any(name: &'n str) -> Result<Option<Firewall<'n>>> {
        match Firewall::of(name) {
            Err(error) if error.errno() == Some(Errno::EPROTONOSUPPORT) => Ok(None),
            firewall => firewall.map(Some),
        }
    }

    /// Let `guest` in.
    pub fn let_in(&self, guest: &Guest) -> Result<()> {
        self.filter.apply(|batch| self.add(batch, guest))
    }

    /// Make the tables, for ports whose names begin with `prefix`, and let `guest` in.
    pub fn make(&self, prefix: &str, subnet: &Subnet, guest: &Guest) -> Result<()> {
        self.filter.apply(|batch| {
            rules::guard(&mut batch.table(Family::Bridge, self.name), prefix);
            rules::routes(&mut batch.table(Family::Ip, self.name), self.name, subnet);
            self.add(batch, guest);
        })
    }

    fn add(&self, batch: &mut Batch, guest: &Guest) {
        batch.table(Family::Bridge, self.name).add("guests", &[guest.element()]);
        if !guest.published.is_empty() {
            batch.table(Family::Ip, self.name).add("published", &guest.ports());
        }
    }

    /// Forget `guest`.
    pub fn forget(&self, guest: &Guest) -> Result<()> {
        self.filter.apply(|batch| {
            batch.table(Family::Bridge, self.name).delete("guests", &[guest.element()]);
            if !guest.published.is_empty() {
                batch.table(Family::Ip, self.name).delete("published", &guest.ports());
            }
        })
    }

    /// Remove all tables, also if there are none.
    pub fn end(&self) -> Result<()> {
        self.filter.apply(|batch| {
            batch.table(Family::Ip, self.name).remove();
            batch.table(Family::Bridge, self.name).remove();
        })
    }

    /// Whether there are tables.
    pub fn is_there(&self) -> bool {
        self.filter.has_table(Family::Ip, self.name).unwrap_or(false)
    }

    /// Remove the table that keeps each from sending as another.
    pub fn end_guard(&self) -> Result<()> {
        self.filter.apply(|batch| batch.table(Family::Bridge, self.name).remove())
    }
}

/// Where Docker or a firewall guards forwarding, no table of ours can overrule a refusal: a
/// packet must be accepted there, too.
pub mod docker {
    use std::fs;
    use std::process::{Command, Stdio};

    use crate::nftables::{Family, Filter};

    /// Our chain in the table `filter` of iptables(8).
    const CHAIN: &str = "FAKEDOCKER1";

    /// Whether forwarding is guarded by iptables.
    pub fn is_there() -> bool {
        // Where it has no table, nobody has to start it to know.
        has_table() && has_rules()
    }

    /// Whether there is a table `filter`: in the packet filter of today's iptables, or in that of
    /// the one before.
    fn has_table() -> bool {
        let today =
            Filter::open().and_then(|filter| filter.has_table(Family::Ip, "filter"));
        let before =
            fs::read_to_string("/proc/self/net/ip_tables_names").unwrap_or_default();
        // Who cannot know, asks further.
        today.unwrap_or(true) || before.lines().any(|table| table == "filter")
    }

    fn has_rules() -> bool {
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
