//! In which order does a container come to life?
//!
//! [`contain`] is the whole answer: one call per lesson. What is around it (the description,
//! the container's folder, the wait for the end) is in `foreground.rs`.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use enter::Kind;
use mount::protect;
use mount::target::Root;
use net::bridge;
use stage::{Child, Cue, Error, Evidence, Pid, Program, Result, Stage};

use crate::spec::Spec;

/// Start the container that `spec` describes: every lesson so far, in the kernel's order.
///
/// The child that is returned is the container's number 1; it ends when we end. While it
/// starts, `connect` lays the cable into its network, and says what it is to know of that.
pub fn contain<'s>(
    stage: &'s Stage,
    spec: &Spec,
    connect: impl FnOnce(Pid) -> Result<String>,
) -> Result<Child<'s>> {
    // Lesson 3, pid, comes first: it is the child that is moved, not we.
    let mut first = pid::fork(stage, |cue| {
        // From here on we are the container's number 1, and leave the host bit by bit.

        // Lesson 6, net: a network stack of our own, or that of another container. A cable
        // is laid to it meanwhile.
        enter_network(stage, spec, cue)?;

        // Lesson 1, uts: a hostname of our own.
        uts::isolate(stage)?;
        uts::set_hostname(stage, &spec.hostname)?;

        // Lesson 2, ipc: no queue and no shared memory of the host's.
        ipc::isolate(stage)?;

        // Lesson 4, mount: no mount of ours is seen outside.
        mount::isolate(stage)?;

        // Lesson 18, overlay: the image below, an upper layer for what we write. It needs
        // the mount namespace, or the host would see it.
        stack(stage, spec)?;

        // Lesson 4 again: /proc, /dev, /sys and volumes, while the host's files can still
        // be reached. /proc shows the processes of lesson 3.
        let root = Root::open(&spec.root.path)?;
        mount::furnish::furnish(stage, &root, &spec.mounts_inside())?;
        mount::furnish::devices(stage, &root)?;

        // Lesson 20, pivot: our root becomes "/", the host's is gone.
        pivot::enter(stage, &spec.root.path)?;

        // Lesson 6 again: the cable is there, and we are told our address.
        if spec.is_connected() {
            take_address(&cue.listen()?)?;
        }

        // What takes rights away comes last: the steps before needed them. These paths are
        // looked up in the new root, where no link can lead to the host any more.
        let root = Root::open(Path::new("/"))?;
        enter_working_directory(&spec.process.cwd)?;
        if spec.root.readonly {
            for (place, _) in spec.stacks()? {
                pivot::read_only(stage, &place)?;
            }
        }
        protect::read_only(stage, &root, &spec.linux.readonly_paths)?;
        protect::mask(stage, &root, &spec.linux.masked_paths)?;
        drop(root);

        // And the child becomes the program that it was made for.
        cue.exec(stage, &program(spec))
    })?;
    if spec.is_connected() {
        first.evidence()?;
        let word = connect(first.pid()).map_err(|error| first.blame(error))?;
        first.say(&word)?;
    }
    Ok(first)
}

/// Leave the host's network, if it is not to be shared.
fn enter_network(stage: &Stage, spec: &Spec, cue: &mut Cue) -> Result<()> {
    let Some(network) = spec.namespace("network") else { return Ok(()) };
    if let Some(path) = &network.path {
        return enter::set(stage, &enter::open(stage, path)?, Kind::Net);
    }
    net::isolate(stage)?;
    net::loopback()?;
    net::share()?;
    if spec.is_connected() {
        cue.show(Evidence::default())?;
    }
    Ok(())
}

/// Take the address that is written in `word`. None is there if whoever connects us has
/// given us one already.
fn take_address(word: &str) -> Result<()> {
    if word.is_empty() { Ok(()) } else { bridge::configure(word).map(drop) }
}

/// Stack the layers, in memory if there is no other way.
fn stack(stage: &Stage, spec: &Spec) -> Result<()> {
    let mut in_memory = None;
    for (place, layers) in spec.stacks()? {
        // Where there are several, the one on "/" is the engine's own, and no link of an
        // image leads elsewhere.
        let merged = spec.root.path.join(place.strip_prefix("/").unwrap_or(&place));
        let room = layers.upper.parent().unwrap_or(Path::new("/"));
        if overlay::stack_anywhere(stage, &layers, &merged, room)? {
            in_memory.get_or_insert(room.display().to_string());
        }
    }
    if let Some(room) = in_memory {
        stage::warn(format!(
            "the file system of {room} cannot carry an upper layer: \
             changes are kept in memory, and are lost when the container ends"
        ));
    }
    Ok(())
}

/// Enter the working directory, which is made if the image has none.
pub(crate) fn enter_working_directory(cwd: &Path) -> Result<()> {
    let entered = fs::create_dir_all(cwd).and_then(|()| std::env::set_current_dir(cwd));
    entered.map_err(|error| {
        Error::io(format!("the working directory {cwd:?}"), &error)
            .hint("-w takes a folder of the container")
    })
}

/// The program that the container is for, or that is to join it.
pub(crate) fn program(spec: &Spec) -> Program {
    let words = |texts: &[String]| texts.iter().map(OsString::from).collect();
    Program::new(words(&spec.process.args), words(&spec.process.env))
}
