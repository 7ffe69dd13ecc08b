//! Which volumes are there?

use serde_json::{Value, json};
use stage::Result;

use super::{Volume, Volumes};
use crate::filters::Filters;
use crate::format::Format;

/// The fields of a line, and what they are called in a table.
const TITLES: [(&str, &str); 6] = [
    ("Driver", "DRIVER"),
    ("Name", "VOLUME NAME"),
    ("Label", ""),
    ("Labels", "LABELS"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Scope", "SCOPE"),
];
const USUAL: &str = "table {{.Driver}}\t{{.Name}}";

/// What is to be listed, and how.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// Only the names.
    pub quiet: bool,
    /// Only those for which all of these hold.
    pub filters: Vec<String>,
    /// A template.
    pub format: Option<String>,
}

/// The lines of `fakedocker volume ls`.
pub fn list(volumes: &Volumes, list: &List) -> Result<Vec<String>> {
    let format = Format::read(list.format.as_deref(), USUAL)?;
    let filters = Filters::read(&list.filters, &["dangling", "driver", "label", "name"])?;
    let users = volumes.users()?;
    let mut all = volumes.all()?;
    all.retain(|it| fits(&filters, it, users.contains_key(&it.name)));
    if list.quiet {
        return Ok(all.into_iter().map(|it| it.name).collect());
    }
    let mut rows: Vec<Value> = all.iter().map(row).collect();
    if format.asks_for_labels() {
        for (row, volume) in rows.iter_mut().zip(&all) {
            row["Label"] = json!(volume.labels);
        }
    }
    format.lines(&TITLES, &rows)
}

/// Whether `filters` hold for this volume, which some container has or not.
pub fn fits(filters: &Filters, volume: &Volume, is_used: bool) -> bool {
    let is_dangling = if is_used { ["false", "0"] } else { ["true", "1"] };
    filters.fit("dangling", |value| is_dangling.contains(&value))
        && filters.fit("driver", |driver| driver == volume.driver)
        && filters.fit("name", |part| volume.name.contains(part))
        && filters.fit_labels(|key| volume.labels.get(key).map(String::as_str))
}

fn row(volume: &Volume) -> Value {
    let labels = volume.labels.iter().map(|(key, value)| format!("{key}={value}"));
    json!({
        "Driver": volume.driver,
        "Labels": labels.collect::<Vec<_>>().join(","),
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Scope": volume.scope,
    })
}
