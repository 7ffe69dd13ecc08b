//! How many bytes are that?

use std::ops::RangeInclusive;

pub const MIB: u64 = 1 << 20;

/// What the lesson takes for a limit: below, a write at a time is no stream any more.
const RANGE: RangeInclusive<u64> = 64 << 10..=1 << 30;

/// Read a limit such as `512K`, `1M` or `1048576`.
pub fn parse_limit(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" => Some(0),
        "K" | "k" => Some(10),
        "M" | "m" => Some(20),
        "G" | "g" => Some(30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok();
    let bytes = number.zip(unit).and_then(|(number, bits)| number.checked_mul(1 << bits));
    let allowed = bytes.filter(|bytes| RANGE.contains(bytes));
    allowed.ok_or_else(|| "from 64K to 1G bytes per second, such as 512K or 1M".into())
}

/// Bytes as we show them.
pub fn mib(bytes: f64) -> String {
    format!("{:.2} MiB", bytes / MIB as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_units() {
        assert_eq!(parse_limit("65536"), Ok(64 << 10));
        assert_eq!(parse_limit("512K"), Ok(512 << 10));
        assert_eq!(parse_limit("1g"), Ok(1 << 30));
        for wrong in
            ["", "M", "1", "63K", "2G", "1MB", "-1M", "1.5M", "99999999999G", "é"]
        {
            assert!(parse_limit(wrong).is_err(), "{wrong}");
        }
    }
}
