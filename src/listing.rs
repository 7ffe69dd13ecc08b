//! Which containers are there?
//!
//! `fakedocker ps`: a line for each, the newest first, with Docker's columns. One that cannot be
//! read is listed as that, and hides no other.

use serde_json::{Value, json};
use stage::Result;

use self::wanted::Wanted;
use crate::container::{self, Known};
use crate::disk::size_below;
use crate::format::Format;
use crate::inspect;
use crate::limits::units::in_decimals;
use crate::network::known;
use crate::spec::{IMAGE_ID, IMAGE_NAME, Spec};
use crate::status::Status;
use crate::store::{HOST, Store};
use crate::{times, when};

pub mod wanted;

/// The fields of a line, and what they are called in a table.
const TITLES: [(&str, &str); 15] = [
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Status", "STATUS"),
    ("State", "STATE"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
    ("Label", ""),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
    ("Size", "SIZE"),
];

const USUAL: &str = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t\
                     {{.Ports}}\t{{.Names}}";

/// How long a command and a mount may be, unless all is asked for.
const COMMAND: usize = 20;
const MOUNT: usize = 15;

/// What is to be listed, and how.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// Also those that do not run.
    pub all: bool,
    /// Only so many, the newest, whether they run or not.
    pub last: Option<usize>,
    /// Only the IDs.
    pub quiet: bool,
    /// All of what is long.
    pub no_trunc: bool,
    /// What they have written, too.
    pub sizes: bool,
    /// Only those for which all of these hold.
    pub filters: Vec<String>,
    /// A template.
    pub format: Option<String>,
}

/// A container, and how it is.
pub struct Listed {
    /// What is known.
    pub known: Known,
    /// How it is.
    pub status: Status,
}

/// The lines of `fakedocker ps`.
pub fn list(store: &Store, list: &List) -> Result<Vec<String>> {
    let usual = if list.sizes { format!("{USUAL}\t{{{{.Size}}}}") } else { USUAL.into() };
    let format = Format::read(list.format.as_deref(), &usual)?;
    let wanted = Wanted::read(store, list)?;
    let (containers, unreadable) = all(store)?;
    let shown = wanted.choose(containers);
    let (ids, is_measured) = (list.quiet, list.sizes || format.mentions(".Size"));
    let unreadable = unreadable.iter().filter(|_| wanted.has_unreadable());
    if ids {
        let shown = shown.iter().map(|it| it.known.id.as_str());
        let all = unreadable.map(String::as_str).chain(shown);
        return Ok(all.map(|id| list.id(id)).collect());
    }
    let mut rows: Vec<Value> = unreadable.map(|id| list.riddle(id)).collect();
    for it in &shown {
        let size =
            is_measured.then(|| size(store, &it.known)).transpose()?.unwrap_or_default();
        let mut row = list.row(it, size);
        if format.asks_for_labels() {
            row["Label"] = it.known.spec.labels().collect();
        }
        rows.push(row);
    }
    format.lines(&TITLES, &rows)
}

/// All containers, and the IDs of those that cannot be read, which is a warning.
pub fn all(store: &Store) -> Result<(Vec<Listed>, Vec<String>)> {
    let (mut readable, mut others) = (Vec::new(), Vec::new());
    let lock = store.lock_containers()?;
    for id in container::ids(store)? {
        let read = container::known(store, &id, &lock).and_then(|known| {
            let status = Status::of(&known)?;
            Ok(Listed { known, status })
        });
        match read {
            Ok(listed) => readable.push(listed),
            Err(error) => {
                stage::warn(format!("container {} cannot be read: {error}", short(&id)));
                others.push(id);
            }
        }
    }
    // To the nanosecond, as text: all are in UTC and equally long.
    readable.sort_by_cached_key(|it| {
        std::cmp::Reverse(times::nanoseconds(&it.known.state.created))
    });
    Ok((readable, others))
}

impl List {
    fn id(&self, id: &str) -> String {
        if self.no_trunc { id.into() } else { short(id) }
    }

    fn row(&self, listed: &Listed, size: String) -> Value {
        let Listed { known: Known { id, spec, state, .. }, status } = listed;
        let created = times::nanoseconds(&state.created);
        let created = created.and_then(|moment| i64::try_from(moment).ok());
        let ports = listed.known.first().map(|_| known::shown(spec, state));
        json!({
            "ID": self.id(id),
            "Image": image_of(spec),
            "Command": self.command(spec),
            "CreatedAt": created.map_or_else(String::new, when::listed),
            "RunningFor": times::ago(Some(&state.created)),
            "Status": status.words(state),
            "State": status.name(),
            "Ports": ports.unwrap_or_default(),
            "Names": state.name.as_deref().unwrap_or_default(),
            "Labels": spec.labels().map(|(key, value)| format!("{key}={value}"))
                .collect::<Vec<_>>().join(","),
            "Mounts": self.mounts(spec),
            "LocalVolumes": inspect::mounts(spec).filter(|it| it["Type"] == "volume")
                .count().to_string(),
            "Networks": known::name(spec),
            "Size": size,
        })
    }

    /// What is to be said of a container that cannot be read.
    fn riddle(&self, id: &str) -> Value {
        let fields = TITLES.iter().map(|(field, _)| (field.to_string(), json!("")));
        let mut row = Value::Object(fields.collect());
        row["ID"] = json!(self.id(id));
        row["Status"] = json!("Unreadable");
        row
    }

    fn command(&self, spec: &Spec) -> String {
        let command = spec.process.args.join(" ");
        match self.no_trunc {
            true => format!("{command:?}"),
            false => format!("{:?}", cut(&command, COMMAND)),
        }
    }

    fn mounts(&self, spec: &Spec) -> String {
        let name = |mount: Value| {
            let name = mount["Name"].as_str().or(mount["Source"].as_str());
            let name = name.unwrap_or_default().to_string();
            if self.no_trunc { name } else { cut(&name, MOUNT) }
        };
        inspect::mounts(spec).map(name).collect::<Vec<_>>().join(",")
    }
}

/// The beginning of an ID.
pub fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// No more than so many letters, the last of which says that there are more.
pub fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.into(),
    }
}

/// What a container was made from, by the name that it had then.
pub fn image_of(spec: &Spec) -> String {
    let said = |key: &str| spec.annotations.get(key).filter(|text| !text.is_empty());
    let id = said(IMAGE_ID).map(|id| short(id.trim_start_matches("sha256:")));
    let name = said(IMAGE_NAME).cloned().or(id);
    name.unwrap_or_else(|| match spec.stacks().as_deref() {
        // A folder of the user's, by `--rootfs`; the machine is none, or many.
        Ok([(_, layers)]) => match &layers.lower[..] {
            [folder] if folder.parent().is_some() => folder.display().to_string(),
            _ => HOST.into(),
        },
        _ => HOST.into(),
    })
}

/// `12B (virtual 5MB)`: what it has written, and all that it has.
fn size(store: &Store, container: &Known) -> Result<String> {
    let (written, below) = sizes(store, container)?;
    let [written, all] = [written, written + below].map(in_decimals);
    Ok(format!("{written} (virtual {all})"))
}

/// Bytes that a container has written, and those in its image.
pub fn sizes(store: &Store, container: &Known) -> Result<(u64, u64)> {
    let mut written = 0;
    for (_, layers) in container.spec.stacks()? {
        written += size_below(&layers.upper)?;
    }
    let image = container.spec.annotations.get(IMAGE_ID);
    // The image may be gone, and its layers may not.
    let image = image.and_then(|id| store.image(id).ok());
    Ok((written, image.map_or(0, |image| image.size())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(cut("sleep 1000", COMMAND), "sleep 1000");
        assert_eq!(cut("sh -c 'while :; do :; done'", COMMAND), "sh -c 'while :; do …");
        assert_eq!(cut("é".repeat(21).as_str(), COMMAND).chars().count(), COMMAND);
    }
}
