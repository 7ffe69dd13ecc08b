//! What does `--json` print?
//!
//! One object a line (RFC 8259), all values texts, except a verdict's `proved` and its list
//! of checks. Small enough to write by hand: the first lesson need not wait for a library.

use crate::Verdict;

/// `{"name":"value",…}`
pub(crate) fn object(fields: &[(&str, &str)]) -> String {
    let pairs =
        fields.iter().map(|(name, value)| format!("{}:{}", text(name), text(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// The last event of a lesson.
pub(crate) fn verdict(verdict: &Verdict) -> String {
    let checks = verdict.checks.iter().map(|check| {
        object(&[
            ("what", &check.what),
            ("predicted", &check.predicted),
            ("observed", &check.observed),
            ("holds", if check.holds { "yes" } else { "no" }),
        ])
    });
    let skipped = verdict.skipped.iter().map(|reason| text(reason));
    format!(
        "{{\"event\":\"verdict\",\"claim\":{},\"proved\":{},\"checks\":[{}],\"skipped\":[{}]}}",
        text(&verdict.claim),
        verdict.proved(),
        checks.collect::<Vec<_>>().join(","),
        skipped.collect::<Vec<_>>().join(","),
    )
}

/// A text in quotes.
fn text(plain: &str) -> String {
    let mut quoted = String::from('"');
    for letter in plain.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            control if control < ' ' => quoted += &format!("\\u{:04x}", control as u32),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_controls_are_escaped() {
        let line = object(&[("call", "sethostname(\"a\\b\", 3)\n")]);
        assert_eq!(line, r#"{"call":"sethostname(\"a\\b\", 3)\u000a"}"#);
    }
}
