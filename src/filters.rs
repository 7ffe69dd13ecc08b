//! What does `--filter KEY=VALUE` ask for?
//!
//! Docker's rule: of several values for one key one has to fit, and for each key one. Labels
//! all have to be there.

use std::collections::BTreeMap;

use stage::{Error, Result};

/// What was asked for, by key.
#[derive(Debug, Clone, Default)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Read what was typed; only these keys are `known`.
    pub fn read(texts: &[String], known: &[&str]) -> Result<Filters> {
        let mut filters = Filters::default();
        for text in texts {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            let key = key.trim().to_lowercase();
            if value.is_empty() || !known.contains(&key.as_str()) {
                return Err(Error::input(format!(
                    "--filter {text:?} is no KEY=VALUE with one of these keys: {}",
                    known.join(", ")
                )));
            }
            filters.0.entry(key).or_default().push(value.trim().to_string());
        }
        Ok(filters)
    }

    /// What was asked for under `key`.
    pub fn values(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether nothing was asked for under `key`, or something that `fits`.
    pub fn fit(&self, key: &str, fits: impl Fn(&str) -> bool) -> bool {
        let values = self.values(key);
        values.is_empty() || values.iter().any(|value| fits(value))
    }

    /// Whether all labels are there that were asked for: `KEY`, or `KEY=VALUE`.
    pub fn fit_labels<'l>(&self, value_of: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.values("label").iter().all(|label| match label.split_once('=') {
            Some((key, value)) => value_of(key) == Some(value),
            None => value_of(label).is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_each_key_has_to_fit() {
        let texts = ["name=a", "Name=b", "label=k=v"].map(String::from);
        let filters = Filters::read(&texts, &["name", "label", "id"]).unwrap();
        assert!(filters.fit("name", |value| value == "b"));
        assert!(!filters.fit("name", |value| value == "c"));
        assert!(filters.fit("id", |_| false));
        let labels = |key: &str| (key == "k").then_some("v");
        assert!(filters.fit_labels(labels) && !filters.fit_labels(|_| Some("w")));
        assert!(!filters.fit_labels(|_| None));
        for wrong in ["name", "name=", "colour=red", "="] {
            let read = Filters::read(&[wrong.to_string()], &["name"]);
            assert!(read.is_err(), "{wrong}");
        }
    }
}
