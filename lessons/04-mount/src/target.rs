//! How does one mount inside a root file system that one does not trust?
//!
//! Its /proc or /dev can be a symbolic link to a folder of the host, and a path is followed
//! anew in every call. So a target is opened once, with the kernel treating the root file
//! system as "/" for every link on the way, and is mounted on through that descriptor.
//! CVE-2021-30465 and CVE-2019-19921 were engines that used paths.
//!
//! Read openat2(2) (RESOLVE_IN_ROOT) and magic links in symlink(7).

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};
use stage::{Error, Result};

/// A root file system, before anybody is in it.
pub struct Root {
    folder: OwnedFd,
}

impl Root {
    /// Open the root file system at `path`, which is ours and trusted.
    pub fn open(path: &Path) -> Result<Root> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = open(path, flags, Mode::empty()).map_err(|errno| {
            Error::call(format!("open({path:?}, O_DIRECTORY)"), errno)
        })?;
        Ok(Root { folder })
    }

    /// Open the folder at `path` inside, making what is missing.
    pub fn folder(&self, path: &Path) -> Result<OwnedFd> {
        match self.try_open(path) {
            Ok(found) => Ok(found),
            Err(Errno::ENOENT) => self.make_folder(path),
            Err(errno) => Err(self.refused(path, errno)),
        }
    }

    /// Open the file at `path` inside, making an empty one if there is none.
    pub fn file(&self, path: &Path) -> Result<OwnedFd> {
        self.file_behind(path, LINKS)
    }

    /// The same, over at most `links` symbolic links that lead to nothing yet, as
    /// /etc/resolv.conf often does.
    fn file_behind(&self, path: &Path, links: u32) -> Result<OwnedFd> {
        match self.try_open(path) {
            Ok(found) => return Ok(found),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(self.refused(path, errno)),
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let made = match self.resolve(path, flags) {
            Err(Errno::ENOENT) => {
                self.folder(folder)?;
                self.resolve(path, flags)
            }
            made => made,
        };
        match made {
            // Nothing could be opened, but there is something: a link.
            Err(Errno::EEXIST) if links > 0 => {}
            made => return made.map_err(|errno| self.refused(path, errno)),
        }
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let leads_to = self.resolve(path, flags).and_then(|link| readlinkat(&link, ""));
        let leads_to = leads_to.map_err(|errno| self.refused(path, errno))?;
        self.file_behind(&joined(folder, Path::new(&leads_to)), links - 1)
    }

    /// Open what is at `path` inside; None if there is nothing.
    pub fn existing(&self, path: &Path) -> Result<Option<OwnedFd>> {
        match self.try_open(path) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(self.refused(path, errno)),
        }
    }

    /// Read the file at `path` inside; None if there is none. Something else in its place, or
    /// more than `most` bytes, is refused: to open a device can do things, and a pipe waits.
    pub fn read(&self, path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.readable(path, most)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = file.take(most).read_to_end(&mut bytes);
        read.map_err(|error| Error::io(format!("read({path:?})"), &error))?;
        Ok(Some(bytes))
    }

    /// The same, for whoever wants to read it in pieces.
    pub fn readable(&self, path: &Path, most: u64) -> Result<Option<File>> {
        let Some(found) = self.existing(path)? else { return Ok(None) };
        check_file(&File::from(found), path, most)?;
        // Looked at once more: it may have been exchanged, but opening it did not wait.
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file =
            self.resolve(path, flags).map_err(|errno| self.refused(path, errno))?;
        let file = File::from(file);
        check_file(&file, path, most)?;
        Ok(Some(file))
    }

    /// Open the file at `path` inside, to write to it.
    pub(crate) fn writable(&self, path: &Path) -> Result<OwnedFd> {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        self.resolve(path, flags).map_err(|errno| self.refused(path, errno))
    }

    fn try_open(&self, path: &Path) -> nix::Result<OwnedFd> {
        self.resolve(path, OFlag::O_PATH | OFlag::O_CLOEXEC)
    }

    fn resolve(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let mode = if flags.contains(OFlag::O_CREAT) { 0o644 } else { 0 };
        let how = OpenHow::new()
            .flags(flags)
            .mode(Mode::from_bits_truncate(mode))
            .resolve(ResolveFlag::RESOLVE_IN_ROOT);
        let mut tries = TRIES;
        loop {
            // EAGAIN: somebody renamed something on the way, and the kernel is not sure; or has
            // a lease on the file (fcntl(2)), and perhaps for long.
            match openat2(&self.folder, &relative(path), how) {
                Err(Errno::EAGAIN) if tries > 0 => tries -= 1,
                answer => return answer,
            }
        }
    }

    /// mkdir -p, each step resolved inside, from the deepest one that is there.
    fn make_folder(&self, path: &Path) -> Result<OwnedFd> {
        let refused = |errno| self.refused(path, errno);
        let name = path.file_name().ok_or_else(|| refused(Errno::ENOENT))?;
        let parent = self.folder(path.parent().unwrap_or(Path::new("")))?;
        match mkdirat(&parent, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(refused(errno)),
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        self.resolve(path, flags).map_err(refused)
    }

    fn refused(&self, path: &Path, errno: Errno) -> Error {
        let call = format!("openat2(rootfs, {path:?}, RESOLVE_IN_ROOT)");
        let error = Error::call(call, errno);
        match errno {
            Errno::ENOENT | Errno::ELOOP => {
                error.hint("a symbolic link on the way leads to nothing in this root")
            }
            Errno::EROFS => error.hint(
                "its folder is read-only: make it there before, or mount that writable",
            ),
            _ => error,
        }
    }
}

/// Whether `file`, known as `path`, is an ordinary one of at most `most` bytes.
fn check_file(file: &File, path: &Path, most: u64) -> Result<()> {
    let about = file.metadata();
    let about = about.map_err(|error| Error::io(format!("fstat({path:?})"), &error))?;
    let wrong = match about.len() {
        _ if !about.is_file() => "no ordinary file".to_string(),
        length if length > most => format!("{length} bytes long, more than {most}"),
        _ => return Ok(()),
    };
    Err(Error::input(format!("{path:?} in that root is {wrong}: it is not read")))
}

/// As many links on the way as the kernel follows: path_resolution(7).
const LINKS: u32 = 40;

/// So often a path is looked up, if the kernel is not sure.
const TRIES: u32 = 128;

/// Where a link in `folder` leads. What climbs out of the root stays in it.
fn joined(folder: &Path, leads_to: &Path) -> PathBuf {
    let mut place = PathBuf::new();
    for step in folder.join(leads_to).components() {
        match step {
            Component::Normal(name) => place.push(name),
            Component::ParentDir => drop(place.pop()),
            _ => {}
        }
    }
    place
}

/// RESOLVE_IN_ROOT takes "/etc" and "etc" alike, but wants something: "." is the root.
fn relative(path: &Path) -> PathBuf {
    let path = path.strip_prefix("/").unwrap_or(path);
    if path.as_os_str().is_empty() { ".".into() } else { path.into() }
}

/// The path by which mount(2) reaches what `target` has open, and nothing else.
pub fn path_of(target: &impl AsFd) -> PathBuf {
    format!("/proc/self/fd/{}", target.as_fd().as_raw_fd()).into()
}

/// The same as the narrator shows it, with a remark as strace makes them:
/// `"/proc/self/fd/8" /* /dev */`.
pub fn shown(target: &impl AsFd, destination: &Path) -> String {
    format!("{:?} /* {} */", path_of(target), destination.display())
}

/// Whether `target` is a folder.
pub fn is_folder(target: &OwnedFd) -> bool {
    let kind = |about: FileStat| SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT;
    fstat(target).is_ok_and(|about| kind(about) == SFlag::S_IFDIR)
}
