//! How does a child tell its parent what it saw, or what went wrong?
//!
//! Over a pipe, a message at a time: its kind, its size, then texts, each behind its own
//! size. Pipes deliver bytes, not messages (pipe(7)), so the reader collects them until a
//! message is whole.

use crate::{Error, Evidence};

/// What a child says on the pipe.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// This is what I see; I wait until you have looked, too.
    Evidence(Evidence),
    /// This went wrong, and I end.
    Failure(Error),
}

impl Message {
    /// The bytes for the pipe.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, fields) = match self {
            Message::Evidence(evidence) => (b'e', evidence.to_fields()),
            Message::Failure(error) => (b'f', error.to_fields()),
        };
        let mut body = Vec::new();
        for field in fields {
            body.extend(size_of_text(field.len()));
            body.extend(field.as_bytes());
        }
        let mut bytes = vec![kind];
        bytes.extend(size_of_text(body.len()));
        bytes.extend(body);
        bytes
    }

    /// Take the first whole message out of `bytes`, if there is one.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Message> {
        let body_start = 1 + SIZE;
        let size = read_size(bytes.get(1..body_start)?);
        let body = bytes.get(body_start..body_start + size)?;
        let fields = split(body);
        let message = match bytes[0] {
            b'e' => Message::Evidence(Evidence::from_fields(&fields)),
            _ => Message::Failure(Error::from_fields(&fields)),
        };
        bytes.drain(..body_start + size);
        Some(message)
    }
}

const SIZE: usize = size_of::<u32>();

fn size_of_text(len: usize) -> [u8; SIZE] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

fn read_size(bytes: &[u8]) -> usize {
    let size = bytes.try_into().map_or(0, u32::from_le_bytes);
    size as usize
}

fn split(mut body: &[u8]) -> Vec<String> {
    let mut fields = Vec::new();
    while body.len() >= SIZE {
        let (size, rest) = body.split_at(SIZE);
        let (field, rest) = rest.split_at(read_size(size).min(rest.len()));
        fields.push(String::from_utf8_lossy(field).into_owned());
        body = rest;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_or_not_at_all() {
        let mut evidence = Evidence::default();
        evidence.record("hostname", "container\nwith a line break");
        let sent = Message::Evidence(evidence);
        let failure = Message::Failure(Error::input("no such program").status(127));
        let wire = [sent.encode(), failure.encode()].concat();
        let mut seen = Vec::new();
        let mut arrived = Vec::new();
        for byte in wire {
            arrived.push(byte);
            seen.extend(Message::take(&mut arrived));
        }
        assert_eq!(seen, [sent, failure]);
        assert!(arrived.is_empty());
    }
}
