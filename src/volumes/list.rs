//! Which volumes are there?

use serde_json::json;
use stage::{Error, Result};

use super::{Volume, Volumes};
use crate::format::Format;

/// Only volumes for which all of these hold.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    dangling: Option<bool>,
    names: Vec<String>,
    labels: Vec<(String, Option<String>)>,
}

impl Filters {
    /// Each is `dangling=true`, `name=PART`, `label=KEY` or `label=KEY=VALUE`.
    pub fn read(texts: &[String]) -> Result<Filters> {
        let mut all = Filters::default();
        for text in texts {
            match text.split_once('=') {
                Some(("dangling", "true" | "1")) => all.dangling = Some(true),
                Some(("dangling", "false" | "0")) => all.dangling = Some(false),
                Some(("name", part)) => all.names.push(part.into()),
                // There is no other.
                Some(("driver", "local")) => {}
                Some(("label", label)) => all.labels.push(match label.split_once('=') {
                    Some((key, value)) => (key.into(), Some(value.into())),
                    None => (label.into(), None),
                }),
                _ => {
                    return Err(Error::input(format!("--filter {text:?} is not known"))
                        .hint("dangling=true|false, name=PART, label=KEY[=VALUE]"));
                }
            }
        }
        Ok(all)
    }

    /// Whether they hold for this volume, which some container has or not.
    pub fn want(&self, volume: &Volume, is_used: bool) -> bool {
        let is_labelled = |(key, value): &(String, Option<String>)| {
            let label = volume.labels.get(key);
            label.is_some_and(|label| value.as_ref().is_none_or(|value| value == label))
        };
        self.dangling.is_none_or(|dangling| dangling != is_used)
            && (self.names.is_empty()
                || self.names.iter().any(|part| volume.name.contains(part)))
            && self.labels.iter().all(is_labelled)
    }
}

/// Those that `filters` want.
pub fn chosen(volumes: &Volumes, filters: &Filters) -> Result<Vec<Volume>> {
    let users = volumes.users()?;
    let mut all = volumes.all()?;
    all.retain(|it| filters.want(it, users.contains_key(&it.name)));
    Ok(all)
}

/// The fields of a line, and what they are called in a table.
const TITLES: [(&str, &str); 5] = [
    ("Driver", "DRIVER"),
    ("Name", "VOLUME NAME"),
    ("Scope", "SCOPE"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Labels", "LABELS"),
];

/// The lines of `fakedocker volume ls`: Docker's columns, or what `template` says.
pub fn table(volumes: &[Volume], template: Option<&str>) -> Result<Vec<String>> {
    let format = Format::read(template, "table {{.Driver}}\t{{.Name}}")?;
    let label = |(key, value): (&String, &String)| format!("{key}={value}");
    let row = |it: &Volume| {
        let labels = it.labels.iter().map(label).collect::<Vec<_>>().join(",");
        json!({
            "Driver": it.driver,
            "Name": it.name,
            "Scope": it.scope,
            "Mountpoint": it.mountpoint,
            "Labels": labels,
        })
    };
    format.lines(&TITLES, &volumes.iter().map(row).collect::<Vec<_>>())
}
