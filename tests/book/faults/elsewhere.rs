//! What cannot be tried on this machine?

use crate::support::skip::skip;

#[test]
fn what_goes_wrong_leaves_nothing() {
    skip(
        "faults::what_goes_wrong_leaves_nothing",
        "how a system call is let fail is known for x86_64 only",
    );
}
