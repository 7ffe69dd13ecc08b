//! What takes room on the disk, and what of it could go?
//!
//! `system df` counts, `container prune` and `system prune` take away. A layer that several images
//! stand on is there once, and is counted once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};
use stage::Result;

use crate::build::cache;
use crate::container;
use crate::filters::Filters;
use crate::format::{Format, aligned};
use crate::limits::units::in_decimals;
use crate::listing::{self, Listed, cut, image_of, short, sizes};
use crate::spec::IMAGE_ID;
use crate::status::Status;
use crate::store::{Image, Store};
use crate::volumes::{Volume, Volumes};
use crate::{images, times, when};

const TITLES: [(&str, &str); 5] = [
    ("Type", "TYPE"),
    ("TotalCount", "TOTAL"),
    ("Active", "ACTIVE"),
    ("Size", "SIZE"),
    ("Reclaimable", "RECLAIMABLE"),
];
const USUAL: &str =
    "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";

/// What one can choose by what goes.
pub const KEYS: [&str; 2] = ["label", "until"];

/// All that is there, and what is in use of it.
struct Found {
    containers: Vec<(Listed, u64)>,
    images: Vec<Image>,
    /// How many containers stand on each image, by its ID.
    users: BTreeMap<String, usize>,
    volumes: Vec<(String, usize, u64)>,
    /// What was built on the way: layers that are no image's.
    built: (usize, u64),
}

/// The lines of `system df`.
pub fn usage(store: &Store, format: Option<&str>) -> Result<Vec<String>> {
    let format = Format::read(format, USUAL)?;
    let found = Found::look(store)?;
    format.lines(&TITLES, &found.parts())
}

/// Those of `system df -v`: each thing.
pub fn usage_of_each(store: &Store) -> Result<Vec<String>> {
    let found = Found::look(store)?;
    let mut lines = vec!["Images space usage:".to_string(), String::new()];
    lines.extend(images::list(store, &images::List::default())?);
    lines.extend(["", "Containers space usage:", ""].map(String::from));
    lines.extend(aligned(&found.containers()));
    lines.extend(["", "Local Volumes space usage:", ""].map(String::from));
    lines.extend(aligned(&found.volumes()));
    let (count, size) = found.built;
    let built = format!("Build cache usage: {} in {count} steps", in_decimals(size));
    lines.extend([String::new(), built]);
    Ok(lines)
}

impl Found {
    fn look(store: &Store) -> Result<Found> {
        let mut containers = Vec::new();
        for listed in listing::all(store)?.0 {
            let (written, _) = sizes(store, &listed.known)?;
            containers.push((listed, written));
        }
        let mut users = BTreeMap::new();
        for (listed, _) in &containers {
            let image = listed.known.spec.annotations.get(IMAGE_ID);
            *users.entry(image.cloned().unwrap_or_default()).or_default() += 1;
        }
        let volumes = Volumes::of(store.root());
        let their_users = volumes.users()?;
        let volume = |it: Volume| {
            let users = their_users.get(&it.name).map_or(0, BTreeSet::len);
            Ok((it.name.clone(), users, it.size()?))
        };
        let volumes =
            volumes.all()?.into_iter().map(volume).collect::<Result<Vec<_>>>()?;
        let images = store.images()?;
        let known = layers(&images, |_| true);
        let steps = cache::layers(store)?;
        let built: BTreeMap<&PathBuf, u64> = steps
            .iter()
            .flatten()
            .filter(|(path, _)| !known.contains_key(path))
            .map(|(path, size)| (path, *size))
            .collect();
        let built = (steps.len(), built.values().sum());
        Ok(Found { containers, images, users, volumes, built })
    }

    fn is_used(&self, image: &Image) -> bool {
        self.users.contains_key(&image.id.to_string())
    }

    fn parts(&self) -> [Value; 4] {
        let (all, used) =
            (layers(&self.images, |_| true), layers(&self.images, |it| self.is_used(it)));
        let ids = |wanted: &dyn Fn(&Image) -> bool| {
            let wanted = self.images.iter().filter(|it| wanted(it)).map(|it| &it.id);
            wanted.collect::<BTreeSet<_>>().len()
        };
        let size = all.values().sum();
        let images = part(
            "Images",
            ids(&|_| true),
            ids(&|it| self.is_used(it)),
            size,
            size - used.values().sum::<u64>(),
        );
        let sum = |wanted: &dyn Fn(&Listed) -> bool| {
            let wanted = self.containers.iter().filter(|(it, _)| wanted(it));
            wanted.fold((0, 0), |(count, size), (_, written)| (count + 1, size + written))
        };
        let ((total, size), (active, used)) =
            (sum(&|_| true), sum(&|it| it.status.is_running()));
        let containers = part("Containers", total, active, size, size - used);
        let size: u64 = self.volumes.iter().map(|(.., size)| size).sum();
        let used = self.volumes.iter().filter(|(_, users, _)| *users > 0);
        let (active, used) =
            used.fold((0, 0), |(count, sum), (.., size)| (count + 1, sum + size));
        let volumes =
            part("Local Volumes", self.volumes.len(), active, size, size - used);
        let (steps, size) = self.built;
        [images, containers, volumes, part("Build Cache", steps, 0, size, size)]
    }

    fn containers(&self) -> Vec<String> {
        let titles = "CONTAINER ID\tIMAGE\tCOMMAND\tSIZE\tCREATED\tSTATUS\tNAMES";
        let row = |(Listed { known, status }, written): &(Listed, u64)| {
            let (spec, state) = (&known.spec, &known.state);
            let command = format!("{:?}", cut(&spec.process.args.join(" "), 20));
            let cells = [
                short(&known.id),
                image_of(spec),
                command,
                in_decimals(*written),
                times::ago(Some(&state.created)),
                status.words(state),
                state.name.clone().unwrap_or_default(),
            ];
            cells.join("\t")
        };
        [titles.to_string()].into_iter().chain(self.containers.iter().map(row)).collect()
    }

    fn volumes(&self) -> Vec<String> {
        let row = |(name, users, size): &(String, usize, u64)| {
            format!("{name}\t{users}\t{}", in_decimals(*size))
        };
        let titles = "VOLUME NAME\tLINKS\tSIZE".to_string();
        [titles].into_iter().chain(self.volumes.iter().map(row)).collect()
    }
}

/// The layers of the images that are wanted, each once, and the bytes in them.
fn layers(images: &[Image], wanted: impl Fn(&Image) -> bool) -> BTreeMap<&PathBuf, u64> {
    let images = images.iter().filter(|it| wanted(it));
    images.flat_map(|it| it.layers.iter().zip(it.sizes.iter().copied())).collect()
}

fn part(kind: &str, total: usize, active: usize, size: u64, free: u64) -> Value {
    let share = (free * 100).checked_div(size);
    let share = share.map_or_else(String::new, |share| format!(" ({share}%)"));
    json!({
        "Type": kind,
        "TotalCount": total.to_string(),
        "Active": active.to_string(),
        "Size": in_decimals(size),
        "Reclaimable": format!("{}{share}", in_decimals(free)),
    })
}

/// Remove the containers that do not run and that `filters` choose; their IDs, and the bytes that
/// they had written.
pub fn prune_containers(store: &Store, filters: &Filters) -> Result<(Vec<String>, u64)> {
    let until = filters.values("until").first();
    let until = until.map(|text| when::read("until", text)).transpose()?;
    let (mut gone, mut freed) = (Vec::new(), 0);
    for Listed { known, status } in listing::all(store)?.0 {
        let label = |key: &str| {
            known.spec.labels().find(|(it, _)| *it == key).map(|(_, value)| value)
        };
        let created = times::nanoseconds(&known.state.created).unwrap_or_default();
        let is_wanted = until.is_none_or(|until| created < i128::from(until))
            && filters.fit_labels(label);
        if !is_wanted || !matches!(status, Status::Created | Status::Exited) {
            continue;
        }
        let (written, _) = sizes(store, &known)?;
        // Somebody may have started it meanwhile, or removed it.
        if container::remove_ended(store, &known.id, false).is_ok() {
            freed += written;
            gone.push(known.id);
        }
    }
    Ok((gone, freed))
}
