//! What can one do with images?
//!
//! List them, name them, look into them, and take them away: Docker's commands, with its columns
//! and its words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use image::Digest;
use image::manifest::Step;
use serde_json::{Value, json};
use stage::{Error, Result};

use crate::build::cache;
use crate::container;
use crate::format::Format;
use crate::limits::units::in_decimals;
use crate::listing::{cut, short};
use crate::store::{self, Image, Name, Store, incoming};
use crate::{events, times, when};

/// What stands for a name that is not there.
const NONE: &str = "<none>";

/// What is to be listed.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// Only this repository, or this name.
    pub which: Option<String>,
    /// Only the IDs.
    pub quiet: bool,
    /// Whole IDs.
    pub no_trunc: bool,
    /// Manifests' digests as well.
    pub digests: bool,
    /// Only what has no name.
    pub dangling: bool,
    /// A template.
    pub format: Option<String>,
}

/// The fields of a line of `fakedocker images`, and what they are called in a table.
const TITLES: [(&str, &str); 8] = [
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedSince", "CREATED"),
    ("Size", "SIZE"),
    ("SharedSize", "SHARED"),
];

/// Docker's columns, and what of the size is shared: the bytes in layers that are another
/// image's as well.
const USUAL: &str = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t\
                     {{.SharedSize}}";
const WITH_DIGESTS: &str = "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t\
                            {{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}";

/// The lines of `fakedocker images`.
pub fn list(store: &Store, list: &List) -> Result<Vec<String>> {
    let usual = if list.digests { WITH_DIGESTS } else { USUAL };
    let format = Format::read(list.format.as_deref(), usual)?;
    let all = store.images()?;
    let shared = shared(&all);
    let mut shown: Vec<&Image> = all.iter().filter(|image| list.wants(image)).collect();
    shown.sort_by_key(|image| std::cmp::Reverse(made(image)));
    if list.quiet {
        let mut seen = BTreeSet::new();
        let shown = shown.iter().filter(|image| seen.insert(&image.id));
        return Ok(shown.map(|image| list.id(image)).collect());
    }
    let rows: Vec<Value> = shown.iter().map(|image| list.row(image, &shared)).collect();
    format.lines(&TITLES, &rows)
}

impl List {
    fn wants(&self, image: &Image) -> bool {
        let named = self.which.as_deref().is_none_or(|which| {
            image.name.as_ref().is_some_and(|name| {
                name.repository() == which || Name::parse(which).as_ref() == Ok(name)
            })
        });
        named && (!self.dangling || image.name.is_none())
    }

    fn id(&self, image: &Image) -> String {
        match self.no_trunc {
            true => image.id.to_string(),
            false => image.id.short().into(),
        }
    }

    fn row(&self, image: &Image, shared: &BTreeSet<PathBuf>) -> Value {
        let (repository, tag) = repository_and_tag(image.name.as_ref());
        let layers = image.layers.iter().zip(&image.sizes);
        let shared: u64 = layers
            .filter(|(layer, _)| shared.contains(*layer))
            .map(|(_, size)| size)
            .sum();
        json!({
            "Repository": repository,
            "Tag": tag,
            "Digest": image.manifest.digest.to_string(),
            "ID": self.id(image),
            "CreatedAt": moment(image.config.created.as_deref()),
            "CreatedSince": times::ago(image.config.created.as_deref()),
            "Size": in_decimals(image.size()),
            "SharedSize": in_decimals(shared),
        })
    }
}

/// A moment as Docker's lists have it.
fn moment(text: Option<&str>) -> String {
    let moment = text.and_then(times::nanoseconds).and_then(|it| i64::try_from(it).ok());
    moment.map_or_else(|| "N/A".into(), when::listed)
}

/// Layers that more than one image stands on.
fn shared(images: &[Image]) -> BTreeSet<PathBuf> {
    let mut users: BTreeMap<&PathBuf, BTreeSet<&Digest>> = BTreeMap::new();
    for image in images {
        for layer in &image.layers {
            users.entry(layer).or_default().insert(&image.id);
        }
    }
    users
        .into_iter()
        .filter(|(_, ids)| ids.len() > 1)
        .map(|(layer, _)| layer.clone())
        .collect()
}

fn made(image: &Image) -> Option<i128> {
    image.config.created.as_deref().and_then(times::nanoseconds)
}

fn repository_and_tag(name: Option<&Name>) -> (String, String) {
    match name {
        Some(name) => (name.repository().into(), name.tag().unwrap_or(NONE).into()),
        None => (NONE.into(), NONE.into()),
    }
}

/// Give the image `which` another name as well.
pub fn tag(store: &Store, which: &str, name: &str) -> Result<()> {
    let name = Name::of_image(name)?;
    let _work = store.making()?;
    let image = store.image(which)?;
    store.keep(&image.manifest, std::slice::from_ref(&name))?;
    tell(store, "tag", &image, Some(&name));
    Ok(())
}

/// Tell whoever listens to events what has happened to an image, by this name or its ID.
pub fn tell(store: &Store, action: &str, image: &Image, name: Option<&Name>) {
    let id = image.id.to_string();
    let name = name.map_or(&*id, Name::full);
    events::tell(store.root(), "image", action, &id, &[("name", name)]);
}

/// The same of what has come from a registry, or gone there.
pub fn tell_of_registry(store: &Store, action: &str, name: &Name) {
    let attributes = [("name", name.repository())];
    events::tell(store.root(), "image", action, name.full(), &attributes);
}

/// The image `which` that is to go. By `force` there may be none, which is said.
fn to_go(store: &Store, which: &str, force: bool) -> Result<Option<Image>> {
    match store.find(which)? {
        None if force => {
            stage::warn(format!("no image called {which}"));
            Ok(None)
        }
        None => store.image(which).map(Some),
        found => Ok(found),
    }
}

/// Take away the image `which`, or one of its names; what was done, a line for each thing.
pub fn remove(store: &Store, which: &str, force: bool) -> Result<Vec<String>> {
    let Some(image) = to_go(store, which, force)? else { return Ok(Vec::new()) };
    let names: Vec<Name> = names_of(store, &image)?;
    let (mut done, is_last) = (Vec::new(), names.len() <= 1);
    let users = container::users_of(store, &image.id)?;
    if !force {
        may_go(which, &image, &names, &users)?;
    }
    store.change(|index| {
        let gone = image.name.clone().map_or_else(|| names.clone(), |name| vec![name]);
        for name in gone {
            store::take_name(index, &name);
            done.push(format!("Untagged: {}", name.full()));
        }
        // A container that stands on it keeps its layers; without a name, it can be found by ID.
        if is_last || image.name.is_none() {
            index.manifests.retain(|entry| {
                entry.digest != image.manifest.digest
                    || store::name_of(entry).is_some()
                    || !users.is_empty()
            });
            if users.is_empty() {
                done.push(format!("Deleted: {}", image.id));
            }
        }
    })?;
    for line in &done {
        match line.split_once(": ") {
            Some(("Untagged", name)) => {
                tell(store, "untag", &image, Name::parse(name).ok().as_ref());
            }
            _ => tell(store, "delete", &image, None),
        }
    }
    store.collect()?;
    Ok(done)
}

/// Refuse to take away what somebody still wants.
fn may_go(which: &str, image: &Image, names: &[Name], users: &[String]) -> Result<()> {
    let is_last = names.len() <= 1;
    if let Some(user) = users.first().filter(|_| is_last) {
        let user = short(user);
        return Err(Error::input(format!(
            "image {which} is in use: container {user} stands on it"
        ))
        .hint(format!("remove that first (fakedocker rm {user}), or let the image lose its name: rmi -f")));
    }
    if image.name.is_none() && !is_last {
        let id = image.id.short();
        return Err(Error::input(format!(
            "image {id} has several names: {}",
            listed(names)
        ))
        .hint("name one of them, or remove all with -f"));
    }
    Ok(())
}

fn names_of(store: &Store, image: &Image) -> Result<Vec<Name>> {
    let all = store
        .images()?
        .into_iter()
        .filter(|other| other.manifest.digest == image.manifest.digest);
    Ok(all.filter_map(|image| image.name).collect())
}

fn listed(names: &[Name]) -> String {
    names.iter().map(Name::to_string).collect::<Vec<_>>().join(", ")
}

/// Take away images without a name (or `all`) on which no container stands; a line for each, and
/// the bytes of their files that are gone with them. So are parts of images, which nobody has
/// gone on with.
pub fn prune(store: &Store, all: bool) -> Result<(Vec<String>, u64)> {
    let images = store.images()?;
    let (mut unused, mut used) = (Vec::new(), Vec::new());
    for image in images {
        let free = (all || image.name.is_none())
            && container::users_of(store, &image.id)?.is_empty();
        if free { unused.push(image) } else { used.push(image) }
    }
    let is_gone = |entry: &image::manifest::Descriptor| {
        unused.iter().any(|image| {
            image.manifest.digest == entry.digest && store::name_of(entry) == image.name
        })
    };
    let kept: BTreeSet<&PathBuf> = used.iter().flat_map(|image| &image.layers).collect();
    let gone: BTreeMap<&PathBuf, u64> = unused
        .iter()
        .flat_map(|image| image.layers.iter().zip(image.sizes.iter().copied()))
        .filter(|(layer, _)| !kept.contains(layer))
        .collect();
    store.change(|index| index.manifests.retain(|entry| !is_gone(entry)))?;
    let mut done = Vec::new();
    for image in &unused {
        if let Some(name) = &image.name {
            done.push(format!("untagged: {}", name.full()));
            tell(store, "untag", image, Some(name));
        }
        tell(store, "delete", image, None);
        done.push(format!("deleted: {}", image.id));
    }
    cache::forget(store)?;
    store.collect()?;
    let parts = incoming::forget_all(store)?;
    Ok((done, gone.values().sum::<u64>() + parts))
}

/// How a history is to be shown.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// All of what is long.
    pub no_trunc: bool,
    /// Only the IDs.
    pub quiet: bool,
    /// A template.
    pub format: Option<String>,
}

const STEP_TITLES: [(&str, &str); 6] = [
    ("ID", "IMAGE"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedSince", "CREATED"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];

const USUAL_STEP: &str =
    "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

/// How the image `which` was made, the last step first.
pub fn history(store: &Store, which: &str, how: &History) -> Result<Vec<String>> {
    let usual = if how.quiet { "{{.ID}}" } else { USUAL_STEP };
    let format = Format::read(how.format.as_deref(), usual)?;
    let image = store.image(which)?;
    let mut sizes = image.sizes.iter();
    let mut rows = Vec::new();
    for step in &image.config.history {
        let size = if step.empty_layer { 0 } else { sizes.next().copied().unwrap_or(0) };
        rows.push(how.row(step, size));
    }
    // Layers that the history does not know of.
    rows.extend(sizes.map(|size| how.row(&Step::default(), *size)));
    if let Some(last) = rows.last_mut() {
        let id =
            if how.no_trunc { image.id.to_string() } else { image.id.short().into() };
        last["ID"] = json!(id);
    }
    rows.reverse();
    format.lines(&STEP_TITLES, &rows)
}

impl History {
    fn row(&self, step: &Step, size: u64) -> Value {
        const LONGEST: usize = 45;
        let by = step.created_by.split_whitespace().collect::<Vec<_>>().join(" ");
        json!({
            "ID": "<missing>",
            "CreatedAt": moment(step.created.as_deref()),
            "CreatedSince": times::ago(step.created.as_deref()),
            "CreatedBy": if self.no_trunc { by } else { cut(&by, LONGEST) },
            "Size": in_decimals(size),
            "Comment": step.comment,
        })
    }
}

/// All that is known of the image `which`: Docker's names, as JSON.
pub fn inspect(store: &Store, which: &str) -> Result<Value> {
    let image = store.image(which)?;
    let names = names_of(store, &image)?;
    let digest = &image.manifest.digest;
    let config = &image.config;
    Ok(json!({
        "Id": image.id,
        "RepoTags": names.iter().filter(|name| name.tag().is_some()).map(Name::full)
            .collect::<Vec<_>>(),
        "RepoDigests": names.iter().map(|name| format!("{}@{digest}", name.repository()))
            .collect::<BTreeSet<_>>(),
        "Created": config.created,
        "Architecture": config.platform.architecture,
        "Os": config.platform.os,
        "Size": image.size(),
        "Config": config.config,
        "RootFS": { "Type": config.rootfs.kind, "Layers": config.rootfs.diff_ids },
        "GraphDriver": {
            "Name": "overlay2",
            "Data": { "Layers": image.layers },
        },
    }))
}
