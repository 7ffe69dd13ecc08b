//! Which stages does a Dockerfile have, and which of them are needed?

use std::collections::BTreeSet;

use stage::{Error, Result};

use super::dockerfile::{Action, Dockerfile, Instruction, Start, at};

/// A stage: from one FROM to the next.
#[derive(Debug)]
pub struct Section {
    /// Where it begins.
    pub from: Instruction,
    /// The image or the stage that it begins on, as it is written, and its name.
    pub start: Start,
    /// What is done in it.
    pub steps: Vec<Instruction>,
}

/// The instructions before the first FROM, which are all ARG, and the stages.
pub fn split(
    name: &str,
    dockerfile: Dockerfile,
) -> Result<(Vec<Instruction>, Vec<Section>)> {
    let (mut before, mut sections): (Vec<Instruction>, Vec<Section>) = Default::default();
    for instruction in dockerfile.instructions {
        match (&instruction.action, sections.last_mut()) {
            (Action::From(start), _) => {
                let (start, steps) = (start.clone(), Vec::new());
                sections.push(Section { from: instruction, start, steps });
            }
            (_, Some(section)) => section.steps.push(instruction),
            (Action::Arg(_), None) => before.push(instruction),
            (_, None) => {
                let error = Error::input("a Dockerfile begins with FROM");
                return Err(at(name, instruction.line, error));
            }
        }
    }
    match sections.is_empty() {
        true => Err(Error::input(format!("{name}: there is no FROM in it"))),
        false => Ok((before, sections)),
    }
}

/// The stage that `text` means, a name or a number, among the first `count`.
pub fn find(sections: &[Section], count: usize, text: &str) -> Option<usize> {
    let name = text.to_ascii_lowercase();
    let named = |section: &Section| section.start.name.as_ref() == Some(&name);
    let named = sections[..count].iter().rposition(named);
    named.or_else(|| text.parse().ok().filter(|number| *number < count))
}

/// The stages that the `target` needs, itself among them. `image` is what it says after FROM, with
/// its variables understood.
pub fn needed(
    sections: &[Section],
    target: usize,
    image: &impl Fn(&Section) -> Result<String>,
) -> Result<BTreeSet<usize>> {
    let (mut needed, mut open) = (BTreeSet::new(), vec![target]);
    while let Some(number) = open.pop() {
        if !needed.insert(number) {
            continue;
        }
        let section = &sections[number];
        let from = image(section)?;
        // A number is a stage for COPY --from only.
        let base =
            find(sections, number, &from).filter(|_| from.parse::<usize>().is_err());
        let copies = section.steps.iter().filter_map(|step| match &step.action {
            Action::Copy(copy) => find(sections, number, copy.from.as_deref()?),
            _ => None,
        });
        open.extend(base.into_iter().chain(copies));
    }
    Ok(needed)
}
