//! When was that?
//!
//! Images say it by RFC 3339; people are told how long ago it was, in Docker's words.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Now, or what SOURCE_DATE_EPOCH says (seconds since 1970): then the same input makes the same
/// image (reproducible-builds.org, "SOURCE_DATE_EPOCH").
pub fn now() -> String {
    let said = epoch().and_then(|seconds| Timestamp::from_second(seconds).ok());
    said.unwrap_or_else(Timestamp::now).to_string()
}

/// This moment, to the nanosecond, whatever anybody says.
pub fn moment() -> String {
    format!("{:.9}", Timestamp::now())
}

/// What SOURCE_DATE_EPOCH says.
pub fn epoch() -> Option<i64> {
    std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok())
}

/// Seconds since 1970; None if `text` is no time.
pub fn seconds(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// The same in nanoseconds, to tell which of two was first.
pub fn nanoseconds(text: &str) -> Option<i128> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_nanosecond)
}

/// How long ago `text` was: `5 minutes ago`.
pub fn ago(text: Option<&str>) -> String {
    text.and_then(since).map_or_else(|| "N/A".into(), |time| format!("{time} ago"))
}

/// How much time has passed since `text`: `5 minutes`. None if that is no time.
pub fn since(text: &str) -> Option<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let then = seconds(text)?;
    let passed = i64::try_from(now).ok()?.saturating_sub(then);
    Some(duration(u64::try_from(passed).unwrap_or(0)))
}

/// As Docker's go-units has it (`HumanDuration`).
fn duration(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_dockers() {
        let hour = 3600;
        for (seconds, words) in [
            (0, "Less than a second"),
            (59, "59 seconds"),
            (89, "About a minute"),
            (45 * 60, "45 minutes"),
            (hour, "About an hour"),
            (47 * hour, "47 hours"),
            (13 * 24 * hour, "13 days"),
            (15 * 24 * hour, "2 weeks"),
            (700 * 24 * hour, "23 months"),
            (740 * 24 * hour, "2 years"),
        ] {
            assert_eq!(duration(seconds), words);
        }
    }

    #[test]
    fn times_have_offsets() {
        assert_eq!(seconds("1970-01-01T01:00:01.5+01:00"), Some(1));
        assert_eq!(seconds("yesterday"), None);
        // What tools write who do not want to say when.
        assert!(since("0001-01-01T00:00:00Z").is_some_and(|time| time.len() == 10));
    }
}
