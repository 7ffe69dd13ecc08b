//! What happens, and how does one hear of it?
//!
//! ```text
//! ROOT/events      a line of JSON for each thing that happened, as Docker has them
//! ROOT/events.1    what was there before it became too long
//! ```
//!
//! Who tells holds a lock on the file meanwhile, and looks whether it is still the one that is
//! called `events`: whoever follows can be sure that nothing comes to a file that was moved.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stage::{Error, Result};

use crate::disk::{is_at, lock};
use crate::filters::Filters;
use crate::store::Store;
use crate::sys::watch::Watch;
use crate::when;

/// From this size on, the next line begins a new file.
const LONGEST: u64 = 1 << 20;

/// What one can filter by.
pub const KEYS: [&str; 7] =
    ["container", "event", "image", "label", "network", "type", "volume"];

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    /// `container`, `image`, `volume`, `network`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// `create`, `start`, `die`, ...
    pub action: String,
    /// To whom.
    pub actor: Actor,
    /// It happened here.
    #[serde(rename = "scope")]
    pub scope: String,
    /// When, in seconds since 1970.
    #[serde(rename = "time")]
    pub time: i64,
    /// The same in nanoseconds.
    #[serde(rename = "timeNano")]
    pub time_nano: i64,
}

/// To whom something happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Actor {
    /// Its ID, or its name where that is the same.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name, its image, its labels, how it ended, ...
    pub attributes: BTreeMap<String, String>,
}

/// Which events somebody wants to hear of.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// From this moment on, and those that were; else from now on.
    pub since: Option<i64>,
    /// Up to this moment; else without end.
    pub until: Option<i64>,
    /// Only these.
    pub filters: Filters,
}

/// Tell whoever listens to the store at `root`, now or later, that `action` has happened to the
/// `kind` of thing that is called `id`. What cannot be told has happened all the same: that is a
/// warning.
pub fn tell(
    root: &Path,
    kind: &str,
    action: &str,
    id: &str,
    attributes: &[(&str, &str)],
) {
    let text = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    let attributes = attributes.iter().map(text).collect();
    let now = when::now();
    let event = Event {
        kind: kind.into(),
        action: action.into(),
        actor: Actor { id: id.into(), attributes },
        scope: "local".into(),
        time: now / 1_000_000_000,
        time_nano: now,
    };
    let path = path(root);
    if let Err(error) = append(&path, &format!("{}\n", event.json())) {
        let error = Error::io(path.display(), &error);
        stage::warn(format!("nobody will hear of this {action}: {error}"));
    }
}

/// A whole line or, if we are killed in the middle, one that nobody can read.
fn append(path: &Path, line: &str) -> io::Result<()> {
    loop {
        let mut file = open(path)?;
        lock(&file, File::lock)?;
        if !is_at(&file, path) {
            // Somebody has moved it while we waited.
            continue;
        }
        let length = file.metadata()?.len();
        if length > LONGEST {
            fs::rename(path, older(path))?;
            continue;
        }
        let mut last = [b'\n'];
        file.read_at(&mut last, length.saturating_sub(1))?;
        // Who was killed while telling has left half a line.
        let end = if last == [b'\n'] { "" } else { "\n" };
        return file.write_all(format!("{end}{line}").as_bytes());
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).append(true).create(true).mode(0o600).open(path)
}

fn path(root: &Path) -> PathBuf {
    root.join("events")
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("1")
}

/// Let `hear` have each event that is wanted, as it happens.
pub fn follow(
    store: &Store,
    wanted: &Wanted,
    mut hear: impl FnMut(&Event) -> Result<()>,
) -> Result<()> {
    let path = path(store.root());
    let failed = |error: io::Error| Error::io(path.display(), &error);
    // First of all: nothing may happen unheard between reading and waiting.
    let watch = Watch::on(store.root())?;
    let mut record = Record::open(&path, wanted.is_of_the_past()).map_err(failed)?;
    loop {
        let (lines, is_last) = record.read().map_err(failed)?;
        let events = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
        for event in events.filter(|event| wanted.fits(event)) {
            hear(&event)?;
        }
        if is_last {
            let Some(patience) = wanted.patience() else { return Ok(()) };
            watch.wait(patience)?;
        }
    }
}

/// What is read of the files, one after the other.
struct Record {
    path: PathBuf,
    files: Vec<File>,
    /// The beginning of a line whose end is not there yet.
    half: Vec<u8>,
}

impl Record {
    /// From the beginning, or from now on.
    fn open(path: &Path, from_the_beginning: bool) -> io::Result<Record> {
        let mut newest = open(path)?;
        let mut files = Vec::new();
        if from_the_beginning {
            // It may have been moved since we opened it.
            let before = File::open(older(path)).ok();
            files.extend(before.filter(|_| !is_at(&newest, &older(path))));
        } else {
            newest.seek(SeekFrom::End(0))?;
        }
        files.push(newest);
        Ok(Record { path: path.into(), files, half: Vec::new() })
    }

    /// The lines that have come, and whether these are all that there are now.
    fn read(&mut self) -> io::Result<(Vec<String>, bool)> {
        let (Some(file), count) = (self.files.first(), self.files.len()) else {
            return Ok((Vec::new(), true));
        };
        // In this order: nothing comes to a file that was moved.
        let was_moved = count == 1 && !is_at(file, &self.path);
        let mut file = file;
        file.read_to_end(&mut self.half)?;
        let whole = self.half.iter().rposition(|&byte| byte == b'\n');
        let lines: Vec<u8> = self.half.drain(..whole.map_or(0, |at| at + 1)).collect();
        if was_moved {
            self.files.push(open(&self.path)?);
        }
        if count > 1 || was_moved {
            self.files.remove(0);
            self.half.clear();
        }
        let lines = String::from_utf8_lossy(&lines).lines().map(String::from).collect();
        Ok((lines, count == 1 && !was_moved))
    }
}

impl Wanted {
    fn is_of_the_past(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    /// How long to wait for more, None if there is nothing to wait for.
    fn patience(&self) -> Option<Option<Duration>> {
        let Some(until) = self.until else { return Some(None) };
        let left = u64::try_from(until.saturating_sub(when::now())).unwrap_or(0);
        (left > 0).then(|| Some(Duration::from_nanos(left)))
    }

    fn fits(&self, event: &Event) -> bool {
        let Event { kind, action, actor, time_nano, .. } = event;
        let attribute = |name: &str| actor.attributes.get(name).map(String::as_str);
        let is = |of: &str| {
            self.filters.fit(of, |which| {
                let is_it =
                    actor.id.starts_with(which) || attribute("name") == Some(which);
                (kind == of && is_it)
                    || attribute(of).is_some_and(|name| is_name(name, which))
            })
        };
        self.since.is_none_or(|since| *time_nano >= since)
            && self.until.is_none_or(|until| *time_nano <= until)
            && self.filters.fit("type", |which| kind == which)
            && self.filters.fit("event", |which| is_action(action, which))
            && ["container", "image", "volume", "network"].into_iter().all(is)
            && self.filters.fit_labels(attribute)
    }
}

/// `debian:12` is a `debian`, too.
fn is_name(name: &str, which: &str) -> bool {
    let rest = name.strip_prefix(which);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
}

/// `exec_start: ls /` is called `exec_start`.
fn is_action(action: &str, which: &str) -> bool {
    action
        .strip_prefix(which)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

impl Event {
    /// As Docker tells it in a line.
    pub fn line(&self) -> String {
        let Actor { id, attributes } = &self.actor;
        let attributes = attributes.iter().map(|(name, value)| format!("{name}={value}"));
        let attributes = attributes.collect::<Vec<_>>().join(", ");
        let (moment, kind, action) =
            (when::told(self.time_nano), &self.kind, &self.action);
        let behind = match attributes.as_str() {
            "" => String::new(),
            attributes => format!(" ({attributes})"),
        };
        format!("{moment} {kind} {action} {id}{behind}")
    }

    /// As Docker tells it to programs.
    pub fn json(&self) -> String {
        json!(self).to_string()
    }

    /// As templates know it, with Docker's older names as well.
    pub fn known(&self) -> Value {
        let mut known = json!(self);
        known["ID"] = json!(self.actor.id);
        known["Status"] = json!(self.action);
        known["From"] = json!(self.actor.attributes.get("image").map_or("", |it| it));
        known["Scope"] = json!(self.scope);
        known["Time"] = json!(self.time);
        known["TimeNano"] = json!(self.time_nano);
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &str, attributes: &[(&str, &str)]) -> Event {
        let text = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        Event {
            kind: "container".into(),
            action: action.into(),
            actor: Actor {
                id: "4f00".into(),
                attributes: attributes.iter().map(text).collect(),
            },
            scope: "local".into(),
            time: 1,
            time_nano: 1_000_000_000,
        }
    }

    #[test]
    fn a_line_is_dockers() {
        let event = event("start", &[("name", "box"), ("image", "debian:12")]);
        let line = event.line();
        let (moment, rest) = line.split_once(' ').unwrap();
        assert_eq!(when::read("--since", moment), Ok(1_000_000_000));
        assert_eq!(rest, "container start 4f00 (image=debian:12, name=box)");
        let text = event.json();
        assert!(text.contains(r#""Actor":{"Attributes":{"image":"#), "{text}");
        assert!(text.contains(r#""timeNano":1000000000"#), "{text}");
    }

    #[test]
    fn only_what_is_wanted() {
        let event = event("exec_start: ls", &[("name", "box"), ("image", "debian:12")]);
        let fits = |text: &str| {
            let filters = Filters::read(&[text.to_string()], &KEYS).unwrap();
            Wanted { filters, ..Wanted::default() }.fits(&event)
        };
        for yes in [
            "container=4f",
            "container=box",
            "image=debian",
            "image=debian:12",
            "type=container",
            "event=exec_start",
            "label=name",
        ] {
            assert!(fits(yes), "{yes}");
        }
        for no in ["container=bo", "image=deb", "type=image", "event=exec", "volume=box"]
        {
            assert!(!fits(no), "{no}");
        }
        let after = Wanted { since: Some(1_000_000_001), ..Wanted::default() };
        assert!(!after.fits(&event));
    }

    #[test]
    fn half_a_line_and_a_move_lose_nothing() {
        let folder = std::env::temp_dir();
        let folder = folder.join(format!("fakedocker-events-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("events");
        append(&path, "one\n").unwrap();
        let mut now = Record::open(&path, false).unwrap();
        let mut all = Record::open(&path, true).unwrap();
        // Somebody is killed in the middle of a line, another goes on.
        open(&path).unwrap().write_all(b"half").unwrap();
        assert_eq!(all.read().unwrap(), (vec!["one".into()], true));
        append(&path, "two\n").unwrap();
        fs::rename(&path, older(&path)).unwrap();
        append(&path, "three\n").unwrap();
        for (record, before) in [(&mut all, "half two"), (&mut now, "half two")] {
            let (lines, is_last) = record.read().unwrap();
            assert_eq!((lines.join(" ").as_str(), is_last), (before, false));
            assert_eq!(record.read().unwrap(), (vec!["three".into()], true));
        }
        let mut later = Record::open(&path, true).unwrap();
        assert_eq!(later.read().unwrap().0, ["one", "half", "two"]);
        assert_eq!(later.read().unwrap(), (vec!["three".into()], true));
        fs::remove_dir_all(&folder).unwrap();
    }
}
