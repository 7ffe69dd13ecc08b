//! What does a volume begin with?
//!
//! A new one with what the image has in its place, owners and all, once. Of several containers that
//! start with it at the same time, one fills it, and the others wait. One that was killed
//! meanwhile has left a note, and the next one does it again: nobody goes on with half.

use std::fs::{self, File};
use std::io::{BufReader, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use image::layout::write_whole;
use image::pack::pack;
use image::unpack::unpack;
use mount::target::Root;
use stage::{Error, Result};
use user::Numbers;

use super::{NEW, Volumes, nameless};
use crate::disk::lock;
use crate::spec::{Mount, Spec};
use crate::sys::files::sync_file_system;

/// The annotation that says which of a container's volumes are not to be filled: their names, with
/// commas between them.
pub const EMPTY: &str = "fakedocker.volumes.empty";

/// What the note says while the volume is being filled.
const BEGUN: &[u8] = b"begun";

/// Let the container's new volumes begin with what the image, which is stacked at `root`, has in
/// their places.
pub fn fill(spec: &Spec, root: &Path) -> Result<()> {
    let volumes = Volumes::beside(spec);
    let empty = spec.annotations.get(EMPTY).map_or("", String::as_str);
    let to_fill = spec.mounts.iter().filter(|mount| {
        let name = volumes.name_of(mount);
        name.is_some_and(|name| empty.split(',').all(|it| it != name))
    });
    let new: Vec<&Mount> = to_fill.filter(|mount| note_of(mount).exists()).collect();
    if new.is_empty() {
        return Ok(());
    }
    let root = Root::open(root)?;
    for mount in new {
        let Some(found) = root.existing(&mount.destination)? else { continue };
        // Through the descriptor: the way there may lead over links of the image's.
        let there = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
        if there.is_dir() {
            begin(spec, mount, &there)?;
        }
    }
    Ok(())
}

/// What says that the volume has not begun yet.
fn note_of(mount: &Mount) -> PathBuf {
    mount.source.with_file_name(NEW)
}

/// Let the volume begin with what is in the folder `from`, if nobody else has.
fn begin(spec: &Spec, mount: &Mount, from: &Path) -> Result<()> {
    let (data, note) = (&mount.source, note_of(mount));
    let failed = |error: std::io::Error| Error::io(data.display(), &error);
    let held = File::open(note.with_file_name(".")).map_err(failed)?;
    lock(&held, File::lock).map_err(failed)?;
    let Ok(said) = fs::read(&note) else { return Ok(()) };
    let is_empty = |folder: &Path| Ok(fs::read_dir(folder)?.next().is_none());
    if said == BEGUN || is_empty(data).map_err(failed)? {
        if said != BEGUN && is_empty(from).map_err(failed)? {
            // There may be another image that has something for it.
            return resemble(spec, data, from).map_err(failed);
        }
        write_whole(&note, BEGUN)?;
        copy(spec, from, data)?;
        resemble(spec, data, from).map_err(failed)?;
        let name = Volumes::beside(spec).name_of(mount);
        if nameless(spec).all(|it| Some(it) != name) {
            // The note must not be gone sooner than the files are on the disk.
            sync_file_system(&held).map_err(failed)?;
        }
    }
    fs::remove_file(&note).map_err(failed)
}

/// Let the folder `data` belong to whom the folder `from` belongs to.
fn resemble(spec: &Spec, data: &Path, from: &Path) -> std::io::Result<()> {
    let about = fs::metadata(from)?;
    let (user, group) = spec.owner_inside(about.uid(), about.gid());
    // Who is alone in a user namespace has nobody to give it to.
    chown(data, Some(user), Some(group)).ok();
    fs::set_permissions(data, about.permissions())
}

/// Copy what is in the folder `from` into `to`, owners and all: on the disk, a volume's files
/// belong to the numbers that its containers have.
fn copy(spec: &Spec, from: &Path, to: &Path) -> Result<()> {
    let aside = to.with_extension("tar");
    let failed = |error: std::io::Error| Error::io(aside.display(), &error);
    // Whoever was killed has left one.
    fs::remove_file(&aside).ok();
    let mut file = File::options().read(true).write(true).create_new(true).open(&aside);
    let file = file.as_mut().map_err(|error| Error::io(aside.display(), error))?;
    // It is ours alone, and shall be gone whatever happens.
    fs::remove_file(&aside).map_err(failed)?;
    pack(from, &mut *file, |user, group| spec.owner_inside(user, group))?;
    file.rewind().map_err(failed)?;
    unpack(BufReader::new(file), to, &[], &Numbers::here()?).map(drop)
}
