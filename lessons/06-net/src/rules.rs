//! How does the kernel get the rules of firewall.rs?
//!
//! As expressions (nftables.rs). Each function here says one of them, in the order of the words of
//! nft(8); the tests compare what comes of both.

use std::net::Ipv4Addr;

use crate::Subnet;
use crate::nftables::{Hook, Set, Table, express, flag, nested, number, text, value};

/// Where in a packet (NFT_PAYLOAD_...): the frame's header, that of IP or ARP, that of TCP or UDP.
const FRAME: u32 = 0;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

/// What is known of a packet beside its bytes (NFT_META_...).
const PROTOCOL: u32 = 1;
const IN: u32 = 6;
const OUT: u32 = 7;
const TRANSPORT_PROTOCOL: u32 = 16;

/// Of connection tracking (NFT_CT_...), and the bits there.
const STATE: u32 = 0;
const STATUS: u32 = 1 << 1;
const ESTABLISHED_OR_RELATED: u32 = 1 << 1 | 1 << 2;
const DNAT: u32 = 1 << 5;

/// EtherTypes.
const IP: [u8; 2] = [0x08, 0x00];
const ARP: [u8; 2] = [0x08, 0x06];

/// Hooks (NF_BR_..., NF_INET_...).
const PREROUTING: u32 = 0;
const FORWARD: u32 = 2;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;

/// The numbers that nft(8) has for types of data.
const ADDRESS: u32 = 7;
const HARDWARE: u32 = 9;
const ETHERTYPE: u32 = 10;
const IP_PROTOCOL: u32 = 12;
const PORT: u32 = 13;
const LINK_NAME: u32 = 41;

/// Write the table of `GUARD`; the names of ports begin with `prefix`.
pub fn guard(table: &mut Table, prefix: &str) {
    table.make();
    let types = [LINK_NAME << 12 | HARDWARE << 6 | ADDRESS, 0];
    table.set("guests", &Set { flags: 0, types, lengths: [28, 0], parts: &[] });
    table.chain("guard", Some(Hook("filter", PREROUTING, -300)));
    table.rule("guard", &[meta(IN), differs(prefix.as_bytes()), accept()]);
    let of_others = table.is_among(&[&IP, &ARP], ETHERTYPE, true);
    table.rule("guard", &[payload(FRAME, 12, 2, 1), of_others, drop()]);
    let from = |port| [meta(IN), port];
    let stranger = || [is_not_in("guests"), drop()];
    let is_ip = [meta(PROTOCOL), equals(&IP)];
    let is_arp = [payload(FRAME, 12, 2, 1), equals(&ARP)];
    // A link's name fills register 1, a hardware address 2; 14 is the next that has four bytes.
    let sender = from(payload(FRAME, 6, 6, 2));
    let address = payload(NETWORK, 12, 4, 14);
    table.rule("guard", &[&is_ip[..], &sender, &[address], &stranger()].concat());
    let address = [payload(NETWORK, 14, 4, 14)];
    table.rule("guard", &[&is_arp[..], &sender, &address, &stranger()].concat());
    let sender = from(payload(NETWORK, 8, 6, 2));
    table.rule("guard", &[&is_arp[..], &sender, &address, &stranger()].concat());
    let loopback = [payload(NETWORK, 16, 1, 1), equals(&[127]), drop()];
    table.rule("guard", &[&is_ip[..], &loopback].concat());
}

/// Write the table of `ROUTES`.
pub fn routes(table: &mut Table, bridge: &str, subnet: &Subnet) {
    table.make();
    table.set("published", &PUBLISHED);
    publish(table);
    let hook = |kind, place, priority| Some(Hook(kind, place, priority));
    table.chain("prerouting", hook("nat", PREROUTING, -100));
    table.rule("prerouting", &[jump("published_ports")]);
    table.chain("output", hook("nat", OUTPUT, -100));
    table.rule("output", &[jump("published_ports")]);

    table.chain("postrouting", hook("nat", POSTROUTING, 100));
    let (to_bridge, elsewhere) = (equals(&link(bridge)), differs(&link(bridge)));
    let [loopback, ours] =
        [(Ipv4Addr::new(127, 0, 0, 0), 8), (subnet.network(), subnet.length())]
            .map(|(network, length)| is_from(network, length));
    let leaves = [&ours[..], &[meta(OUT), elsewhere.clone(), masquerade()]].concat();
    table.rule("postrouting", &leaves);
    for origin in [loopback, ours] {
        let answered =
            [&[meta(OUT), to_bridge.clone()][..], &tracked(STATUS, DNAT), &origin];
        table.rule("postrouting", &[&answered.concat()[..], &[masquerade()]].concat());
    }

    table.chain("forward", hook("filter", FORWARD, 0));
    table.rule("forward", &[meta(OUT), elsewhere, accept()]);
    table.rule("forward", &[meta(IN), to_bridge, accept()]);
    for tracked in [tracked(STATE, ESTABLISHED_OR_RELATED), tracked(STATUS, DNAT)] {
        table.rule("forward", &[&tracked[..], &[accept()]].concat());
    }
    table.rule("forward", &[drop()]);
}

/// The keys of the map are ranges, for 0.0.0.0 means all addresses.
const PUBLISHED: Set = Set {
    flags: flag::INTERVAL | flag::MAP | flag::CONCAT,
    types: [IP_PROTOCOL << 12 | ADDRESS << 6 | PORT, ADDRESS << 6 | PORT],
    lengths: [12, 8],
    parts: &[1, 4, 2],
};

fn publish(table: &mut Table) {
    let chain = "published_ports";
    table.chain(chain, None);
    let has_ports = table.is_among(&[&[6], &[17]], IP_PROTOCOL, false);
    let rule = [
        // The address is one of ours (RTN_LOCAL).
        express("fib", &[number(1, 1), number(2, 3), number(3, 1 << 1)]),
        equals(&2u32.to_ne_bytes()),
        meta(TRANSPORT_PROTOCOL),
        has_ports,
        meta(TRANSPORT_PROTOCOL),
        payload(NETWORK, 16, 4, 9),
        payload(TRANSPORT, 2, 2, 10),
        express("lookup", &[number(2, 1), text(1, "published"), number(3, 1)]),
        // Of what was found, the address is in register 1, the port in 9, the next of four bytes.
        express("nat", &[number(1, 1), number(2, 2), number(3, 1), number(5, 9)]),
    ];
    table.rule(chain, &rule);
}

/// Load what is known of the packet into the first register.
fn meta(key: u32) -> Vec<u8> {
    express("meta", &[number(2, key), number(1, 1)])
}

/// Load bytes of the packet into a register.
fn payload(base: u32, offset: u32, length: u32, register: u32) -> Vec<u8> {
    express(
        "payload",
        &[number(1, register), number(2, base), number(3, offset), number(4, length)],
    )
}

/// Go on if the first register begins with these bytes.
fn equals(bytes: &[u8]) -> Vec<u8> {
    express("cmp", &[number(1, 1), number(2, 0), value(3, bytes)])
}

/// Go on if it does not.
fn differs(bytes: &[u8]) -> Vec<u8> {
    express("cmp", &[number(1, 1), number(2, 1), value(3, bytes)])
}

/// Let of the first register only these bits be left.
fn mask(bits: [u8; 4]) -> Vec<u8> {
    let sizes = [number(1, 1), number(2, 1), number(3, 4)];
    express("bitwise", &[&sizes[..], &[value(4, &bits), value(5, &[0; 4])]].concat())
}

/// Go on if connection tracking has one of these bits.
fn tracked(key: u32, bits: u32) -> Vec<Vec<u8>> {
    let load = express("ct", &[number(2, key), number(1, 1)]);
    vec![load, mask(bits.to_ne_bytes()), differs(&[0; 4])]
}

/// Go on if the packet is from there.
fn is_from(network: Ipv4Addr, length: u8) -> Vec<Vec<u8>> {
    let bits = u32::MAX << (32 - u32::from(length));
    vec![payload(NETWORK, 12, 4, 1), mask(bits.to_be_bytes()), equals(&network.octets())]
}

/// Go on if the registers, as from the first, are not in the set.
fn is_not_in(set: &str) -> Vec<u8> {
    express("lookup", &[number(2, 1), text(1, set), number(5, 1)])
}

fn accept() -> Vec<u8> {
    decide(&[number(1, 1)])
}

fn drop() -> Vec<u8> {
    decide(&[number(1, 0)])
}

/// Go on with the rules of `chain` (NFT_JUMP is -3).
fn jump(chain: &str) -> Vec<u8> {
    decide(&[number(1, (-3i32).cast_unsigned()), text(2, chain)])
}

fn decide(verdict: &[Vec<u8>]) -> Vec<u8> {
    express("immediate", &[number(1, 0), nested(2, &[nested(2, verdict)])])
}

fn masquerade() -> Vec<u8> {
    express("masq", &[])
}

/// The name of a link as the kernel compares it: with room for 15 letters and a 0.
pub fn link(name: &str) -> [u8; 16] {
    let mut all = [0; 16];
    all.iter_mut().zip(name.bytes().take(15)).for_each(|(to, byte)| *to = byte);
    all
}
