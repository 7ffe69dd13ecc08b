//! What does a tar archive say that its headers have no room for?
//!
//! Records such as `path=…`, `mtime=…` and `SCHILY.xattr.security.capability=…`, in the
//! PAX format: pax(1), "pax Extended Header". Files with holes are GNU tar's own
//! addition: its manual, "Storing Sparse Files".

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::str::{self, FromStr};

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
            let name = key.strip_prefix(b"SCHILY.xattr.")?;
            Some((OsString::from_vec(name.to_vec()), value.clone()))
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
    fn times_have_fractions_and_may_be_before_1970() {
        assert_eq!(time(b"12"), Some((12, 0)));
        assert_eq!(time(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"soon"), None);
    }
}
