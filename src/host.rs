//! How does the machine become an image for somebody who is not root?
//!
//! Root stacks one overlay over "/". In a user namespace the kernel refuses that: below "/"
//! other file systems are mounted, and what they cover must stay covered for whoever cannot
//! unmount them (locked mounts: mount_namespaces(7)). So the image is a skeleton of "/": its
//! links and empty folders, and each folder gets an overlay of its own.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use stage::{Error, Result};

use crate::container::Plan;
use crate::describe::{Request, bind, overlay};
use crate::rootless;
use crate::spec::Mount;

/// What a container has for itself, whatever the machine has there.
const OWN: [&str; 5] = ["proc", "sys", "dev", "run", "tmp"];

/// File systems that an overlay can have below it. There are more, but not as a rule.
const PLAIN: [&str; 8] =
    ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "overlay"];

/// What there is in "/".
#[derive(Debug, Default)]
pub struct View {
    /// Folders that can be the lower layer of an overlay.
    layers: Vec<PathBuf>,
    /// What can only be shown as it is: files, and folders with mounts below.
    as_is: Vec<PathBuf>,
    links: Vec<(PathBuf, PathBuf)>,
    /// What we may not look into.
    closed: Vec<PathBuf>,
}

/// The view of the machine, if that is what is wanted and we are not its root.
pub fn view(request: &Request) -> Result<Option<View>> {
    let is_wanted = request.is_host() && rootless::is_rootless();
    is_wanted.then(View::new).transpose()
}

impl View {
    /// Look at the machine as it is now.
    pub fn new() -> Result<View> {
        let mounts = Mounted::all()?;
        let failed = |error| Error::io("/", &error);
        let mut view = View::default();
        for entry in fs::read_dir("/").map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !OWN.iter().any(|name| entry.file_name() == *name) {
                view.add(entry.path(), entry.file_type().map_err(failed)?, &mounts)?;
            }
        }
        for paths in [&mut view.layers, &mut view.as_is, &mut view.closed] {
            paths.sort();
        }
        Ok(view)
    }

    fn add(
        &mut self,
        path: PathBuf,
        kind: fs::FileType,
        mounts: &[Mounted],
    ) -> Result<()> {
        if kind.is_symlink() {
            let target = fs::read_link(&path);
            let target = target.map_err(|error| Error::io(path.display(), &error))?;
            self.links.push((path, target));
        } else if kind.is_dir() {
            let stacks = mounts.iter().all(|mounted| mounted.lets_stack(&path));
            match fs::read_dir(&path) {
                Err(_) => self.closed.push(path),
                Ok(_) if stacks => self.layers.push(path),
                Ok(_) => self.as_is.push(path),
            }
        } else if kind.is_file() && File::open(&path).is_ok() {
            self.as_is.push(path);
        }
        Ok(())
    }

    /// How it is mounted: the skeleton on "/", then what goes in there.
    pub fn mounts(&self, plan: &Plan) -> Result<Vec<Mount>> {
        let skeleton = overlay(Path::new("/"), &[plan.skeleton()], plan)?;
        let layers = self
            .layers
            .iter()
            .map(|path| overlay(path, std::slice::from_ref(path), plan));
        let as_is = self.as_is.iter().map(|path| Ok(bind(path, path, "ro,nosuid,nodev")));
        std::iter::once(Ok(skeleton)).chain(layers).chain(as_is).collect()
    }

    /// Make the folder `skeleton`, and say what will be missing.
    pub fn build(&self, skeleton: &Path) -> Result<()> {
        let make = |path: &Path, mode| {
            let made = DirBuilder::new().mode(mode).create(path);
            made.map_err(|error| Error::io(path.display(), &error))
        };
        self.warn();
        make(skeleton, 0o755)?;
        let place = |path: &Path| skeleton.join(path.strip_prefix("/").unwrap_or(path));
        for path in self.layers.iter().chain(&self.closed) {
            let mode = if self.closed.contains(path) { 0o700 } else { 0o755 };
            make(&place(path), mode)?;
        }
        for (path, target) in &self.links {
            let made = symlink(target, place(path));
            made.map_err(|error| Error::io(place(path).display(), &error))?;
        }
        Ok(())
    }

    /// Say what is not as root would see it.
    fn warn(&self) {
        stage::warn(
            "without root, the host's files belong to nobody in here: most can be read only",
        );
        let folders = self.as_is.iter().filter(|path| path.is_dir());
        let what = [
            ("empty, as you may not read them", self.closed.iter().collect()),
            ("read-only, as others are mounted below", folders.collect::<Vec<_>>()),
        ];
        let told = what.iter().filter(|(_, paths)| !paths.is_empty());
        let told = told.map(|(what, paths)| {
            let paths = paths.iter().map(|path| path.display().to_string());
            format!("{what}: {}", paths.collect::<Vec<_>>().join(", "))
        });
        let told = told.collect::<Vec<_>>().join("; ");
        if !told.is_empty() {
            stage::warn(told);
        }
    }
}

/// A mount, as /proc/self/mountinfo tells it (proc(5)).
struct Mounted {
    on: PathBuf,
    kind: String,
}

impl Mounted {
    fn all() -> Result<Vec<Mounted>> {
        let path = "/proc/self/mountinfo";
        let text = fs::read_to_string(path).map_err(|error| Error::io(path, &error))?;
        Ok(text.lines().filter_map(Mounted::parse).collect())
    }

    fn parse(line: &str) -> Option<Mounted> {
        let (mount, system) = line.split_once(" - ")?;
        let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
        let on = mount.split(' ').nth(4)?.to_string();
        let on = escapes.iter().fold(on, |on, (code, letter)| on.replace(code, letter));
        Some(Mounted { on: on.into(), kind: system.split(' ').next()?.to_string() })
    }

    /// Whether an overlay over the folder `path` can be mounted in spite of this mount.
    fn lets_stack(&self, path: &Path) -> bool {
        match self.on == path {
            true => PLAIN.contains(&&*self.kind),
            false => !self.on.starts_with(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_decides_what_can_be_a_layer() {
        let line = "36 35 98:0 / /mnt/a\\040b rw,noatime master:1 - vfat /dev/root rw";
        let below = Mounted::parse(line);
        let on = below.as_ref().map(|it| it.on.as_path());
        assert_eq!(on, Some(Path::new("/mnt/a b")));
        let lets = |path: &str| below.as_ref().map(|it| it.lets_stack(Path::new(path)));
        assert_eq!(lets("/mnt"), Some(false));
        assert_eq!(lets("/mn"), Some(true));
        let itself = |kind: &str| Mounted { on: "/home".into(), kind: kind.to_string() };
        assert!(itself("ext4").lets_stack(Path::new("/home")));
        assert!(!itself("vfat").lets_stack(Path::new("/home")));
    }
}
