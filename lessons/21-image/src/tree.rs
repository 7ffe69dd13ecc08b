//! When are two trees the same?
//!
//! When each has the same names, and for each name the same kind, mode, owner, time and bytes.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use image::Digest;
use stage::{Error, Evidence, Result, Stage};

/// The names of the files in the folder `tree`, and the digest of all that can be said of them.
pub fn look(stage: &Stage, tree: &str) -> Result<Evidence> {
    let (mut files, mut lines) = (Vec::new(), Vec::new());
    let listed = list(Path::new(tree), Path::new(""), &mut files, &mut lines);
    listed.map_err(|error| Error::io(tree, &error))?;
    // The top came last: in an overlay, it is that of the layer that takes the writes.
    lines.pop();
    let all = Digest::of(lines.join("\n").as_bytes());
    let seen = stage.look(tree).fact("files", files.join(" "));
    Ok(seen.fact("all", all.short()).end())
}

fn list(
    tree: &Path,
    path: &Path,
    files: &mut Vec<String>,
    lines: &mut Vec<String>,
) -> io::Result<()> {
    let about = fs::symlink_metadata(tree.join(path))?;
    let mut bytes = Digest::of(b"");
    if about.is_dir() {
        let names: io::Result<Vec<PathBuf>> = fs::read_dir(tree.join(path))?
            .map(|entry| Ok(path.join(entry?.file_name())))
            .collect();
        let mut names = names?;
        names.sort();
        names.iter().try_for_each(|name| list(tree, name, files, lines))?;
    } else {
        files.push(path.display().to_string());
        bytes = Digest::of(&fs::read(tree.join(path))?);
    }
    let (owner, group) = (about.uid(), about.gid());
    let (mode, seconds, rest) = (about.mode(), about.mtime(), about.mtime_nsec());
    let path = path.display();
    lines.push(format!("{path} {mode:o} {owner}:{group} {seconds}.{rest} {bytes}"));
    Ok(())
}
