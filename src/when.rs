//! Which moment does somebody mean by `--since` and `--until`?
//!
//! A time, `2026-11-22T17:14:09Z` or less of it; seconds since 1970; or how long ago, `1h30m`:
//! Docker's ways to say it. All that is counted here is nanoseconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use stage::{Error, Result};

/// Nanoseconds in a second.
const SECOND: f64 = 1e9;

/// Go's units of time, in seconds. Those that begin like others come first.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// This moment. It fits until the year 2262.
pub fn now() -> i64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX)
}

/// The moment that `text`, typed after `flag`, means.
pub fn read(flag: &str, text: &str) -> Result<i64> {
    let ago = duration(text).map(|seconds| now().saturating_sub(nanos(seconds)));
    let said = ago.or_else(|| unix(text)).or_else(|| time(text));
    said.ok_or_else(|| {
        Error::input(format!("{flag} {text:?} is no time")).hint(
            "2026-11-22T17:14:09Z, 2026-11-22, 1795367649 (seconds since 1970), 10m (ago)",
        )
    })
}

/// That moment as Docker's events have it: RFC 3339, by the clock on our wall.
pub fn told(moment: i64) -> String {
    let text = here(moment).strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string();
    match text.strip_suffix("+00:00") {
        Some(text) => format!("{text}Z"),
        None => text,
    }
}

/// The same as Docker's lists have it: `2026-11-22 17:14:09 +0000 UTC`.
pub fn listed(moment: i64) -> String {
    here(moment).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

fn here(moment: i64) -> Zoned {
    let moment = Timestamp::from_nanosecond(moment.into()).unwrap_or_default();
    moment.to_zoned(TimeZone::system())
}

fn nanos(seconds: f64) -> i64 {
    (seconds * SECOND) as i64
}

/// `1h30m`: seconds, as Go reads them (time.ParseDuration). A number alone needs no unit only if
/// it is 0.
fn duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let mut seconds = (!rest.is_empty()).then_some(0.0)?;
    while !rest.is_empty() {
        let is_digit = |letter: char| letter.is_ascii_digit() || letter == '.';
        let (number, behind) = rest.split_at(rest.find(|it| !is_digit(it))?);
        let (unit, size) = UNITS.iter().find(|(unit, _)| behind.starts_with(unit))?;
        seconds += number.parse::<f64>().ok()? * size;
        rest = &behind[unit.len()..];
    }
    Some(sign * seconds)
}

/// `1795367649.5`: to the nanosecond, which a floating-point number could not hold.
fn unix(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = part.len() <= 9 && part.chars().all(|it| it.is_ascii_digit());
    let part: i64 = format!("{part:0<9}").parse().ok().filter(|_| is_number)?;
    whole.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(part)
}

fn time(text: &str) -> Option<i64> {
    let moment = text.parse::<Timestamp>().ok().or_else(|| {
        // Without an offset, it is meant by the clock on our wall.
        let civil = text.parse::<DateTime>().ok()?;
        civil.to_zoned(TimeZone::system()).ok().map(|zoned| zoned.timestamp())
    });
    moment.and_then(|moment| i64::try_from(moment.as_nanosecond()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_many_ways() {
        let at = |text| read("--since", text).ok();
        assert_eq!(at("1.000000001"), Some(1_000_000_001));
        assert_eq!(at("7"), Some(7_000_000_000));
        assert_eq!(at("1970-01-01T00:00:01.5Z"), Some(1_500_000_000));
        assert_eq!(at("1970-01-01T01:00:00+01:00"), Some(0));
        let (before, hour) = (now(), 3600 * 1_000_000_000);
        let ago = at("59m30s30000ms").unwrap() + hour;
        assert!((before..=now()).contains(&ago), "{ago}");
        assert!(at("-1h").unwrap() >= before + hour);
        for day in ["2026-11-22", "2026-11-22T17:14:09", "2026-11-22T17:14"] {
            assert!(at(day).is_some(), "{day}");
        }
        for wrong in
            ["", "-", "yesterday", "1x", "h", "1.0000000001", "2026-13-01", "1..5"]
        {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_told_can_be_read() {
        let moment = 1_795_367_649_000_000_042;
        assert_eq!(read("--since", &told(moment)), Ok(moment));
        assert!(listed(moment).starts_with("2026-11-2"), "{}", listed(moment));
    }
}
