//! How does a test wait for what announces itself to nobody?
//!
//! A screen, a folder of /proc: there is no descriptor to wait on, so that we look again
//! and again, until it is there or a deadline has passed. This is the only such place.

use std::thread;
use std::time::{Duration, Instant};

/// Far longer than anything takes here, even on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Look until there is an answer; fail with `what` when none comes.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, look).unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// Look until there is an answer, but no longer than `patience`.
pub fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let answer = look();
        if answer.is_some() || start.elapsed() > patience {
            return answer;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
