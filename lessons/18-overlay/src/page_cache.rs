//! `overlay --page-cache`: do two containers keep one file in memory twice?
//!
//! No: an overlay has no data of its own. A file that the first container has read from the
//! disk is in memory for the second before its first read. A copy of the file, as every
//! container without layers would have it, is not.

use std::fs;
use std::path::{Path, PathBuf};

use overlay::cache::{forget, resident};
use overlay::{Layers, stack};
use stage::{Error, Evidence, Ledger, Result, Stage, Verdict};

const SIZE: usize = 1 << 20;

pub fn play(stage: &Stage) -> Result<Verdict> {
    for left in overlay::sweep()? {
        stage.note(&format!("removed what a killed run had left: {left}"));
    }
    let image = Image::make()?;
    let mut containers = stage.fork(|cue| {
        crate::sandbox(stage)?;
        for name in ["first", "second"] {
            stack(stage, &image.layers_for(name)?, Path::new(name))?;
        }
        forget(&image.folder.join("file"))?;
        forget(&image.folder.join("copy"))?;
        cue.report(look(stage, &image)?)?;
        stage.note("the first container reads its file");
        fs::read("first/file").map_err(|error| Error::io("first/file", &error))?;
        cue.report(look(stage, &image)?)?;
        Ok(0)
    })?;
    let cold = containers.evidence()?;
    containers.proceed()?;
    let warm = containers.evidence()?;
    containers.finish()?;

    let claim =
        Verdict::on("layers share the page cache: one file in memory for all containers");
    if cold["file"] != *"0 of 256 pages" {
        let why = "this file system keeps its files in memory (tmpfs?)";
        return Ok(claim.skip("reading from a disk", why));
    }
    Ok(claim
        .equal("the second's file, before anybody reads", "0 of 256 pages", &cold["file"])
        .equal(
            "the second's file, after the first has read",
            "256 of 256 pages",
            &warm["file"],
        )
        .equal("a copy of the file", "0 of 256 pages", &warm["copy"]))
}

/// How much is in memory of what the second container has, without reading it.
fn look(stage: &Stage, image: &Image) -> Result<Evidence> {
    let pages = |path: &Path| {
        resident(path)
            .map(|resident| format!("{} of {} pages", resident.pages, resident.of))
    };
    let seen = stage.look("second").fact("file", pages(Path::new("second/file"))?);
    Ok(seen.fact("copy", pages(&image.folder.join("copy"))?).end())
}

/// A lower layer on a disk: only what is read from one has to be cached.
struct Image {
    folder: PathBuf,
    _ledger: Ledger,
}

impl Image {
    fn make() -> Result<Image> {
        let folder = PathBuf::from(format!("{}{}", overlay::ON_DISK, std::process::id()));
        let mut ledger = Ledger::open("overlay")?;
        ledger.note(folder.display())?;
        let image = Image { folder, _ledger: ledger };
        let failed = |error| Error::io(image.folder.display(), &error);
        fs::create_dir(&image.folder).map_err(failed)?;
        for name in ["file", "copy"] {
            fs::write(image.folder.join(name), vec![b'x'; SIZE]).map_err(failed)?;
        }
        Ok(image)
    }

    fn layers_for(&self, container: &str) -> Result<Layers> {
        let own = |part: &str| PathBuf::from(format!("{container}-{part}"));
        for folder in [own("upper"), own("work"), container.into()] {
            fs::create_dir(&folder)
                .map_err(|error| Error::io(folder.display(), &error))?;
        }
        Ok(Layers {
            lower: vec![self.folder.clone()],
            upper: own("upper"),
            work: own("work"),
        })
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // If that fails, the note stays and the next start tries again.
        fs::remove_dir_all(&self.folder).ok();
    }
}
