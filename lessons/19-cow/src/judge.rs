//! What do the measurements prove?
//!
//! Bytes are compared: they are the same on a busy machine. Times are shown.

use stage::{Evidence, Row, Stage, Verdict};

use crate::driver::{Driver, NOT_RUN as OTHERS};
use crate::ground;
use crate::image::Image;
use crate::measure::{NOT_RUN, told};

/// Who shares takes at most this part of what a copy takes: names and pointers are not free.
const SHARED: u64 = 4;

/// What was seen of each way.
type Rows = [(Driver, Evidence)];

/// The table: each way, its start and its first change.
pub fn show(stage: &Stage, image: &Image, rows: &Rows) {
    let rows = rows.iter().map(|(driver, seen)| {
        let amount = |name: &str| {
            let (bytes, seconds) =
                (number(seen, name, "bytes"), number(seen, name, "seconds"));
            let text = format!("{:>10} {seconds:>6.3} s", told(bytes as u64));
            (bytes / image.bytes() as f64, text)
        };
        let not_run = seen.get(NOT_RUN).map(|why| format!("not run: {why}"));
        let amounts =
            not_run.is_none().then(|| vec![amount("start"), amount("big file")]);
        row(driver, amounts.unwrap_or_default(), not_run.unwrap_or_default())
    });
    let others = OTHERS.iter().map(|(name, why)| row(name, vec![], why.to_string()));
    let big = format!("to change a byte of {}", told(image.big));
    let rows = rows.chain(others).collect::<Vec<Row>>();
    stage.table(&["to start a container", &big], &rows);
}

fn row(name: impl ToString, amounts: Vec<(f64, String)>, remark: String) -> Row {
    Row { name: name.to_string(), amounts, remark }
}

fn number(seen: &Evidence, name: &str, unit: &str) -> f64 {
    seen[&format!("{name}: {unit}")].parse().unwrap_or_default()
}

/// Each way copies what it is said to copy, when it is said to, and the image stays whole.
pub fn judge(image: &Image, rows: &Rows) -> Verdict {
    let claim = match rows {
        [(only, _)] => only.claim(),
        _ => "copying can wait for the first change, and take a file then, or its blocks",
    };
    rows.iter().fold(Verdict::on(claim), |verdict, (driver, seen)| {
        match seen.get(NOT_RUN) {
            Some(why) => verdict.skip(&driver.to_string(), why),
            None => judge_one(verdict, *driver, seen, image),
        }
    })
}

/// How many bytes something takes, if it does what it is said to do.
enum Bytes {
    AtLeast(u64),
    AtMost(u64),
}

impl Bytes {
    /// For what is copied whole, or only where it changes.
    fn of_copy(whole: bool, size: u64) -> Bytes {
        if whole { Bytes::AtLeast(size) } else { Bytes::AtMost(size / SHARED) }
    }

    /// The prediction in words, and whether it holds.
    fn compare(self, seen: f64) -> (String, bool) {
        match self {
            Bytes::AtLeast(size) => {
                (format!("at least {}", told(size)), seen >= size as f64)
            }
            Bytes::AtMost(size) => {
                (format!("at most {}", told(size)), seen <= size as f64)
            }
        }
    }
}

fn judge_one(
    verdict: Verdict,
    driver: Driver,
    seen: &Evidence,
    image: &Image,
) -> Verdict {
    let amounts = [
        ("disk", Bytes::AtMost(ground::size_for(image) / 2)),
        ("start", Bytes::of_copy(driver.copies_at_start(), image.bytes())),
        ("big file", Bytes::of_copy(driver.copies_whole_file(), image.big)),
    ];
    let verdict = amounts.into_iter().fold(verdict, |verdict, (what, bytes)| {
        let (predicted, holds) = bytes.compare(number(seen, what, "bytes"));
        let what_for = format!("{driver}: what it takes: {what}");
        verdict.holds(&what_for, predicted, &seen[what], holds)
    });
    let verdict = verdict
        .equal(&format!("{driver}: the image"), image.expected(0), &seen["image"])
        .equal(
            &format!("{driver}: the container"),
            image.expected(2),
            &seen["container"],
        );
    if driver != Driver::Links {
        return verdict;
    }
    let what = "links: the image, when somebody takes no care";
    verdict.equal(what, image.expected(1), &seen["image now"])
}
