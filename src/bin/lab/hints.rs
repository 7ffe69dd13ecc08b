//! What helps with a claim that does not hold?
//!
//! In grades: what was observed, why that is, and what to write. Nobody has to see more
//! than they want to.

use std::path::Path;

use stage::{Error, Result, tell};

use crate::lessons::Lesson;
use crate::progress::{self, Notes};
use crate::student::{lab, sudo};

/// Tell the next hint about `lesson`, or that of `grade`.
pub fn hint(lesson: &Lesson, grade: Option<usize>) -> Result<bool> {
    let record = progress::read(lesson)?;
    let Some(refuted) = &record.refuted else {
        return nothing_refuted(lesson, record.checked);
    };
    let (name, most) = (&lesson.name, refuted.hints.len());
    let grade = grade.unwrap_or(refuted.shown + 1);
    let shown = grade.min(most);
    tell(format!("{name} · {}\n", refuted.claim))?;
    if let Some(hint) = refuted.hints.get(shown.saturating_sub(1)) {
        tell(format!("hint {shown} of {most}: {}", set(hint)))?;
    }
    if shown < most {
        tell(format!("more: {} hint {name}", lab()))?;
    } else {
        tell(format!("that is all: `{} solution {name}` shows one way to do it", lab()))?;
    }
    if refuted.shown < shown {
        let mut notes = Notes::open(lesson)?;
        notes.record.show(shown);
        notes.write(Path::new("/proc"))?;
    }
    Ok(true)
}

/// Several lines, as of code, stand by themselves.
fn set(hint: &str) -> String {
    if !hint.contains('\n') {
        return hint.to_string();
    }
    let lines = hint.lines().map(|line| format!("\n    {line}"));
    format!("\n{}\n", lines.collect::<String>())
}

fn nothing_refuted(lesson: &Lesson, checked: bool) -> Result<bool> {
    let name = &lesson.name;
    if checked {
        return tell(format!("{name}: all claims held at the last check")).map(|()| true);
    }
    let error = Error::input(format!("{name} was not checked yet: hints follow a check"));
    Err(error.hint(format!("{}{} check {name}", sudo(), lab())))
}

/// Print the solution, for reading.
pub fn solution(lesson: &Lesson, anyway: bool) -> Result<bool> {
    let name = &lesson.name;
    if !progress::read(lesson)?.checked && !anyway {
        let (sudo, lab) = (sudo(), lab());
        tell(format!("try it first: `{sudo}{lab} check {name}`"))?;
        tell(format!("or see it anyway: `{lab} solution {name} --anyway`"))?;
        return Ok(false);
    }
    let file = lesson.solution();
    let text = lesson.read(&file)?;
    tell(format!("{}\n\n{}", file.display(), text.trim_end())).map(|()| true)
}
