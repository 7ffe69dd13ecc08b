//! How is a disk copied at once, whatever is on it?
//!
//! The device mapper makes disks out of other disks. Its target `snapshot` is a disk that
//! reads as another one, until a part of it is written: that chunk is copied to a third disk
//! first, and is read and written there from then on. The file systems on it know nothing.
//!
//! A mapped device stays when its maker is gone. So its name is written down first, and the
//! kernel is told to let go of it when nobody uses it any more.
//!
//! Read the kernel's device-mapper/snapshot.rst and linux/dm-ioctl.h.

use std::fs::File;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::minor;
use stage::{Error, Ledger, Result, Stage, descriptor};

use request::{Ask, Request};

mod request;

/// Who is asked for all of it.
const CONTROL: &str = "/dev/mapper/control";

/// How our mapped devices are called; a PID and a word follow.
const OURS: &str = "fakedocker-";

/// What a mapped device does.
#[derive(Debug, Clone, Copy)]
pub enum Target<'d> {
    /// Is this disk, and lets its snapshots keep what is overwritten.
    Origin(&'d Path),
    /// Begins as `origin`; what becomes different is in `store`.
    Snapshot {
        /// The disk that all chunks are read from that were not written to.
        origin: &'d Path,
        /// The disk for the chunks that were.
        store: &'d Path,
    },
}

impl Target<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Target::Origin(_) => "snapshot-origin",
            Target::Snapshot { .. } => "snapshot",
        }
    }

    /// What the kernel wants to know beside the size: see snapshot.rst.
    fn parameters(&self) -> String {
        match self {
            Target::Origin(disk) => disk.display().to_string(),
            // N: it need not outlive a reboot. 8 sectors of 512 bytes are a chunk.
            Target::Snapshot { origin, store } => {
                format!("{} {} N 8", origin.display(), store.display())
            }
        }
    }
}

/// The name of a mapped device, written down before there is one. Dropped, the device goes
/// with whoever uses it.
pub struct Name {
    name: String,
    _ledger: Ledger,
}

impl Name {
    /// A name that ends in `word`.
    pub fn reserve(word: &str) -> Result<Name> {
        // No "-" in it: before the last one in a note's name stands whose it is (ledger.rs).
        let own = format!("{}.{word}", std::process::id());
        let name = format!("{OURS}{own}");
        let ledger = Ledger::claim("cow", &own)?;
        let mut ledger =
            ledger.ok_or_else(|| Error::input(format!("there is a {name:?}")))?;
        ledger.note(&name)?;
        Ok(Name { name, _ledger: ledger })
    }

    /// Make the device of this name, of `size` bytes; where it is in /dev.
    pub fn map(&self, stage: &Stage, target: Target, size: u64) -> Result<PathBuf> {
        let name = &self.name;
        let control = open().map_err(|error| Error::io(CONTROL, &error))?;
        let ask = |ask: Ask, what: &str, request: &mut Request| {
            let fd = descriptor(&control);
            let call = format!("ioctl({fd}, {ask:?}, {{name={name:?}{what}}})");
            stage.ask(call, || request.send(&control, ask)).map(drop)
        };
        ask(Ask::DM_DEV_CREATE, "", &mut Request::about(name)?)?;
        let (kind, parameters) = (target.kind(), target.parameters());
        let told = format!(", target={kind:?}, parameters={parameters:?}");
        let mut table = Request::with_table(name, size / 512, kind, &parameters)?;
        ask(Ask::DM_TABLE_LOAD, &told, &mut table)?;
        // A table is loaded beside the one that is in use. Without DM_SUSPEND_FLAG, this call
        // is the opposite of what it is called: the new table is used from now on.
        let mut resumed = Request::about(name)?;
        ask(Ask::DM_DEV_SUSPEND, "", &mut resumed)?;
        Ok(format!("/dev/dm-{}", minor(resumed.device())).into())
    }

    /// Have the kernel remove the device when its last user is gone, as unlink(2) does with
    /// a file.
    pub fn let_go(&self, stage: &Stage) -> Result<()> {
        let control = open().map_err(|error| Error::io(CONTROL, &error))?;
        let (fd, name) = (descriptor(&control), &self.name);
        let what = format!("{{name={name:?}, flags=DM_DEFERRED_REMOVE}}");
        let call = format!("ioctl({fd}, DM_DEV_REMOVE, {what})");
        stage.ask(call, || remove(&control, name)).map(drop)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // What fails here stays, and has a name by which it is found.
        if let Ok(control) = open() {
            remove(&control, &self.name).ok();
        }
    }
}

/// What this machine lacks for it, if it lacks something.
pub fn lacks(stage: &Stage) -> Result<Option<String>> {
    let Ok(control) = open() else {
        return Ok(Some(format!("this kernel has no device mapper ({CONTROL})")));
    };
    let kind = "snapshot";
    let call = format!(
        "ioctl({}, DM_GET_TARGET_VERSION, {{name={kind:?}}})",
        descriptor(&control)
    );
    let mut request = Request::about(kind)?;
    // To ask is enough for the kernel to load the module.
    let known =
        stage.attempt(call, || request.send(&control, Ask::DM_GET_TARGET_VERSION))?;
    let why = |errno| format!("the device mapper has no target {kind} here ({errno:?})");
    Ok(known.err().map(why))
}

/// The devices that a killed demonstration has left: nothing is changed.
pub fn left() -> Result<Vec<String>> {
    let notes = Ledger::left("cow")?;
    let names = notes.iter().flat_map(|note| note.lines());
    Ok(names.filter(|name| name.starts_with(OURS)).map(String::from).collect())
}

/// Remove the devices that a killed demonstration has left; returns their names.
pub fn sweep() -> Result<Vec<String>> {
    Ledger::abandoned("cow", |name| {
        // No device mapper, no such device.
        let gone = |control| matches!(remove(&control, name), Ok(_) | Err(Errno::ENXIO));
        name.starts_with(OURS) && open().map_or(true, gone)
    })
}

fn open() -> std::io::Result<File> {
    File::options().read(true).write(true).open(CONTROL)
}

fn remove(control: &File, name: &str) -> nix::Result<i32> {
    let mut request = Request::about(name).map_err(|_| Errno::ENAMETOOLONG)?;
    request.let_go();
    request.send(control, Ask::DM_DEV_REMOVE)
}
