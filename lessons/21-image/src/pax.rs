//! What does a tar archive say that its headers have no room for?
//!
//! Records such as `path=…`, `mtime=…` and `SCHILY.xattr.security.capability=…`, in the
//! PAX format: pax(1), "pax Extended Header". Files with holes are GNU tar's own
//! addition: its manual, "Storing Sparse Files".

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::str::{self, FromStr};

/// What the records of extended attributes begin with.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// A part of a file that is stored; what lies between such parts is a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where in the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// The records for one entry, or for all that follow.
#[derive(Debug, Default, Clone)]
pub struct Records(Vec<(Vec<u8>, Vec<u8>)>);

impl Records {
    /// Read `LENGTH KEY=VALUE\n`, repeated. None if it is something else.
    pub fn parse(mut bytes: &[u8]) -> Option<Records> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let space = bytes.iter().position(|&byte| byte == b' ')?;
            let length: usize = number(&bytes[..space])?;
            let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|&byte| byte == b'=')?;
            records.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
            bytes = &bytes[length..];
        }
        Some(Records(records))
    }

    /// Say `key=value`, too.
    pub fn add(&mut self, key: &str, value: impl Into<Vec<u8>>) {
        self.0.push((key.into(), value.into()));
    }

    /// Say that there is the extended attribute `name`.
    pub fn add_xattr(&mut self, name: &OsStr, value: Vec<u8>) {
        let mut key = XATTR.to_vec();
        for &byte in name.as_bytes() {
            match byte {
                // The key ends at the first of these: as GNU tar has it.
                b'=' => key.extend(b"%3D"),
                b'%' => key.extend(b"%25"),
                _ => key.push(byte),
            }
        }
        self.0.push((key, value));
    }

    /// All of them, as they stand in an archive.
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for (key, value) in &self.0 {
            let rest = [b" ", &key[..], b"=", value, b"\n"].concat();
            // The length counts its own digits.
            let mut length = rest.len();
            while length != rest.len() + length.to_string().len() {
                length = rest.len() + length.to_string().len();
            }
            text.extend(length.to_string().into_bytes());
            text.extend(rest);
        }
        text
    }

    /// These records, and then `more`, which count more.
    pub fn and(&self, more: Records) -> Records {
        Records(self.0.iter().cloned().chain(more.0).collect())
    }

    /// The bytes in all of them.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// The last value of `key`. An empty one takes back what was said before.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let found = self.0.iter().rfind(|(name, _)| name == key.as_bytes());
        found.map(|(_, value)| &value[..]).filter(|value| !value.is_empty())
    }

    /// The extended attributes (xattr(7)).
    pub fn xattrs(&self) -> Vec<(OsString, Vec<u8>)> {
        let xattrs = self.0.iter().filter_map(|(key, value)| {
            let name = unescaped(key.strip_prefix(XATTR)?);
            Some((OsString::from_vec(name), value.clone()))
        });
        xattrs.collect()
    }

    /// Is the list of extents at the beginning of the contents (format 1.0)?
    pub fn extents_are_stored(&self) -> bool {
        self.get("GNU.sparse.major") == Some(b"1")
    }

    /// The extents in formats 0.1, one list, and 0.0, a record for each number.
    pub fn extents(&self) -> Option<Vec<Extent>> {
        if let Some(list) = self.get("GNU.sparse.map") {
            return pairs(&numbers(list.split(|&byte| byte == b','))?);
        }
        self.get("GNU.sparse.numblocks")?;
        let keys = [&b"GNU.sparse.offset"[..], b"GNU.sparse.numbytes"];
        let values = self.0.iter().filter(|(key, _)| keys.contains(&&key[..]));
        pairs(&numbers(values.map(|(_, value)| &value[..]))?)
    }
}

fn unescaped(mut name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while let [first, rest @ ..] = name {
        let (byte, rest) = match name {
            [b'%', b'3', b'D', rest @ ..] => (b'=', rest),
            [b'%', b'2', b'5', rest @ ..] => (b'%', rest),
            _ => (*first, rest),
        };
        plain.push(byte);
        name = rest;
    }
    plain
}

/// The extents in `offset, length, offset, length…`.
pub fn pairs(numbers: &[u64]) -> Option<Vec<Extent>> {
    let extents = numbers.chunks(2).map(|pair| match *pair {
        [offset, length] => Some(Extent { offset, length }),
        _ => None,
    });
    extents.collect()
}

fn numbers<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u64>> {
    texts.map(number).collect()
}

/// A decimal number.
pub fn number<T: FromStr>(text: &[u8]) -> Option<T> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// A time such as `1700000000.25`, in seconds and nanoseconds since 1970.
pub fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nine_digits: String =
        fraction.chars().chain("000000000".chars()).take(9).collect();
    let (whole, nanoseconds): (i64, u32) =
        (seconds.parse().ok()?, nine_digits.parse().ok()?);
    match seconds.starts_with('-') && nanoseconds > 0 {
        true => Some((whole.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        false => Some((whole, nanoseconds)),
    }
}

/// The same as text.
pub fn time_text((seconds, nanoseconds): (i64, u32)) -> String {
    let (sign, whole, fraction) = match (seconds, nanoseconds) {
        // The fraction counts from 1970, too: half a second before -1 is -1.5.
        (..0, 1..) => ("-", seconds.unsigned_abs() - 1, 1_000_000_000 - nanoseconds),
        (..0, 0) => ("-", seconds.unsigned_abs(), 0),
        _ => ("", seconds.unsigned_abs(), nanoseconds),
    };
    match fraction {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction:09}").trim_end_matches('0').into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_hold_any_byte_and_the_last_one_counts() {
        let records = Records::parse(b"9 path=a\n11 path=\n\0\n9 path=b\n").unwrap();
        assert_eq!(records.get("path"), Some(&b"b"[..]));
        let wrong: [&[u8]; 6] =
            [b"9 path=a", b"x", b"99 path=a\n", b"0 a=b\n", b"3 \n", b"-1 a=b\n"];
        for bytes in wrong {
            assert!(Records::parse(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_said_is_read() {
        for length in [1, 2, 3, 84, 85, 86, 87, 88, 980, 990, 1000] {
            let (mut said, value) = (Records::default(), [b'=', 0, b'\n'].repeat(length));
            said.add("path", value.clone());
            said.add_xattr(OsStr::new("user.a=b%3D"), value.clone());
            let read = Records::parse(&said.text()).unwrap();
            assert_eq!(read.get("path"), Some(&value[..]));
            assert_eq!(read.xattrs(), [("user.a=b%3D".into(), value)]);
        }
        for moment in [(0, 0), (7, 1), (-2, 750_000_000), (-1, 5), (i64::MAX, 0)] {
            assert_eq!(time(time_text(moment).as_bytes()), Some(moment));
        }
    }

    #[test]
    fn times_have_fractions_and_may_be_before_1970() {
        assert_eq!(time(b"12"), Some((12, 0)));
        assert_eq!(time(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"soon"), None);
    }
}
