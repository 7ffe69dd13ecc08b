//! How does one leave a container without ending it?
//!
//! In raw mode every key goes to the container, so that the way out has to be a key, too: a
//! sequence that is seldom typed. While what has been typed may be its beginning, it is held
//! back. Docker has Ctrl-P Ctrl-Q, and `--detach-keys` for others.

use stage::{Error, Result};

/// The keys by which one leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachKeys {
    keys: Vec<u8>,
    /// What was typed of them, and is not passed on yet.
    held: Vec<u8>,
}

impl DetachKeys {
    /// Read keys, separated by commas, each a character or `ctrl-` and one of a-z, @, [, \, ],
    /// ^ and _.
    pub fn parse(text: &str) -> Result<DetachKeys> {
        let keys = text.split(',').map(|name| code_of(name).ok_or(name));
        let keys = keys.collect::<Result<Vec<u8>, &str>>().map_err(|name| {
            Error::input(format!("{name:?} is no key to detach by")).hint(
                "keys are like ctrl-p,ctrl-q: a letter, or ctrl- and one of a-z@[\\]^_",
            )
        })?;
        Ok(DetachKeys { keys, held: Vec::new() })
    }

    /// Feed what was typed; get what is to be passed on, and whether the keys were among it.
    /// What follows them is for nobody.
    pub fn feed(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::new();
        for byte in typed {
            self.held.push(*byte);
            // What cannot become the sequence any more was meant for the container; its end
            // may be a beginning.
            while !self.keys.starts_with(&self.held) {
                passed.push(self.held.remove(0));
            }
            if self.held == self.keys {
                self.held.clear();
                return (passed, true);
            }
        }
        (passed, false)
    }
}

/// Docker's: Ctrl-P Ctrl-Q.
impl Default for DetachKeys {
    fn default() -> DetachKeys {
        DetachKeys { keys: vec![control(b'p'), control(b'q')], held: Vec::new() }
    }
}

/// The byte that a key sends.
fn code_of(name: &str) -> Option<u8> {
    match (name.as_bytes(), name.strip_prefix("ctrl-").map(str::as_bytes)) {
        (&[key], _) if key.is_ascii() => Some(key),
        (_, Some(&[key @ (b'a'..=b'z' | b'@' | b'[' | b'\\' | b']' | b'^' | b'_')])) => {
            Some(control(key))
        }
        _ => None,
    }
}

/// Ctrl takes away all but the last five bits: ascii(7).
fn control(key: u8) -> u8 {
    key & 0x1f
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type `parts` one after the other: what is passed on, and whether one leaves.
    fn typing(keys: &str, parts: &[&str]) -> Result<(String, bool)> {
        let mut keys = DetachKeys::parse(keys)?;
        let (mut all, mut left) = (Vec::new(), false);
        for part in parts {
            let (passed, leaves) = keys.feed(part.as_bytes());
            all.extend(passed);
            left |= leaves;
        }
        Ok((String::from_utf8_lossy(&all).into_owned(), left))
    }

    #[test]
    fn keys_are_named_as_dockers() -> Result<()> {
        let names = "ctrl-@,ctrl-a,ctrl-z,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_,a,~";
        let codes = [0, 1, 26, 27, 28, 29, 30, 31, b'a', b'~'];
        assert_eq!(DetachKeys::parse(names)?.keys, codes);
        assert_eq!(DetachKeys::parse("ctrl-p,ctrl-q")?, DetachKeys::default());
        Ok(())
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "ctrl-", "ctrl-P", "ctrl-pq", "ctrl-p,", "pq", "ctrl-1", "é"] {
            assert!(DetachKeys::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_sequence_is_found_however_it_arrives() -> Result<()> {
        for parts in [&["ls\x10\x11ps"][..], &["ls", "\x10", "\x11"], &["ls\x10", "\x11"]]
        {
            assert_eq!(typing("ctrl-p,ctrl-q", parts)?, ("ls".into(), true));
        }
        Ok(())
    }

    #[test]
    fn what_only_begins_like_it_is_passed_on() -> Result<()> {
        assert_eq!(typing("ctrl-p,ctrl-q", &["\x10"])?, ("".into(), false));
        assert_eq!(typing("ctrl-p,ctrl-q", &["\x10", "x"])?, ("\x10x".into(), false));
        assert_eq!(typing("ctrl-p,ctrl-q", &["\x10\x10\x11"])?, ("\x10".into(), true));
        assert_eq!(typing("a,a,b", &["a", "aab"])?, ("a".into(), true));
        assert_eq!(typing("ctrl-q", &["a\x11b"])?, ("a".into(), true));
        Ok(())
    }
}
