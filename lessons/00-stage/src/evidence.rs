//! When is a claim proved?
//!
//! When what was observed is what was predicted. [`Evidence`] is what one process saw at
//! one moment; a [`Verdict`] is computed from evidence and from nothing else, so that a
//! kernel that does not do what the lesson says makes the lesson fail.

use std::fmt::Display;
use std::ops::Index;

/// What one process saw at one moment: named facts, in the order they were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    facts: Vec<(String, String)>,
}

impl Evidence {
    /// Add a fact.
    pub fn record(&mut self, name: impl Display, value: impl Display) {
        self.facts.push((name.to_string(), value.to_string()));
    }

    /// The fact called `name`, if it was looked for.
    pub fn get(&self, name: &str) -> Option<&str> {
        let fact = self.facts.iter().find(|(known, _)| known == name);
        fact.map(|(_, value)| value.as_str())
    }

    /// The facts of several looks, each name behind its looker's: `upper etc/hosts`.
    pub fn joined<'a>(looks: impl IntoIterator<Item = (&'a str, Evidence)>) -> Evidence {
        let mut joined = Evidence::default();
        for (who, seen) in looks {
            seen.facts
                .iter()
                .for_each(|(name, value)| joined.record(format!("{who} {name}"), value));
        }
        joined
    }

    /// All facts, for the pipe between processes.
    pub(crate) fn to_fields(&self) -> Vec<String> {
        self.facts
            .iter()
            .flat_map(|(name, value)| [name.clone(), value.clone()])
            .collect()
    }

    /// The facts that another process put into fields.
    pub(crate) fn from_fields(fields: &[String]) -> Evidence {
        let pairs = fields.chunks_exact(2);
        Evidence { facts: pairs.map(|pair| (pair[0].clone(), pair[1].clone())).collect() }
    }
}

/// What a fact reads as when nobody looked for it. No comparison with it holds.
const NEVER: &str = "(never looked for)";

/// `evidence["hostname"]`; a verdict on a fact that was never looked for fails.
impl Index<&str> for Evidence {
    type Output = str;

    fn index(&self, name: &str) -> &str {
        self.get(name).unwrap_or(NEVER)
    }
}

/// One comparison that a verdict rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was compared.
    pub what: String,
    /// What the lesson says must be seen.
    pub predicted: String,
    /// What was seen.
    pub observed: String,
    /// Whether the prediction came true.
    pub holds: bool,
}

/// A claim, and the comparisons that prove or refute it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub(crate) claim: String,
    pub(crate) checks: Vec<Check>,
    pub(crate) skipped: Vec<String>,
    pub(crate) status: u8,
}

impl Verdict {
    /// `claim` is what will be said if every comparison that follows holds.
    pub fn on(claim: impl Display) -> Verdict {
        let (checks, skipped) = (Vec::new(), Vec::new());
        Verdict { claim: claim.to_string(), checks, skipped, status: 0 }
    }

    /// `what` was predicted to be `predicted`.
    pub fn equal(
        self,
        what: &str,
        predicted: impl Display,
        observed: impl Display,
    ) -> Verdict {
        let (predicted, observed) = (predicted.to_string(), observed.to_string());
        let holds = predicted == observed;
        self.check(what, predicted, observed, holds)
    }

    /// `what` was predicted to be anything but `other`.
    pub fn differ(
        self,
        what: &str,
        other: impl Display,
        observed: impl Display,
    ) -> Verdict {
        let (other, observed) = (other.to_string(), observed.to_string());
        let holds = other != observed;
        self.check(what, format!("anything but {other}"), observed, holds)
    }

    /// `what` was predicted to be as the words of `predicted` say, and `holds` tells whether
    /// the `observed` value is.
    pub fn holds(
        self,
        what: &str,
        predicted: impl Display,
        observed: impl Display,
        holds: bool,
    ) -> Verdict {
        self.check(what, predicted.to_string(), observed.to_string(), holds)
    }

    /// `what` cannot be tried on this machine: it is neither proved nor refuted.
    pub fn skip(mut self, what: &str, why: impl Display) -> Verdict {
        self.skipped.push(format!("{what}: {why}"));
        self
    }

    /// The status with which COMMAND ended: the lesson's own, if the claim is proved.
    pub fn status(self, status: u8) -> Verdict {
        Verdict { status, ..self }
    }

    /// Whether something was compared, and all of it came out as predicted.
    pub fn proved(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.holds)
    }

    /// Whether this machine let us try nothing at all.
    pub(crate) fn untried(&self) -> bool {
        self.checks.is_empty() && !self.skipped.is_empty()
    }

    fn check(
        mut self,
        what: &str,
        predicted: String,
        observed: String,
        holds: bool,
    ) -> Verdict {
        let holds = holds && !predicted.ends_with(NEVER) && !observed.ends_with(NEVER);
        self.checks.push(Check { what: what.to_string(), predicted, observed, holds });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_can_fail() {
        assert!(Verdict::on("same").equal("name", "a", "a").proved());
        assert!(!Verdict::on("same").equal("name", "a", "b").proved());
        assert!(!Verdict::on("apart").differ("name", "a", "a").proved());
        assert!(!Verdict::on("nothing was compared").proved());
        assert!(!Verdict::on("skipped").skip("it", "no such kernel").proved());
    }

    #[test]
    fn a_fact_that_was_never_looked_for_proves_nothing() {
        let (mut host, guest) = (Evidence::default(), Evidence::default());
        assert!(
            !Verdict::on("same").equal("name", &host["name"], &guest["name"]).proved()
        );
        host.record("name", "vm");
        assert!(
            !Verdict::on("same").equal("name", &host["name"], &guest["name"]).proved()
        );
        assert!(
            !Verdict::on("apart").differ("name", &host["name"], &guest["name"]).proved()
        );
    }

    #[test]
    fn evidence_survives_the_pipe() {
        let mut evidence = Evidence::default();
        evidence.record("hostname", "vm");
        evidence.record("empty", "");
        assert_eq!(Evidence::from_fields(&evidence.to_fields()), evidence);
    }
}
