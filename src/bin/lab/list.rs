//! Where does the student stand, and what is next?

use stage::{Result, tell};

use crate::lessons::{self, Lesson};
use crate::progress::{self, Record, State};
use crate::questions::Questions;
use crate::student::{lab, sudo};

/// List the lessons in the course's order.
pub fn list() -> Result<bool> {
    let (mut done, mut next) = (0, None);
    let lessons = lessons::all()?;
    tell("fakedocker · what is a container made of?\n")?;
    for lesson in &lessons {
        let record = progress::read(lesson)?;
        let exercise = lesson.read(&lesson.exercise()).ok();
        let state = record.state(exercise.as_deref());
        tell(line(lesson, &record, state)?)?;
        match state {
            State::Done => done += 1,
            _ => next = next.or(Some((lesson, state))),
        }
    }
    tell(format!("\n{done} of {} lessons done", lessons.len()))?;
    next.map_or(Ok(()), |(lesson, state)| advise(lesson, state))?;
    Ok(true)
}

fn line(lesson: &Lesson, record: &Record, state: State) -> Result<String> {
    let (number, name) = (lesson.number.trim_start_matches('0'), &lesson.name);
    let question = Questions::read(&lesson.questions())?.question;
    let (mark, more) = match (state, &record.refuted) {
        (State::New, _) => (" ", String::new()),
        (State::Done, _) => ("✓", String::new()),
        (State::Changed, _) => ("○", "  (passed, and changed since)".to_string()),
        (State::Tried, refuted) => {
            let held = refuted.as_ref().map_or((0, 0), |it| (it.held, it.claims));
            ("✗", format!("  ({} of {} claims hold)", held.0, held.1))
        }
    };
    let line = format!("{mark} {number:>2}  {name:<11} {question}{more}");
    Ok(line)
}

/// What to do for the first lesson that is not done.
fn advise(lesson: &Lesson, state: State) -> Result<()> {
    let name = &lesson.name;
    tell(format!("\nnext: lesson {}, {name}", lesson.number.trim_start_matches('0')))?;
    if state == State::New {
        tell(format!("  read    {}", lesson.page().display()))?;
    }
    if state != State::Changed {
        tell(format!("  write   {}", lesson.exercise().display()))?;
    }
    if state == State::Tried {
        tell(format!("  help    {} hint {name}", lab()))?;
    }
    tell(format!("  check   {}{} check {name}", sudo(), lab()))
}
