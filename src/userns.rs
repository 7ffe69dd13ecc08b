//! How does a container's root come to be nobody in particular outside?
//!
//! By a user namespace (lesson 5), in which all its other namespaces are made. But the image's
//! files belong to the host's root on the disk, so that before we enter it, while we still are
//! that root, we show them by the container's numbers (idmap.rs in lesson 4).

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use enter::Kind;
use mount::furnish::{Mount as Entry, furnish};
use mount::idmap;
use mount::target::Root;
use stage::{Error, Evidence, Result, Stage};
use user::Maps;

use crate::run::stack;
use crate::spec::{IdMapping, Mount, Namespace, Spec};
use crate::volumes::{self, Volumes};

/// What `--userns` can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Users {
    /// The host's.
    #[default]
    Host,
    /// Its own.
    Own {
        /// Who its root is outside.
        first: u32,
        /// How many numbers there are, from 0 on inside and from `first` on outside.
        count: u32,
    },
}

impl Users {
    /// The namespace that it takes, if it is not the host's.
    pub fn namespace(self) -> Option<Namespace> {
        let own = Namespace { kind: "user".into(), path: None };
        (self != Users::Host).then_some(own)
    }

    /// The map, of users and of groups alike.
    pub fn mappings(self) -> Vec<IdMapping> {
        match self {
            Users::Host => Vec::new(),
            Users::Own { first, count } => {
                vec![IdMapping { container_id: 0, host_id: first, size: count }]
            }
        }
    }

    /// Whether group `gid` can be somebody's inside.
    pub fn has_group(self, gid: u32) -> bool {
        match self {
            Users::Host => true,
            Users::Own { count, .. } => gid < count,
        }
    }
}

impl FromStr for Users {
    type Err = Error;

    fn from_str(text: &str) -> Result<Users, Error> {
        if text == "host" {
            return Ok(Users::Host);
        }
        let numbers =
            text.split_once(':').map(|(first, count)| (first.parse(), count.parse()));
        let Some((Ok(first), Ok(count))) = numbers else {
            return Err(Error::input(format!(
                "{text:?} is no range of users: give FIRST:COUNT, such as 100000:65536, or host"
            )));
        };
        match (first, count) {
            (0, _) => {
                Err(Error::input("from 0 on, root inside would be the host's root"))
            }
            (_, 0) => Err(Error::input("with a COUNT of 0 there is no root inside")),
            _ => Ok(Users::Own { first, count }),
        }
    }
}

/// Make a user namespace with these `maps`. It lives on while it is open.
pub fn found(stage: &Stage, maps: &Maps) -> Result<OwnedFd> {
    let mut founder = stage.fork(|cue| {
        user::isolate(stage)?;
        cue.report(Evidence::default())?;
        Ok(0)
    })?;
    founder.evidence()?;
    user::write(stage, founder.pid(), maps)?;
    let users = enter::open(stage, &Kind::User.of(founder.pid()))?;
    founder.proceed()?;
    founder.wait()?;
    Ok(users)
}

/// Do what only the host's root may, in a mount namespace of our own: stack the image by the
/// numbers of `users`, whose `maps` these are, and find the volumes. Returns what is left to
/// do inside.
pub fn prepare(stage: &Stage, spec: &Spec, maps: &Maps, users: &OwnedFd) -> Result<Spec> {
    mount::isolate(stage)?;
    let workshop = &spec.root.path;
    mount::tmpfs(stage, workshop)?;
    // The host's root needs one overlay only.
    let (place, mut layers) = spec.stacks()?.swap_remove(0);
    // The engine's own files for the container are beside its layers.
    let folder = layers.upper.ancestors().nth(2).map(PathBuf::from);
    for (number, layer) in layers.lower.iter_mut().enumerate() {
        let place = make_folder(workshop.join(format!("lower{number}")))?;
        idmap::show(stage, layer, &place, users)?;
        *layer = place;
    }
    let mut inside = spec.clone();
    inside.root.path = make_folder(workshop.join("merged"))?;
    stack(stage, &[(place, layers)], &inside.root.path)?;
    // The upper layer is not idmapped: overlayfs itself writes there, too, as who mounted it.
    give_to_root(maps, &inside.root.path)?;
    volumes::fill(spec, &inside.root.path)?;
    join_network(stage, &mut inside)?;
    let shop = Root::open(workshop)?;
    let ours = Volumes::beside(spec);
    let volumes = inside.mounts.iter_mut().filter(|mount| mount.kind == "bind");
    for (number, volume) in volumes.enumerate() {
        if folder.as_ref().is_some_and(|folder| volume.source.starts_with(folder)) {
            give_to_root(maps, &volume.source)?;
        }
        if ours.name_of(volume).is_some() {
            // Like the image's: other containers that have it may have other users.
            let place = make_folder(workshop.join(format!("whole{number}")))?;
            idmap::show(stage, &volume.source, &place, users)?;
            volume.source = place;
        }
        let place = format!("volume{number}");
        find_volume(stage, &shop, volume, &place)?;
        volume.source = workshop.join(place);
    }
    Ok(inside)
}

/// Let the container's root own what is at `path`.
fn give_to_root(maps: &Maps, path: &Path) -> Result<()> {
    chown(path, maps.user_outside(0), maps.group_outside(0))
        .map_err(|error| Error::io(format!("chown({path:?})"), &error))
}

/// Join another container's network, if that is to be shared: it may belong to other users.
fn join_network(stage: &Stage, inside: &mut Spec) -> Result<()> {
    let path = inside.namespace("network").and_then(|network| network.path.clone());
    if let Some(path) = path {
        enter::set(stage, &enter::open(stage, &path)?, Kind::Net)?;
        inside.linux.namespaces.retain(|namespace| namespace.kind != "network");
    }
    Ok(())
}

/// Show a volume at `place` in our workshop: on the way to its source there may be folders,
/// such as /root, that nobody but the host's root may enter. Read-only, if it is to be: what
/// is so before the user namespace is entered, root in there cannot undo.
fn find_volume(
    stage: &Stage,
    shop: &Root,
    volume: &mut Mount,
    place: &str,
) -> Result<()> {
    let entry = Entry {
        destination: place.into(),
        kind: volume.kind.clone(),
        source: volume.source.clone(),
        options: volume.options.clone(),
    };
    furnish(stage, shop, &[entry])
}

/// Refuse to go on if the container's root, whom we are now, cannot reach `path`.
pub fn check_way(path: &Path) -> Result<()> {
    let closed =
        path.ancestors().skip(1).filter(|folder| fs::metadata(folder.join(".")).is_err());
    match closed.last() {
        Some(folder) => Err(Error::input(format!(
            "the container's root may not enter {folder:?}, on the way to its own files"
        ))
        .hint("`chmod o+x` it, or keep containers elsewhere: --root DIR")),
        None => Ok(()),
    }
}

fn make_folder(path: PathBuf) -> Result<PathBuf> {
    fs::create_dir(&path).map_err(|error| Error::io(path.display(), &error))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let own = Users::Own { first: 100_000, count: 65536 };
        assert_eq!("100000:65536".parse(), Ok(own));
        assert_eq!("host".parse(), Ok(Users::Host));
        for wrong in [
            "",
            ":",
            "1",
            "1:",
            ":1",
            "-1:5",
            "1:2:3",
            "x:y",
            "0:65536",
            "5:0",
            "5000000000:1",
        ] {
            assert!(wrong.parse::<Users>().is_err(), "{wrong}");
        }
    }
}
