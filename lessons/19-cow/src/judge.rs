//! What do the measurements prove?
//!
//! Bytes are compared: they are the same on a busy machine. Times are shown.

use stage::{Evidence, Row, Stage, Verdict};

use crate::driver::{Driver, NOT_RUN as OTHERS};
use crate::image::Image;
use crate::measure::{NOT_RUN, mib};

/// Who shares takes at most this part of what a copy takes: names and pointers are not free.
const SHARED: u64 = 4;

type Rows = [(Driver, Evidence)];

/// The table: each way, its start and its first change.
pub fn show(stage: &Stage, image: &Image, rows: &Rows) {
    let rows = rows.iter().map(|(driver, seen)| {
        let amount = |name: &str| {
            let (bytes, seconds) =
                (number(seen, name, "bytes"), number(seen, name, "seconds"));
            let text = format!("{:>10} {seconds:>6.3} s", mib(bytes as u64));
            (bytes / image.bytes() as f64, text)
        };
        let not_run = seen.get(NOT_RUN).map(|why| format!("not run: {why}"));
        let amounts =
            not_run.is_none().then(|| vec![amount("start"), amount("big file")]);
        row(driver.name(), amounts.unwrap_or_default(), not_run.unwrap_or_default())
    });
    let others = OTHERS.iter().map(|(name, why)| row(name, vec![], why.to_string()));
    let big = format!("to change a byte of {}", mib(image.big));
    let rows = rows.chain(others).collect::<Vec<Row>>();
    stage.table(&["to start a container", &big], &rows);
}

fn row(name: &str, amounts: Vec<(f64, String)>, remark: String) -> Row {
    Row { name: name.to_string(), amounts, remark }
}

fn number(seen: &Evidence, name: &str, unit: &str) -> f64 {
    seen[&format!("{name}: {unit}")].parse().unwrap_or_default()
}

/// Each way copies what it is said to copy, when it is said to, and the image stays whole.
pub fn judge(image: &Image, rows: &Rows) -> Verdict {
    let claim = "a copy can wait until something is changed, and be of what is changed";
    rows.iter().fold(Verdict::on(claim), |verdict, (driver, seen)| {
        let name = driver.name();
        if let Some(why) = seen.get(NOT_RUN) {
            return verdict.skip(name, why);
        }
        let verdict = amount(
            verdict,
            seen,
            (name, "start"),
            driver.copies_at_start(),
            image.bytes(),
        );
        let verdict = amount(
            verdict,
            seen,
            (name, "big file"),
            driver.copies_whole_file(),
            image.big,
        );
        let is = |what: &str| format!("{name}: the {what} afterwards");
        let verdict = verdict
            .equal(&is("image"), image.expected(0), &seen["image"])
            .equal(&is("container"), image.expected(2), &seen["container"]);
        match driver {
            Driver::Links => verdict.equal(
                "links: the image, when somebody has not replaced a file",
                image.expected(1),
                &seen["spoilt"],
            ),
            _ => verdict,
        }
    })
}

/// That something was copied whole, or only to a small part.
fn amount(
    verdict: Verdict,
    seen: &Evidence,
    (name, what): (&str, &str),
    whole: bool,
    size: u64,
) -> Verdict {
    let what_for = format!("{name}: bytes, {what}");
    let bytes = number(seen, what, "bytes");
    let (at_least, at_most) = (size as f64, (size / SHARED) as f64);
    match whole {
        true => verdict.holds(
            &what_for,
            format!("at least {}", mib(size)),
            &seen[what],
            bytes >= at_least,
        ),
        false => verdict.holds(
            &what_for,
            format!("at most {}", mib(size / SHARED)),
            &seen[what],
            bytes <= at_most,
        ),
    }
}
