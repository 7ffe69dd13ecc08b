//! `overlay --copy-up`: what does the first write to a big file cost?
//!
//! A whole copy of it, even if only its mode changes, because the upper layer must have all
//! of a file or nothing. The option metacopy lets it have the metadata alone, redirect_dir
//! lets a lower folder be renamed without copying what is in it. Layers made with them
//! cannot be understood without them, so that neither is on by default everywhere.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::errno::Errno;
use overlay::{Layers, stack_with};
use stage::{Error, Evidence, Result, Stage, Verdict, proc};

const MIB: u64 = 1 << 20;
const SIZE: u64 = 64 * MIB;

pub fn play(stage: &Stage) -> Result<Verdict> {
    let mut sandbox = stage.fork(|cue| {
        crate::sandbox(stage)?;
        make_lower()?;
        // Both are off in a user namespace, and may not even be named there.
        let off = if limited() { "" } else { "metacopy=off,redirect_dir=off" };
        cue.report(change(stage, "plain", off)?)?;
        if !limited() {
            cue.report(change(stage, "frugal", "metacopy=on,redirect_dir=on")?)?;
        }
        Ok(0)
    })?;
    let plain = sandbox.evidence()?;
    let claim =
        Verdict::on("the first change copies the file up, unless metadata may go alone")
            .equal("bytes copied for a new mode", "64 MiB", &plain["copied"])
            .equal("a lower folder's renaming", "EXDEV", &plain["rename"]);
    if limited() {
        sandbox.finish()?;
        let why = "whoever can write to a layer could forge their attributes, so that the \
            kernel refuses them in a user namespace";
        return Ok(claim.skip("metacopy and redirect_dir", why));
    }
    sandbox.proceed()?;
    let frugal = sandbox.evidence()?;
    sandbox.finish()?;
    Ok(claim.equal("bytes copied with metacopy", "0 MiB", &frugal["copied"]).equal(
        "a lower folder's renaming with redirect_dir",
        "done",
        &frugal["rename"],
    ))
}

/// Whether overlayfs is limited to what root of a user namespace may ask of it.
fn limited() -> bool {
    proc::is_in_user_namespace()
}

fn make_lower() -> Result<()> {
    let failed = |error| Error::io("lower", &error);
    fs::create_dir_all("lower/folder").map_err(failed)?;
    let big = vec![b'x'; usize::try_from(SIZE).unwrap_or_default()];
    fs::write("lower/big", big).map_err(failed)
}

/// Change a big file's mode and a folder's name in an overlay with `options`.
fn change(stage: &Stage, name: &str, options: &str) -> Result<Evidence> {
    let own = |part: &str| PathBuf::from(format!("{name}-{part}"));
    for folder in [own("upper"), own("work"), name.into()] {
        fs::create_dir(&folder).map_err(|error| Error::io(folder.display(), &error))?;
    }
    let layers =
        Layers { lower: vec!["lower".into()], upper: own("upper"), work: own("work") };
    let merged = Path::new(name);
    stack_with(stage, &layers, merged, options)?;

    let (big, begin) = (merged.join("big"), Instant::now());
    fs::set_permissions(&big, Permissions::from_mode(0o600))
        .map_err(|error| Error::io(big.display(), &error))?;
    let took = begin.elapsed().as_secs_f64() * 1000.0;
    let copy = own("upper").join("big");
    let copy = fs::metadata(&copy).map_err(|error| Error::io(copy.display(), &error))?;
    // st_blocks counts 512 bytes each, whatever the file system's own blocks are: stat(2).
    let copied = copy.blocks() * 512 / MIB;
    let renamed = fs::rename(merged.join("folder"), merged.join("renamed"));
    let renamed = renamed.map_or_else(refusal, |()| "done".to_string());
    let seen = stage.look(name).fact("copied", format!("{copied} MiB"));
    Ok(seen.fact("time", format!("{took:.2} ms")).fact("rename", renamed).end())
}

fn refusal(error: std::io::Error) -> String {
    format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or_default()))
}
