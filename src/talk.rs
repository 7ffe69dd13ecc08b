//! What do a container's monitor and its visitors say to each other?
//!
//! Whoever keeps a container listens at `attach` in its folder. Each packet is one message: a
//! letter, and what belongs to it.

use std::os::fd::OwnedFd;
use std::path::Path;

use stage::Result;
use tty::Size;

use crate::sys::socket;

/// What the socket is called in a container's folder.
pub const SOCKET: &str = "attach";

/// The most bytes of input or output in one message.
pub const MOST: usize = socket::PACKET - 1;

/// One of the two streams that a container writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Stream {
    Out,
    Err,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A visitor: let me hear what it writes from now on.
    Listen,
    /// A visitor: this is typed.
    Typed(Vec<u8>),
    /// A visitor: nothing more will be.
    NoMore,
    /// A visitor: my window is this large.
    Resize(Size),
    /// A visitor: send it this signal.
    Signal(i32),
    /// A visitor: it is to end, and not to be started again.
    LetEnd,
    /// Who has started it: I leave, and it stays.
    Detach,
    /// The monitor: it has written this.
    Written(Stream, Vec<u8>),
    /// The monitor: it has ended, with this status, and all about it is tidied up.
    Ended(u8),
}

impl Message {
    /// As a packet.
    pub fn encode(&self) -> Vec<u8> {
        let with = |letter: u8, rest: &[u8]| [&[letter], rest].concat();
        match self {
            Message::Listen => with(b'l', &[]),
            Message::Typed(bytes) => with(b't', bytes),
            Message::NoMore => with(b'n', &[]),
            Message::Resize(Size { rows, columns }) => {
                with(b'r', &[rows.to_be_bytes(), columns.to_be_bytes()].concat())
            }
            Message::Signal(number) => with(b's', &number.to_be_bytes()),
            Message::LetEnd => with(b'e', &[]),
            Message::Detach => with(b'd', &[]),
            Message::Written(Stream::Out, bytes) => with(b'1', bytes),
            Message::Written(Stream::Err, bytes) => with(b'2', bytes),
            Message::Ended(status) => with(b'x', &[*status]),
        }
    }

    /// From a packet. None for what is none of ours.
    pub fn decode(packet: &[u8]) -> Option<Message> {
        let (letter, rest) = packet.split_first()?;
        Some(match letter {
            b'l' => Message::Listen,
            b't' => Message::Typed(rest.to_vec()),
            b'n' => Message::NoMore,
            b'r' => {
                let (rows, columns) = rest.split_at_checked(2)?;
                let number = |bytes: &[u8]| bytes.try_into().ok().map(u16::from_be_bytes);
                Message::Resize(Size { rows: number(rows)?, columns: number(columns)? })
            }
            b's' => Message::Signal(i32::from_be_bytes(rest.try_into().ok()?)),
            b'e' => Message::LetEnd,
            b'd' => Message::Detach,
            b'1' => Message::Written(Stream::Out, rest.to_vec()),
            b'2' => Message::Written(Stream::Err, rest.to_vec()),
            b'x' => Message::Ended(*rest.first()?),
            _ => return None,
        })
    }
}

/// A visit to whoever keeps the container with this `folder`. None if nobody does.
pub fn visit(folder: &Path) -> Result<Option<OwnedFd>> {
    socket::call(folder, SOCKET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_as_they_were() {
        for message in [
            Message::Listen,
            Message::Typed(b"ls\n".to_vec()),
            Message::NoMore,
            Message::Resize(Size { rows: 24, columns: 300 }),
            Message::Signal(15),
            Message::LetEnd,
            Message::Detach,
            Message::Written(Stream::Out, vec![0, 255]),
            Message::Written(Stream::Err, Vec::new()),
            Message::Ended(137),
        ] {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
        for broken in [&b""[..], b"r\0", b"r\0\0\0\0\0", b"s\0", b"x", b"?"] {
            assert_eq!(Message::decode(broken), None, "{broken:?}");
        }
    }
}
