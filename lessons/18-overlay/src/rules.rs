//! Which rules does an overlay follow?
//!
//! Same-named folders merge, a file in a higher layer hides one in a lower, and whatever is
//! written is copied up first. Deleting needs a mark, too, since the lower file stays.

use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use overlay::attribute::replace_folder;
use overlay::{Layers, is_opaque, is_whiteout};
use stage::{Error, Evidence, Result, Stage, Verdict};

/// Where the overlay appears.
pub const MERGED: &str = "merged";

/// The lower layers' files: two layers, the first is the higher one.
const LOWER: [(&str, &str); 7] = [
    ("image/etc/motd", "from image\n"),
    ("image/etc/shell", "from image\n"),
    ("base/etc/motd", "from base\n"),
    ("base/etc/hosts", "from base\n"),
    ("base/etc/issue", "from base\n"),
    ("base/etc/passwd", "from base\n"),
    ("base/notes/old", "from base\n"),
];

/// Lay two lower layers, and an upper that already has a file.
pub fn lay(stage: &Stage) -> Result<Layers> {
    let upper = [("upper/etc/issue", "from upper\n")];
    for (path, text) in LOWER.iter().chain(&upper) {
        let folder = Path::new(path).parent().unwrap_or(Path::new("."));
        done(path, fs::create_dir_all(folder))?;
        done(path, fs::write(path, text))?;
    }
    for folder in ["work", MERGED] {
        done(folder, fs::create_dir(folder))?;
    }
    stage.note("image/ lies on base/, upper/ on both; merged/ will show all three");
    Ok(Layers {
        lower: vec!["image".into(), "base".into()],
        upper: "upper".into(),
        work: "work".into(),
    })
}

/// What a container could do: write, delete, replace a folder.
pub fn change(stage: &Stage) -> Result<()> {
    stage.note(
        "now the container appends to etc/hosts, deletes etc/passwd, replaces notes/",
    );
    let hosts = "merged/etc/hosts";
    let mut file = done(hosts, OpenOptions::new().append(true).open(hosts))?;
    done(hosts, file.write_all(b"from container\n"))?;
    done("merged/etc/passwd", fs::remove_file("merged/etc/passwd"))?;
    replace_folder("merged/notes")?;
    done("merged/notes/new", fs::write("merged/notes/new", "from container\n"))
}

/// What each side shows.
pub fn look(stage: &Stage) -> Result<Evidence> {
    let merged = stage
        .look("merged")
        .fact("etc/", names("merged/etc")?)
        .fact("etc/motd", text("merged/etc/motd"))
        .fact("etc/issue", text("merged/etc/issue"))
        .fact("etc/hosts", text("merged/etc/hosts"))
        .fact("notes/", names("merged/notes")?);
    let upper = stage
        .look("upper")
        .fact("etc/", names("upper/etc")?)
        .fact("etc/hosts", text("upper/etc/hosts"))
        .fact("etc/passwd", kind("upper/etc/passwd"))
        .fact("notes/", kind("upper/notes"));
    let base = stage
        .look("base")
        .fact("etc/hosts", text("base/etc/hosts"))
        .fact("identity", identity("base/etc/hosts")?)
        .fact("etc/passwd", text("base/etc/passwd"))
        .fact("notes/", names("base/notes")?);
    let looks = [("merged", merged.end()), ("upper", upper.end()), ("base", base.end())];
    Ok(Evidence::joined(looks))
}

/// The rules, as predictions.
pub fn judge(before: &Evidence, after: &Evidence) -> Verdict {
    Verdict::on(
        "reads find the topmost layer, writes go to the upper, the lower stay untouched",
    )
    .equal(
        "folders of three layers merge",
        "hosts issue motd passwd shell",
        &before["merged etc/"],
    )
    .equal("of two lower files the first wins", "from image", &before["merged etc/motd"])
    .equal("an upper file hides a lower one", "from upper", &before["merged etc/issue"])
    .equal("nothing is copied by mounting", "issue", &before["upper etc/"])
    .equal("the write is seen", "from base, from container", &after["merged etc/hosts"])
    .equal(
        "it is in the upper layer",
        "from base, from container",
        &after["upper etc/hosts"],
    )
    .equal("the lower file's bytes", "from base", &after["base etc/hosts"])
    .equal(
        "the lower file's inode and time",
        &before["base identity"],
        &after["base identity"],
    )
    .equal("the deleted file is gone", "hosts issue motd shell", &after["merged etc/"])
    .equal("the upper layer marks it", "whiteout", &after["upper etc/passwd"])
    .equal("the lower one still has it", "from base", &after["base etc/passwd"])
    .equal("the new folder is empty but for", "new", &after["merged notes/"])
    .equal("the upper layer marks it, too", "opaque folder", &after["upper notes/"])
    .equal("the lower folder still has", "old", &after["base notes/"])
}

fn names(folder: &str) -> Result<String> {
    let mut names = Vec::new();
    for entry in done(folder, fs::read_dir(folder))? {
        names.push(done(folder, entry)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join(" "))
}

fn text(path: &str) -> String {
    let text = fs::read_to_string(path);
    text.map_or("-".into(), |text| text.lines().collect::<Vec<_>>().join(", "))
}

fn identity(path: &str) -> Result<String> {
    let file = done(path, fs::symlink_metadata(path))?;
    Ok(format!(
        "inode {}, written at {}.{:09}",
        file.ino(),
        file.mtime(),
        file.mtime_nsec()
    ))
}

fn kind(path: &str) -> &'static str {
    let path = Path::new(path);
    match fs::symlink_metadata(path) {
        Err(_) => "-",
        Ok(_) if is_whiteout(path) => "whiteout",
        Ok(_) if is_opaque(path) => "opaque folder",
        Ok(_) => "file or folder",
    }
}

fn done<T>(what: impl Display, answer: std::io::Result<T>) -> Result<T> {
    answer.map_err(|error| Error::io(what, &error))
}
