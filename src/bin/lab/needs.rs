//! What of the machine does a lesson need, and is it there?

use fakedocker::machine::Finding;
use stage::{Error, Result};

/// What the machine lacks of `needs`, in words: nothing if the lesson runs here. A need is the
/// topic and the name of a finding, as `lab doctor` prints them.
pub fn lacks(needs: &[String], findings: &[Finding]) -> Result<Vec<String>> {
    let mut lacks = Vec::new();
    for need in needs.iter().map(String::as_str).chain(["machine kernel"]) {
        let found =
            findings.iter().find(|it| format!("{} {}", it.topic, it.name) == need);
        let found = found.ok_or_else(|| {
            Error::input(format!("check.toml: {need:?} cannot be needed: nobody looks for it"))
                .hint("needs are the topics and names that lab doctor prints: \"files overlay\"")
        })?;
        if found.works == Some(false) {
            lacks.push(format!("{} ({}): {}", found.name, found.topic, found.seen));
        }
    }
    Ok(lacks)
}
