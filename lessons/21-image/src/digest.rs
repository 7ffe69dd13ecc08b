//! How is content named so that nobody can put other content in its place?
//!
//! By its SHA-256 sum: whoever has the name can tell whether the content is the right one, and
//! two copies of one content have one name. Read descriptor.md, "Digests".

use std::fmt::{self, Display};
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use stage::{Error, Result};

use crate::shown;

const ALGORITHM: &str = "sha256:";
/// Hexadecimal digits in the sum.
const DIGITS: usize = 64;

/// The name of some content: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The name of `content`.
    pub fn of(content: &[u8]) -> Digest {
        Digest::from_sum(Sha256::new_with_prefix(content))
    }

    /// Read one that somebody gave us. It becomes part of a path: nothing else may be in it.
    pub fn parse(text: &str) -> Result<Digest> {
        let is_digit =
            |letter: u8| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter);
        match text.strip_prefix(ALGORITHM) {
            Some(sum) if sum.len() == DIGITS && sum.bytes().all(is_digit) => {
                Ok(Digest(text.into()))
            }
            _ => Err(Error::input(format!(
                "\"{}\" is no digest: sha256: and {DIGITS} hexadecimal digits",
                shown(text)
            ))),
        }
    }

    /// The digits alone.
    pub fn hex(&self) -> &str {
        &self.0[ALGORITHM.len()..]
    }

    /// As many digits as people are shown.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    fn from_sum(sum: Sha256) -> Digest {
        let digits: String =
            sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Digest(format!("{ALGORITHM}{digits}"))
    }
}

impl Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Digest> {
        Digest::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

/// Adds up what passes through it on its way from a reader, or to a writer.
pub struct Summing<T> {
    inner: T,
    sum: Sha256,
    length: u64,
}

impl<T> Summing<T> {
    /// Nothing has passed yet.
    pub fn new(inner: T) -> Summing<T> {
        Summing { inner, sum: Sha256::new(), length: 0 }
    }

    /// The name of what has passed, and how many bytes it was; and what it passed through.
    pub fn finish(self) -> (Digest, u64, T) {
        (Digest::from_sum(self.sum), self.length, self.inner)
    }

    /// The name of what has passed so far, and how many bytes it was.
    pub fn so_far(&self) -> (Digest, u64) {
        (Digest::from_sum(self.sum.clone()), self.length)
    }

    /// Count what passes by another way.
    pub fn count(&mut self, bytes: &[u8]) {
        self.sum.update(bytes);
        self.length += bytes.len() as u64;
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.count(&buffer[..length]);
        Ok(length)
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.count(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of nothing, as sha256sum(1) has it.
    const NOTHING: &str =
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn sums_are_sha256sums() {
        assert_eq!(Digest::of(b"").to_string(), NOTHING);
        let mut summing = Summing::new(&b"some content"[..]);
        io::copy(&mut summing, &mut io::sink()).unwrap();
        let (digest, length, _) = summing.finish();
        assert_eq!((digest, length), (Digest::of(b"some content"), 12));
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_digest() {
        let climbing = format!("sha256:../{}", "a".repeat(61));
        let upper = NOTHING.to_uppercase();
        for wrong in ["", "sha256:", "sha512:00", &NOTHING[7..], &climbing, &upper] {
            assert!(Digest::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Digest::parse(NOTHING).unwrap().short(), "e3b0c44298fc");
    }
}
