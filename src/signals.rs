//! Which signal is meant?

use stage::{Error, Result};

use crate::sys;

/// `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`: its number.
pub fn read(text: &str) -> Result<i32> {
    let upper = text.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = name.parse().ok().or_else(|| sys::signal_number(name));
    let (first, last) = sys::real_time_signals();
    let offset = |text: &str, sign: char| {
        if text.is_empty() { Some(0) } else { text.strip_prefix(sign)?.parse().ok() }
    };
    let of_first = name.strip_prefix("RTMIN").and_then(|rest| offset(rest, '+'));
    let of_last = name.strip_prefix("RTMAX").and_then(|rest| offset(rest, '-'));
    let number = number
        .or_else(|| of_first.and_then(|by: i32| first.checked_add(by)))
        .or_else(|| of_last.and_then(|by: i32| last.checked_sub(by)));
    number.filter(|number| (1..=last).contains(number)).ok_or_else(|| {
        Error::input(format!("there is no signal {text:?}"))
            .hint("a name as in `kill -l`, such as TERM, or a number, such as 15")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in
            [("TERM", 15), ("SIGKILL", 9), ("sigusr1", 10), ("2", 2), ("RTMIN+3", 37)]
        {
            assert_eq!(read(text), Ok(number), "{text}");
        }
        for wrong in ["", "0", "-1", "65", "99", "SIG", "NOPE", "RTMIN-1", "RTMAX+1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
