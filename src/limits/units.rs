//! How are amounts and lists of processors written?
//!
//! Amounts as Docker has them: a number, and the unit as a letter. Lists as the kernel has
//! them (cpuset(7), "List format").

use std::collections::BTreeSet;
use std::fs;

use stage::{Error, Result};

/// Where the kernel lists this machine's processors.
pub const CORES: &str = "/sys/devices/system/cpu/online";
/// And its memory nodes; it is not there where memory has no nodes.
pub const NODES: &str = "/sys/devices/system/node/online";

/// Powers of 1024, as in Docker.
const UNITS: [char; 5] = ['b', 'k', 'm', 'g', 't'];

/// `64m`, `1.5g`, `1024`: bytes, `least` or more.
pub fn bytes(flag: &str, text: &str, least: u64) -> Result<i64> {
    let wrong = |right: String| Error::input(format!("{flag} {text}: it takes {right}"));
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let unit = match &lower[digits.len()..] {
        "" => Some('b'),
        // As in "mb" and "mib".
        unit => unit.chars().next().filter(|it| {
            ["", "b", "ib"].contains(&&unit[it.len_utf8()..])
                && unit != "bb"
                && unit != "bib"
        }),
    };
    let power = unit.and_then(|unit| UNITS.iter().position(|it| *it == unit));
    let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
    let (Some(power), Some(number)) = (power, number) else {
        return Err(wrong("a number and b, k, m, g or t, such as 64m".into()));
    };
    let bytes = number * 1024f64.powi(power as i32);
    match bytes >= least as f64 && bytes < i64::MAX as f64 {
        true => Ok(bytes as i64),
        false => Err(wrong(format!("an amount from {} on", plain(least)))),
    }
}

/// As somebody would type it.
fn plain(bytes: u64) -> String {
    let fits = |power: &usize| bytes.is_multiple_of(1 << (10 * power));
    let power = (0..UNITS.len()).rev().find(fits).unwrap_or_default();
    format!("{}{}", bytes >> (10 * power), UNITS[power])
}

/// The numbers in a list such as `0-2,5`; None if it is none.
pub fn list(text: &str) -> Option<BTreeSet<u32>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        // No machine has as many, and nobody shall wait for a million of them.
        (first <= last && last < 1 << 16).then_some(first..=last)
    };
    let ranges = text.trim().split(',').map(range).collect::<Option<Vec<_>>>()?;
    Some(ranges.into_iter().flatten().collect())
}

/// What this machine has of those that `file` lists.
pub fn present(file: &str) -> BTreeSet<u32> {
    list(&shown(file)).unwrap_or_default()
}

/// The same as the kernel writes it.
pub fn shown(file: &str) -> String {
    let text = fs::read_to_string(file);
    text.map_or_else(|_| "0".into(), |text| text.trim().to_string())
}

/// An amount for people, in Docker's way: `64MiB`, `1.5GiB`.
pub fn in_words(bytes: u64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// The same in powers of 1000, as Docker has what is transferred: `1.2kB`.
pub fn in_decimals(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB"])
}

fn scaled(bytes: u64, base: f64, units: &[&str]) -> String {
    let (mut number, mut unit) = (bytes as f64, 0);
    while number >= base && unit + 1 < units.len() {
        number /= base;
        unit += 1;
    }
    // Four digits that matter, and no zeros behind the point.
    let decimals = (3 - (number.max(1.0).log10() as i32)).clamp(0, 3) as usize;
    let text = format!("{number:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_as_docker_has_them() {
        let read = |text| bytes("-m", text, 0).ok();
        assert_eq!(read("64m"), Some(64 << 20));
        assert_eq!(read("64MB"), Some(64 << 20));
        assert_eq!(read("1.5GiB"), Some(3 << 29));
        assert_eq!(read("1024"), Some(1024));
        assert_eq!(read("7b"), Some(7));
        for text in ["", "m", "-1", "1x", "1mx", "1bb", "1 m", "inf", "nan", "1e30", "ä"]
        {
            assert_eq!(read(text), None, "{text:?}");
        }
        let error = bytes("--memory", "1k", 6 << 20).unwrap_err();
        assert_eq!(error.to_string(), "--memory 1k: it takes an amount from 6m on");
    }

    #[test]
    fn lists_as_the_kernel_has_them() {
        assert_eq!(list("0-2,5\n"), Some(BTreeSet::from([0, 1, 2, 5])));
        for text in ["", ",", "1-", "2-1", "a", "0-4000000000", "-1"] {
            assert_eq!(list(text), None, "{text:?}");
        }
    }

    #[test]
    fn amounts_for_people() {
        assert_eq!(in_words(64 << 20), "64MiB");
        assert_eq!(in_words(1536), "1.5KiB");
        assert_eq!(in_words(0), "0B");
        assert_eq!(in_words(1_234_567), "1.177MiB");
        assert_eq!(in_decimals(1_234), "1.234kB");
    }
}
