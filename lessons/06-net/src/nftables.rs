//! How does one speak to the kernel's packet filter?
//!
//! As to its links (netlink.rs): by messages over a socket, here one of NETLINK_NETFILTER. nft(8)
//! does nothing else. It makes of each rule a list of expressions: they load a packet's fields into
//! registers, compare what is there, and decide. `nft --debug=netlink` shows them. All messages
//! between the beginning and the end of a batch are carried out, or none.
//!
//! The numbers are those of <linux/netfilter/nf_tables.h> and <linux/netfilter/nfnetlink.h>; the
//! kernel's Documentation/netlink/specs/nftables.yaml says which attribute is where.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::errno::Errno;
use stage::{Error, Result};

/// The packets that a table is about (NFPROTO_IPV4, NFPROTO_BRIDGE).
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "as nft(8) calls them")]
pub enum Family {
    Ip = 2,
    Bridge = 7,
}

/// What a message is to do (NFT_MSG_...).
#[derive(Debug, Clone, Copy)]
enum Message {
    NewTable = 0,
    GetTable = 1,
    DelTable = 2,
    NewChain = 3,
    NewRule = 6,
    NewSet = 9,
    NewElement = 12,
    DelElement = 14,
}

/// Attributes that all our messages have in the same place: the table, and the thing in it.
const TABLE: u16 = 1;
const NAME: u16 = 2;

/// Messages that are carried out together.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// What is asked for, by the messages' numbers.
    calls: Vec<String>,
}

/// A line to the packet filter of the network namespace that it was opened in.
pub struct Filter(Socket);

/// A table, while messages about it are written.
pub struct Table<'b> {
    batch: &'b mut Batch,
    family: Family,
    name: &'b str,
}

/// What a set is to hold; `len` is in bytes, and each part of a key fills whole registers.
pub struct Set<'s> {
    /// NFT_SET_...
    pub flags: u32,
    /// The numbers that nft(8) has for the types of its keys and its data, six bits each: for us
    /// it makes no difference, and `nft list` can show them.
    pub types: [u32; 2],
    /// The length of a key and of its data.
    pub lengths: [u32; 2],
    /// The lengths of the parts of a key, where they can be ranges.
    pub parts: &'s [u32],
}

/// One thing in a set.
#[derive(Default)]
pub struct Element {
    /// What it is found by.
    pub key: Vec<u8>,
    /// The last that it is found by, if it is a range.
    pub last: Option<Vec<u8>>,
    /// What is found.
    pub data: Option<Vec<u8>>,
}

/// Where a chain hangs: its kind, the hook, and who comes first there.
pub struct Hook(pub &'static str, pub u32, pub i32);

/// Of a set: it is known to one rule only; nobody changes it; its keys can be ranges; it is a map;
/// its keys have parts.
pub mod flag {
    #![allow(missing_docs, reason = "as in nf_tables.h")]
    pub const ANONYMOUS: u32 = 1;
    pub const CONSTANT: u32 = 2;
    pub const INTERVAL: u32 = 4;
    pub const MAP: u32 = 8;
    pub const CONCAT: u32 = 128;
}

impl Batch {
    /// Speak of the table `name`.
    pub fn table<'b>(&'b mut self, family: Family, name: &'b str) -> Table<'b> {
        Table { batch: self, family, name }
    }

    /// A header (netlink(7)), the family, and the attributes.
    fn push(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        attributes: &[u8],
    ) {
        let length = u32::try_from(16 + 4 + attributes.len()).unwrap_or(u32::MAX);
        let number = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        self.bytes.extend(number.to_ne_bytes());
        self.bytes.extend([0; 4]); // our address: the kernel knows it
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        self.bytes.extend(attributes);
    }
}

/// The part of the kernel that the messages of a batch are for.
const NFTABLES: u16 = 10;
/// What is around them.
const BEGIN: u16 = 16;
const END: u16 = 17;

impl Filter {
    /// Open a line.
    pub fn open() -> Result<Filter> {
        let failed = |error| {
            Error::io("socket(AF_NETLINK, SOCK_DGRAM, NETLINK_NETFILTER)", &error)
        };
        let socket = Socket::new(NETLINK_NETFILTER).map_err(failed)?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(failed)?;
        // Whatever the kernel has to say is there when it has taken our messages.
        socket.set_non_blocking(true).map_err(failed)?;
        Ok(Filter(socket))
    }

    /// Let the kernel carry out what `write` asks for: all of it, or nothing.
    pub fn apply(&self, write: impl FnOnce(&mut Batch)) -> Result<()> {
        let mut batch = Batch::default();
        let border = |batch: &mut Batch, kind| {
            batch.push(kind, 0, 0, NFTABLES, &[]);
            batch.calls.push("a batch for nf_tables".into());
        };
        border(&mut batch, BEGIN);
        write(&mut batch);
        border(&mut batch, END);
        let failed = |error| Error::io("send(NFNL_MSG_BATCH_BEGIN, ...)", &error);
        self.0.send(&batch.bytes, 0).map_err(failed)?;
        let mut refusal = None;
        // It complains of each message that it will not carry out, and only of those.
        while let Ok((answer, _)) = self.0.recv_from_full() {
            refusal = refusal.or(complaint(&answer, &batch.calls));
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Whether there is a table called `name`.
    pub fn has_table(&self, family: Family, name: &str) -> Result<bool> {
        let mut question = Batch::default();
        question.table(family, name).push(Message::GetTable, 0, name, &[]);
        let failed = |error| Error::io("nf_tables(GetTable)", &error);
        self.0.send(&question.bytes, 0).map_err(failed)?;
        let (answer, _) = self.0.recv_from_full().map_err(failed)?;
        Ok(answer.get(4..6)
            == Some(&(NFTABLES << 8 | Message::NewTable as u16).to_ne_bytes()))
    }
}

/// What `answer` says against one of our `calls`: behind the header is an errno, then our header.
fn complaint(answer: &[u8], calls: &[String]) -> Option<Error> {
    let number = |at: usize| {
        let bytes = answer.get(at..at + 4)?.try_into().ok()?;
        Some(i32::from_ne_bytes(bytes))
    };
    let (which, errno) = (number(8)?, number(16)?);
    let call = calls.get(usize::try_from(which).ok()?)?;
    (errno != 0).then(|| Error::call(call, Errno::from_raw(-errno)))
}

impl Table<'_> {
    fn push(&mut self, message: Message, flags: u16, what: &str, attributes: &[Vec<u8>]) {
        let kind = NFTABLES << 8 | message as u16;
        let table = text(TABLE, self.name);
        let attributes = [&[table], attributes].concat().concat();
        self.batch.push(kind, flags, self.family as u8, 0, &attributes);
        self.batch.calls.push(format!("nf_tables({message:?} {what})"));
    }

    /// Make it, if it is not there.
    pub fn make(&mut self) {
        self.push(Message::NewTable, NLM_F_CREATE, self.name, &[]);
    }

    /// Remove it, with all that is in it.
    pub fn remove(&mut self) {
        // One that is not there cannot be removed, and the batch with it.
        self.make();
        self.push(Message::DelTable, 0, self.name, &[]);
    }

    /// Make a chain of rules.
    pub fn chain(&mut self, name: &str, hook: Option<Hook>) {
        let mut all = vec![text(3, name)];
        if let Some(Hook(kind, place, priority)) = hook {
            all.push(nested(
                4,
                &[number(1, place), attribute(2, &priority.to_be_bytes())],
            ));
            all.push(text(7, kind));
        }
        self.push(Message::NewChain, NLM_F_CREATE, name, &all);
    }

    /// Put a rule at the end of `chain`.
    pub fn rule(&mut self, chain: &str, expressions: &[Vec<u8>]) {
        let all = [text(NAME, chain), nested(4, expressions)];
        self.push(Message::NewRule, NLM_F_CREATE | NLM_F_APPEND, chain, &all);
    }

    /// Make a set.
    pub fn set(&mut self, name: &str, set: &Set) {
        let id = self.next();
        self.make_set(name, id, set);
    }

    fn make_set(&mut self, name: &str, id: u32, set: &Set) {
        let mut all = vec![text(NAME, name), number(3, set.flags)];
        all.extend([number(4, set.types[0]), number(5, set.lengths[0])]);
        if set.flags & flag::MAP != 0 {
            all.extend([number(6, set.types[1]), number(7, set.lengths[1])]);
        }
        if !set.parts.is_empty() {
            let parts = set.parts.iter().map(|length| nested(1, &[number(1, *length)]));
            all.push(nested(9, &[nested(2, &parts.collect::<Vec<_>>())]));
        }
        all.push(number(10, id));
        self.push(Message::NewSet, NLM_F_CREATE, name, &all);
    }

    /// An expression: what is in the first register is one of `keys`, whose type nft(8) has a
    /// number for. The set that holds them has no name.
    pub fn is_among(&mut self, keys: &[&[u8]], kind: u32, inverted: bool) -> Vec<u8> {
        let (id, name) = (self.next(), "__set%d");
        let flags = flag::ANONYMOUS | flag::CONSTANT;
        let length = keys.first().map_or(0, |key| key.len());
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.make_set(
            name,
            id,
            &Set { flags, types: [kind, 0], lengths: [length, 0], parts: &[] },
        );
        let element = |key: &&[u8]| Element { key: key.to_vec(), ..Element::default() };
        let elements: Vec<Element> = keys.iter().map(element).collect();
        self.elements(Message::NewElement, name, Some(id), &elements);
        express(
            "lookup",
            &[number(2, 1), text(1, name), number(4, id), number(5, inverted.into())],
        )
    }

    /// A number that no other set of the batch has.
    fn next(&self) -> u32 {
        u32::try_from(self.batch.calls.len()).unwrap_or(u32::MAX)
    }

    /// Put elements into the set called `set`.
    pub fn add(&mut self, set: &str, elements: &[Element]) {
        self.elements(Message::NewElement, set, None, elements);
    }

    /// Take them out again.
    pub fn delete(&mut self, set: &str, elements: &[Element]) {
        self.elements(Message::DelElement, set, None, elements);
    }

    fn elements(
        &mut self,
        message: Message,
        set: &str,
        id: Option<u32>,
        elements: &[Element],
    ) {
        let element = |it: &Element| {
            let mut all = vec![value(1, &it.key)];
            all.extend(it.last.iter().map(|last| value(10, last)));
            all.extend(it.data.iter().map(|data| value(2, data)));
            nested(1, &all)
        };
        let elements: Vec<_> = elements.iter().map(element).collect();
        let mut all = vec![text(NAME, set), nested(3, &elements)];
        all.extend(id.map(|id| number(4, id)));
        self.push(message, NLM_F_CREATE, set, &all);
    }
}

/// An expression called `name`.
pub fn express(name: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    nested(1, &[text(1, name), nested(2, attributes)])
}

/// An attribute: its length, its number, what it says; the next one begins at four bytes.
pub fn attribute(number: u16, says: &[u8]) -> Vec<u8> {
    let length = 4 + says.len();
    let mut bytes = u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes().to_vec();
    bytes.extend(number.to_ne_bytes());
    bytes.extend(says);
    bytes.resize(length.next_multiple_of(4), 0);
    bytes
}

/// One that is made of others (NLA_F_NESTED).
pub fn nested(number: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    attribute(number | 1 << 15, &attributes.concat())
}

/// One that is a number.
pub fn number(number: u16, says: u32) -> Vec<u8> {
    attribute(number, &says.to_be_bytes())
}

/// One that is a text.
pub fn text(number: u16, says: &str) -> Vec<u8> {
    attribute(number, format!("{says}\0").as_bytes())
}

/// One that is what registers hold.
pub fn value(number: u16, says: &[u8]) -> Vec<u8> {
    nested(number, &[attribute(1, says)])
}
