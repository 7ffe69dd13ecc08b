//! What if a command goes wrong at any one of its system calls?
//!
//! Each point of a recorded run is tried: a process of the engine's is killed there, or the call
//! fails. Then comes one ordinary command, and the machine and the store must be as before, and
//! good for another container. A failing call ends in one line, or does no harm to the result.
//!
//! An ordinary run of the tests takes some points of each command, evenly spread.
//! FAKEDOCKER_FAULTS=all tries all; `FAKEDOCKER_FAULTS='rm'` all of one command, and
//! `FAKEDOCKER_FAULTS='rm:kill:engine:openat:17'` only this one. FAKEDOCKER_FAULTS_START says
//! with which point to begin.
//!
//! | file | its question |
//! |---|---|
//! | `cases.rs` | which commands are tried, and what belongs to them? |
//! | `plan.rs` | which points are to be tried, and what is told of them? |
//! | `trial.rs` | what is left when a command goes wrong at one point, and what was said? |

use crate::support::faults::point::Fault;
use crate::support::machine::undisturbed;
use crate::support::registry::Real;
use crate::support::site::Site;

mod cases;
mod plan;
mod trial;

use cases::{CASES, Case};
use plan::{Asked, Told};
use trial::Trial;

fn try_case(case: &Case, registry: &str, asked: &Asked) -> Vec<String> {
    let (mut told, mut trial) = (Told::of(case), Trial::new(case, registry));
    let calls = trial.record();
    for fault in [Fault::Kill, Fault::Fail] {
        let points = told.points(fault, &calls);
        for point in asked.choose(fault, points) {
            let (reached, wrong) = trial.try_at(&point);
            told.count("tried", 1);
            told.count("passed by", usize::from(!reached));
            told.note(&point, &wrong);
            if !wrong.is_empty() {
                // What is broken is not to be blamed on the next point.
                drop(trial);
                trial = Trial::new(case, registry);
            }
        }
    }
    told.sum_up();
    told.failures
}

#[test]
fn what_goes_wrong_leaves_nothing() {
    let (asked, mut failures) = (Asked::read(), Vec::new());
    let cases: Vec<&Case> = CASES.iter().filter(|case| asked.concerns(case)).collect();
    assert!(!cases.is_empty(), "FAKEDOCKER_FAULTS is `all`, a command's name or a point");
    undisturbed(|| {
        let site = Site::new();
        site.host.host_all(|| {
            let registry = Real::start();
            let place = format!("127.0.0.1:{}", registry.port);
            for case in cases {
                failures.extend(try_case(case, &place, &asked));
            }
        });
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
