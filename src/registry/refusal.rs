//! Why does a registry not give what it is asked for?
//!
//! The status says it roughly, and a text perhaps more: the distribution specification, "Error
//! Codes".

use image::shown;
use serde_json::Value;

/// What `status` says about `what` was asked for.
pub(super) fn words(status: u16, what: &str) -> String {
    match status {
        401 => format!("no {what} for whom it does not know"),
        403 => format!("no {what} for us"),
        404 => format!("there is no {what}"),
        429 => "it has been asked too often".into(),
        500.. => format!("it answers {status}"),
        _ => format!("no {what}: it answers {status}"),
    }
}

/// What the registry adds in its own words, fit for our line.
pub(super) fn reason(text: &[u8]) -> Option<String> {
    let said: Value = serde_json::from_slice(text).ok()?;
    let first = said.get("errors")?.get(0)?;
    let part = |name: &str| first.get(name)?.as_str().map(shown);
    let (code, message) = (part("code")?, part("message").unwrap_or_default());
    Some(format!(" ({})", format!("{code} {message}").trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_has_no_say_in_the_shape_of_the_line() {
        let text = r#"{"errors": [{"code": "DENIED", "message": "a\n\u001b[2J"}]}"#;
        assert_eq!(reason(text.as_bytes()).unwrap(), r" (DENIED a\n\u{1b}[2J)");
        assert_eq!(reason(br#"{"errors": [{"code": "DENIED"}]}"#).unwrap(), " (DENIED)");
        for other in ["", "<html>", "{}", r#"{"errors": []}"#, r#"{"errors": [{}]}"#] {
            assert_eq!(reason(other.as_bytes()), None, "{other}");
        }
    }
}
