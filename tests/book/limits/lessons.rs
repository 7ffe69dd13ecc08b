//! Does each limit hold, on the version of cgroups that this machine has?
//!
//! Each lesson about a limit is played as a student would, and so are its further acts.

use crate::lessons::{acts_of, contained, lesson, run};
use crate::support::lessons;
use crate::support::machine::undisturbed;
use crate::support::skip::{UNTRIED, not_tried, skip};

/// Lessons 9 to 17 are about what a process can use.
pub fn is_about_a_limit(folder: &str) -> bool {
    let number = folder.split('-').next().and_then(|number| number.parse().ok());
    number.is_some_and(|number: u32| (9..=17).contains(&number))
}

/// A test for each of them, so that one that fails can be told from the others.
macro_rules! tests {
    ($($test:ident $name:literal)*) => {
        const TESTED: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                prove($name);
            }
        )*
    };
}

tests! {
    cgroup "cgroup"
    cgroup_cpu "cgroup-cpu"
    cpuset "cpuset"
    memory "memory"
    pids "pids"
    io "io"
    freezer "freezer"
    devices "devices"
    cgroup_ns "cgroup-ns"
}

/// The lesson `name` and each of its acts: proved, or not to be tried for a reason.
fn prove(name: &str) {
    let is_it =
        |folder: &String| folder.split_once('-').is_some_and(|(_, rest)| rest == name);
    if !lessons().iter().any(is_it) {
        return skip(
            &format!("limits::lessons::{name}"),
            "the course has no such lesson",
        );
    }
    // One that contains nobody takes no COMMAND.
    let takes_one = contained().iter().any(|it| it == name);
    play(name, if takes_one { &["--", "true"] } else { &[] });
    for act in undisturbed(|| acts_of(name)) {
        play(name, &[&act]);
    }
}

fn play(name: &str, args: &[&str]) {
    let ending = undisturbed(|| run(lesson(name).args(args)));
    let test = match args {
        [] | ["--", ..] => format!("limits::lessons::{name}"),
        act => format!("limits::lessons::{name} {}", act.join(" ")),
    };
    let untried = ending.out.lines().filter_map(|it| it.strip_prefix("○ not tried: "));
    let untried: Vec<&str> = untried.collect();
    if ending.status.code() == Some(UNTRIED) {
        return skip(&test, untried.join("; "));
    }
    ending.assert_status(0).assert_proved();
    untried.iter().for_each(|what| not_tried(&test, what));
}

#[test]
fn each_has_a_test() {
    for folder in lessons().iter().filter(|folder| is_about_a_limit(folder)) {
        let (_, name) = folder.split_once('-').expect("NN-NAME");
        assert!(TESTED.contains(&name), "{folder} has no test here");
    }
}
