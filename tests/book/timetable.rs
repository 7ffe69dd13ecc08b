//! Do the timetables fit?
//!
//! Each lesson's page says for how many minutes it is shown, and how long its exercise takes
//! (`- Time: 10 minutes for the demonstration, 20 for the exercise.`). instructor.md plans with
//! these numbers: its tables must say the same, and each timetable must end when it says.
//! `UPDATE_PAGES=1` counts anew; what is left goes to the questions.

use std::collections::HashMap;
use std::fs;

use crate::support;

const PAGE: &str = "instructor.md";

/// How long a lesson takes, in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Time {
    show: u32,
    exercise: u32,
}

/// By the page's path.
type Times = HashMap<String, Time>;

#[test]
fn the_timetables_fit() {
    let page = support::read(PAGE);
    let counted =
        count(&page, &times()).unwrap_or_else(|fault| panic!("{PAGE}: {fault}"));
    if std::env::var_os("UPDATE_PAGES").is_some() {
        fs::write(support::top().join(PAGE), counted).expect("a page can be written");
        return;
    }
    for (at, (old, new)) in (1..).zip(page.lines().zip(counted.lines())) {
        let hint = "to count anew: UPDATE_PAGES=1 cargo test --test book -- timetable";
        assert_eq!(old, new, "{PAGE}:{at} is wrong\n{hint}");
    }
    assert_eq!(page.lines().count(), counted.lines().count(), "lessons are missing");
}

fn times() -> Times {
    let time = |lesson: String| {
        let path = format!("lessons/{lesson}/README.md");
        let time = time_of(&support::read(&path));
        (path.clone(), time.unwrap_or_else(|| panic!("{path} does not say its time")))
    };
    support::lessons().into_iter().map(time).collect()
}

/// What a lesson's page tells its instructor.
fn time_of(page: &str) -> Option<Time> {
    let (_, told) = page.split_once("\n- Time: ")?;
    let told =
        told.split("\n- ").next()?.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut time = Time { show: 0, exercise: 0 };
    for part in told.split(", ") {
        let minutes: u32 = part.split(' ').next()?.parse().ok()?;
        match part.contains("exercise") {
            true => time.exercise += minutes,
            false => time.show += minutes,
        }
    }
    (time.show > 0 && time.exercise > 0).then_some(time)
}

/// The page, with all numbers as they must be.
fn count(page: &str, times: &Times) -> Result<String, String> {
    let mut parts: Vec<String> = Vec::new();
    for part in page.split("\n\n") {
        parts.push(match part.lines().next() {
            Some("| lesson | show | exercise | both |") => all_lessons(part, times),
            Some("| at | minutes | what |") => timetable(part, times)?,
            _ => part.trim_end().to_string(),
        });
    }
    Ok(parts.join("\n\n") + "\n")
}

/// The table of all lessons, in their order.
fn all_lessons(table: &str, times: &Times) -> String {
    let mut paths: Vec<_> = times.iter().collect();
    paths.sort_by_key(|(path, _)| *path);
    let rows = paths.into_iter().map(|(path, Time { show, exercise })| {
        let folder = path.split('/').nth(1).unwrap_or(path);
        let (number, name) = folder.split_once('-').unwrap_or(("", folder));
        let number = number.trim_start_matches('0');
        let both = show + exercise;
        format!("| [{number} · {name}]({path}) | {show} | {exercise} | {both} |")
    });
    let head = table.lines().take(2).map(String::from);
    head.chain(rows).collect::<Vec<_>>().join("\n")
}

/// A timetable, with the right numbers in front of each row.
fn timetable(table: &str, times: &Times) -> Result<String, String> {
    let lines: Vec<&str> = table.lines().collect();
    let [head, line, rows @ .., last] = &lines[..] else {
        return Err("a timetable has no rows".into());
    };
    let end = minutes(cell(last, 0)).ok_or(format!("the end is no time: {last}"))?;
    let mut planned = Vec::new();
    for row in rows {
        planned.push(planned_for(row, times)?);
    }
    let sum: u32 = planned.iter().flatten().sum();
    let rest = end.checked_sub(sum).filter(|rest| *rest > 0);
    let rest =
        rest.ok_or(format!("{sum} minutes are planned until {}", cell(last, 0)))?;
    let (mut new, mut now) = (vec![head.to_string(), line.to_string()], 0);
    for (row, planned) in rows.iter().zip(planned) {
        let took = planned.unwrap_or(rest);
        new.push(format!("| {} | {took} | {} |", clock(now), cell(row, 2)));
        now += took;
    }
    new.push(format!("| {} | | |", clock(end)));
    Ok(new.join("\n"))
}

/// The minutes of a row; the questions have what is left.
fn planned_for(row: &str, times: &Times) -> Result<Option<u32>, String> {
    let what = cell(row, 2);
    let path = || what.split_once("](")?.1.strip_suffix(')');
    let time =
        || path().and_then(|path| times.get(path)).ok_or(format!("unknown: {row}"));
    Ok(match what.split(' ').next() {
        Some("questions") => None,
        Some("show") => Some(time()?.show),
        Some("exercise") => Some(time()?.exercise),
        _ => Some(cell(row, 1).parse().map_err(|_| format!("no minutes: {row}"))?),
    })
}

/// A cell of a row, from 0.
fn cell(row: &str, at: usize) -> &str {
    row.split('|').nth(at + 1).unwrap_or_default().trim()
}

fn minutes(clock: &str) -> Option<u32> {
    let (hours, minutes) = clock.split_once(':')?;
    Some(hours.parse::<u32>().ok()? * 60 + minutes.parse::<u32>().ok()?)
}

fn clock(minutes: u32) -> String {
    format!("{}:{:02}", minutes / 60, minutes % 60)
}

#[test]
fn a_lesson_says_its_time_in_one_sentence() {
    let page = "\n- Time: 10 minutes for the demonstration, 15 for\n  signals, 20 for the \
        exercise.\n- Next: 3\n";
    assert_eq!(time_of(page), Some(Time { show: 25, exercise: 20 }));
    assert_eq!(time_of("\n- Time: an hour.\n"), None);
    assert_eq!(time_of("\n- Time: 10 minutes for the demonstration.\n"), None);
}

#[test]
fn a_plan_is_counted_and_one_that_does_not_fit_is_refused() {
    let times = HashMap::from([("a".to_string(), Time { show: 10, exercise: 20 })]);
    let plan = |end: &str| {
        format!(
            "| at | minutes | what |\n|--:|--:|---|\n| 9 | 5 | why |\n| | | show [a](a) |\n\
             | | | exercise of [a](a) |\n| | | questions |\n| {end} | | |\n"
        )
    };
    let counted = count(&plan("0:40"), &times).unwrap();
    let rows = "| 0:00 | 5 | why |\n| 0:05 | 10 | show [a](a) |\n\
        | 0:15 | 20 | exercise of [a](a) |\n| 0:35 | 5 | questions |\n| 0:40 | | |\n";
    assert!(counted.ends_with(rows), "{counted}");
    let refused = count(&plan("0:30"), &times);
    assert_eq!(refused, Err("35 minutes are planned until 0:30".into()));
}
