//! How does a test wait for what announces itself to nobody?
//!
//! A screen, a folder of /proc: there is no descriptor to wait on, so that we look again
//! and again, until it is there or a deadline has passed. This is the only such place.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

/// Far longer than anything takes here, even on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Look until there is an answer; fail with `what` when none comes.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, look).unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// How many times as long a machine may take as others, such as one that is emulated: whoever
/// starts the tests there knows. A deadline is for what hangs, and can be far away.
pub fn slowness() -> u32 {
    let told = env::var("FAKEDOCKER_TEST_SLOWNESS").ok();
    told.and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Look until there is an answer, but no longer than `patience`, on a slow machine many times
/// that.
pub fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let (start, patience) = (Instant::now(), patience * slowness());
    loop {
        let answer = look();
        if answer.is_some() || start.elapsed() > patience {
            return answer;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
