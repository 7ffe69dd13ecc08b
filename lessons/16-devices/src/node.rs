//! What is a device node?
//!
//! A file with a kind and two numbers, and nothing in it: it can be made anywhere, under any
//! name. What is opened is the device with these numbers. A file system may be mounted so
//! that its nodes open nothing (nodev); that is another lock (lesson 4), and not used here.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use devices::Kind;
use mount::furnish::{Mount, furnish};
use mount::target::Root;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, major, makedev, minor, mknodat};
use stage::{Error, Result, Stage};

/// Where the nodes are: on a tmpfs that only the container sees.
const ROOM: &str = "/tmp";

/// A device, and what we call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    kind: Kind,
    major: u64,
    minor: u64,
}

/// A tmpfs over /tmp on which nodes are nodes. It ends with us, whatever happens.
pub fn make_room(stage: &Stage) -> Result<()> {
    mount::isolate(stage)?;
    let options = ["nosuid", "noexec", "mode=755"].map(String::from).to_vec();
    let (kind, source) = ("tmpfs".to_string(), "tmpfs".into());
    let room = Mount { destination: ROOM.into(), kind, source, options };
    furnish(stage, &Root::open(Path::new("/"))?, &[room])
}

impl Node {
    pub fn null() -> Node {
        Node { name: "null".into(), kind: Kind::Char, major: 1, minor: 3 }
    }

    pub fn loop_device() -> Node {
        Node { name: "loop0".into(), kind: Kind::Block, major: 7, minor: 0 }
    }

    /// A disk that we may open now. A machine without one has the kernel's log, which is not
    /// a container's business, either.
    pub fn disk(stage: &Stage) -> Node {
        let list = fs::read_to_string("/proc/partitions").unwrap_or_default();
        let mut disks =
            list.lines().filter_map(read_partition).chain([Node::loop_device()]);
        let opens = |node: &Node| File::open(Path::new("/dev").join(&node.name)).is_ok();
        disks.find(opens).unwrap_or_else(|| {
            stage.note(
                "no disk here can be opened: kmsg, the kernel's log, stands for it",
            );
            Node { name: "kmsg".into(), kind: Kind::Char, major: 1, minor: 11 }
        })
    }

    /// Make a node for it, called `name`.
    pub fn make(&self, stage: &Stage, name: &str) -> Result<()> {
        let (kind, flag) = match self.kind {
            Kind::Block => (SFlag::S_IFBLK, "S_IFBLK"),
            Kind::Char => (SFlag::S_IFCHR, "S_IFCHR"),
        };
        let path = format!("{ROOM}/{name}");
        // strace writes 0 without 0x.
        let [major, minor] = [self.major, self.minor].map(|number| match number {
            0 => "0".to_string(),
            _ => format!("{number:#x}"),
        });
        let numbers = format!("makedev({major}, {minor})");
        let call = format!("mknodat(AT_FDCWD, {path:?}, {flag}|0600, {numbers})");
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let device = makedev(self.major, self.minor);
        let make = || mknodat(AT_FDCWD, path.as_str(), kind, mode, device);
        stage.ask(call, make).map_err(|error| match error.errno() {
            Some(Errno::EPERM) => error.hint(devices::HINT),
            _ => error,
        })
    }

    /// Open its node, in the room that the process with that `root` has.
    pub fn open(&self, stage: &Stage, root: &str) -> Result<()> {
        let path = format!("{root}{ROOM}/{}", self.name);
        let call = format!("openat(AT_FDCWD, {path:?}, O_RDONLY|O_CLOEXEC)");
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let open = || openat(AT_FDCWD, path.as_str(), flags, Mode::empty());
        stage.ask(call, open).map(drop)
    }

    /// What its node is, as the file system tells it.
    pub fn found(&self) -> Result<Node> {
        let path = format!("{ROOM}/{}", self.name);
        let about =
            fs::symlink_metadata(&path).map_err(|error| Error::io(&path, &error))?;
        let kind = match about.file_type().is_block_device() {
            true => Kind::Block,
            false => Kind::Char,
        };
        let (major, minor) = (major(about.rdev()), minor(about.rdev()));
        Ok(Node { name: self.name.clone(), kind, major, minor })
    }
}

/// `granted`, or the kernel's errno.
pub fn told(answer: Result<()>, granted: &str) -> Result<String> {
    match answer {
        Ok(()) => Ok(granted.to_string()),
        // The kernel's answer, and not, say, that somebody has pressed Ctrl-C.
        Err(error) => Ok(format!("{:?}", error.errno().ok_or(error)?)),
    }
}

/// A line of /proc/partitions: major, minor, blocks, name.
fn read_partition(line: &str) -> Option<Node> {
    let [major, minor, _, name] = line.split_whitespace().collect::<Vec<_>>()[..] else {
        return None;
    };
    let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
    Some(Node { name: name.to_string(), kind: Kind::Block, major, minor })
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Block => 'b',
            Kind::Char => 'c',
        };
        write!(f, "{kind} {}:{}", self.major, self.minor)
    }
}
