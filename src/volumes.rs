//! What of a container is not the image's business?
//!
//! Folders that the image says are volumes (config.md, "Volumes"): what is written there is in no
//! layer, so that it is neither slowed by copying up nor committed. Each is a folder of the
//! container's own, which at first has what the image has there.
//!
//! ```text
//! ROOT/containers/ID/volumes/0   the first, and so on
//! ```

use std::fs::{self, File};
use std::io::{BufReader, Seek};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use image::manifest::Settings;
use image::pack::pack;
use image::unpack::unpack;
use mount::target::Root;
use stage::{Error, Result};
use user::Numbers;

use crate::container::Plan;
use crate::describe::bind;
use crate::spec::{Mount, Spec, absolute};

const FOLDER: &str = "volumes";

/// How the volumes that the image wants are mounted, but for those that are `taken` already.
pub fn mounts(settings: &Settings, plan: &Plan, taken: &[Mount]) -> Result<Vec<Mount>> {
    let is_free =
        |path: &&PathBuf| !taken.iter().any(|mount| mount.destination == **path);
    let paths: Vec<PathBuf> = settings.volumes.keys().map(PathBuf::from).collect();
    paths.iter().try_for_each(|path| match path == Path::new("/") {
        true => Err(Error::input("the image wants all of \"/\" to be a volume")),
        false => absolute("a volume of the image's", path),
    })?;
    let place = |number: usize| plan.folder().join(FOLDER).join(number.to_string());
    let free = paths.iter().filter(is_free).enumerate();
    Ok(free.map(|(number, path)| bind(&place(number), path, "rw")).collect())
}

/// The container's own volumes, in its `folder`.
fn own<'s>(spec: &'s Spec, folder: &Path) -> impl Iterator<Item = &'s Mount> {
    let folder = folder.join(FOLDER);
    spec.mounts.iter().filter(move |mount| mount.source.starts_with(&folder))
}

/// Make their folders.
pub fn make(spec: &Spec, folder: &Path) -> Result<()> {
    own(spec, folder).try_for_each(|volume| {
        let made = fs::create_dir_all(&volume.source);
        made.map_err(|error| Error::io(volume.source.display(), &error))
    })
}

/// Give them what the image, which is stacked at `root`, has in their place.
pub fn fill(spec: &Spec, root: &Path) -> Result<()> {
    let stacks = spec.stacks()?;
    let Some(folder) =
        stacks.first().and_then(|(_, layers)| layers.upper.ancestors().nth(2))
    else {
        return Ok(());
    };
    let root = Root::open(root)?;
    for volume in own(spec, folder) {
        let Some(found) = root.existing(&volume.destination)? else { continue };
        // Through the descriptor: the way there may lead over links of the image's.
        let there = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
        if there.is_dir() {
            copy(&there, &volume.source)?;
        }
    }
    Ok(())
}

/// Copy what is in the folder `from` into `to`, owners and all.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let aside = to.with_extension("tar");
    let failed = |error: std::io::Error| Error::io(aside.display(), &error);
    let mut file = File::options().read(true).write(true).create_new(true).open(&aside);
    let file = file.as_mut().map_err(|error| Error::io(aside.display(), error))?;
    // It is ours alone, and shall be gone whatever happens.
    fs::remove_file(&aside).map_err(failed)?;
    pack(from, &mut *file, |user, group| (user, group))?;
    file.rewind().map_err(failed)?;
    unpack(BufReader::new(file), to, &[], &Numbers::here()?).map(drop)
}
