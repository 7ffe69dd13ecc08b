//! Does `lab check` judge the exercises about limits well on each version of cgroups?

use crate::checks::{Lesson, assert_calls_are_missed, assert_solutions_pass};

#[test]
fn every_solution_passes() {
    assert_solutions_pass(&Lesson::those(true));
}

#[test]
fn every_needed_call_is_missed() {
    assert_calls_are_missed(&Lesson::those(true));
}
