//! Which ways are there, and what does each need?

use std::fmt;
use std::str::FromStr;

/// A way to start a container from an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// Copy each file (Docker's driver vfs)
    Copy,
    /// Give each file a second name (the first overlay driver, for images)
    Links,
    /// Have each file share its blocks (vfs, where the file system can)
    Reflink,
    /// Take a snapshot of a subvolume (btrfs)
    Btrfs,
    /// Take a snapshot of the disk (devicemapper)
    Mapper,
    /// Stack an empty layer on it (overlay2)
    Overlay,
}

/// A file system, and how it is made: it lives for seconds, and on one disk.
pub struct FileSystem {
    pub kind: &'static str,
    pub program: &'static str,
    pub options: &'static [&'static str],
    pub package: &'static str,
}

/// Without a journal, so that all that is written is the job's; and nothing is put off.
const EXT4: FileSystem = FileSystem {
    kind: "ext4",
    program: "mkfs.ext4",
    options: &["-F", "-O", "^has_journal", "-E", "lazy_itable_init=0"],
    package: "e2fsprogs",
};

const XFS: FileSystem = FileSystem {
    kind: "xfs",
    program: "mkfs.xfs",
    options: &["-f", "-m", "reflink=1"],
    package: "xfsprogs",
};

/// Its metadata once: it would be kept twice on a single disk.
const BTRFS: FileSystem = FileSystem {
    kind: "btrfs",
    program: "mkfs.btrfs",
    options: &["-f", "-m", "single"],
    package: "btrfs-progs",
};

impl Driver {
    /// In this order each mends what the one before could not.
    pub const ALL: [Driver; 6] = [
        Driver::Copy,
        Driver::Links,
        Driver::Reflink,
        Driver::Btrfs,
        Driver::Mapper,
        Driver::Overlay,
    ];

    /// What its files are on. ext4 stands for any: there, nothing but the driver helps.
    pub fn file_system(self) -> &'static FileSystem {
        match self {
            Driver::Reflink => &XFS,
            Driver::Btrfs => &BTRFS,
            _ => &EXT4,
        }
    }

    /// What is proved when it is the only one.
    pub fn claim(self) -> &'static str {
        match self {
            Driver::Copy => "a copy takes all of the image, and the time for it",
            Driver::Links => {
                "a link takes a name, and a change a whole file, if the writer takes care"
            }
            Driver::Reflink => "files share their blocks, until one is written to",
            Driver::Btrfs => "trees share all, names too, until something is written to",
            Driver::Mapper => "disks share their chunks, until one is written to",
            Driver::Overlay => "an overlay takes an empty layer, and a change a file",
        }
    }

    /// Whether it copies all of the image, in order to start.
    pub fn copies_at_start(self) -> bool {
        self == Driver::Copy
    }

    /// Whether it copies all of a file, in order to change a byte of it.
    pub fn copies_whole_file(self) -> bool {
        matches!(self, Driver::Links | Driver::Overlay)
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Driver::Copy => "copy",
            Driver::Links => "links",
            Driver::Reflink => "reflink",
            Driver::Btrfs => "btrfs",
            Driver::Mapper => "mapper",
            Driver::Overlay => "overlay",
        })
    }
}

impl FromStr for Driver {
    type Err = String;

    fn from_str(text: &str) -> Result<Driver, String> {
        let named = Driver::ALL.into_iter().find(|driver| driver.to_string() == text);
        named.ok_or_else(|| {
            let names = Driver::ALL.map(|driver| driver.to_string());
            format!("there are {}", names.join(", "))
        })
    }
}

/// Docker's others, which no stock kernel has.
pub const NOT_RUN: [(&str, &str); 2] = [
    ("AUFS", "not run: no stock kernel has it. As overlay: the whole file"),
    ("ZFS", "not run: no stock kernel has it. As btrfs: its blocks"),
];
