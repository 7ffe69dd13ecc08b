//! In which order does a container come to life?
//!
//! [`contain`] is the whole answer: one call per lesson. What is around it (the description,
//! the container's folder) is in `foreground.rs`, the wait for the end in `keep.rs`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use enter::Kind;
use mount::protect;
use mount::target::Root;
use net::bridge;
use overlay::Layers;
use pids::rlimits;
use stage::{Child, Cue, Error, Evidence, Pid, Program, Result, Stage};

use crate::guards::Guards;
use crate::limits::Limits;
use crate::settings::limits_of;
use crate::spec::{Spec, User};
use crate::streams::ItsEnds;
use crate::{userns, volumes};

/// A container that has been started. In this order it goes: nobody is in the group any more
/// when that is removed.
pub struct Contained<'s> {
    /// The container's number 1; it ends when we end.
    pub first: Child<'s>,
    /// What it may use.
    pub limits: Limits,
}

/// Start the container that `spec` describes: every lesson so far, in the kernel's order.
///
/// It speaks through `streams`. While it starts, `connect` lays the cable into its network, and
/// says what it is to know of that.
pub fn contain<'s>(
    stage: &'s Stage,
    spec: &Spec,
    streams: &ItsEnds,
    connect: impl FnOnce(Pid) -> Result<String>,
) -> Result<Contained<'s>> {
    // What cannot be is refused before anything is touched.
    let guards = Guards::of(spec)?;

    // Lesson 9, cgroup: a group, and with lessons 10 to 16 its limits, before anybody is in
    // it who could use more.
    let limits = Limits::make(stage, spec)?;

    // Lessons 5, user, and 3, pid, come next: see `start`.
    let mut first = start(stage, spec, |cue, spec| {
        // From here on we are the container's number 1, and leave the host bit by bit.

        // Lesson 9 again: into the group, so that all that we use is counted there.
        limits.enter(stage)?;

        // Lesson 17, cgroup-ns: the group that we are in is the topmost one that we see.
        isolate_groups(stage, spec)?;

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
        stand_on_image(stage, spec)?;

        // Lesson 4 again: /proc, /dev, /sys and volumes, while the host's files can still
        // be reached. /proc shows the processes of lesson 3.
        let root = Root::open(&spec.root.path)?;
        mount::furnish::furnish(stage, &root, &spec.mounts_inside())?;
        mount::furnish::devices(stage, &root)?;

        // Lesson 17 again: our own group, where programs look for their limits.
        limits.show(stage, &root)?;

        // Lesson 20, pivot: our root becomes "/", the host's is gone.
        pivot::enter(stage, &spec.root.path)?;

        // Lesson 6 again: the cable is there, and we are told our address.
        if spec.is_connected() {
            take_address(&cue.listen()?)?;
        }

        // What takes rights away comes last: the steps before needed them.
        enter_working_directory(&spec.process.cwd)?;

        // Lesson 4 again: switches of our own, and then nothing of the machine's can be
        // written to in /proc and /sys.
        protect(stage, spec)?;

        // Lesson 25, tty: a terminal of its own, if it is to have one, and not ours.
        streams.take(stage, spec.process.user.uid)?;

        // Lessons 22, caps, and 23, seccomp, with lesson 5, user, in between: what root may
        // and what can be called, and whoever the command is to run as.
        guards.put_on(stage, || become_user(stage, spec))?;

        // And the child becomes the program that it was made for.
        play(stage, spec, cue)
    })?;
    if spec.is_connected() {
        first.evidence()?;
        let word = connect(first.pid()).map_err(|error| first.blame(error))?;
        first.say(&word)?;
    }
    Ok(Contained { first, limits })
}

/// Become the container's program; or, lesson 24, init, let a child of ours do that, and stay
/// as number 1.
fn play(stage: &Stage, spec: &Spec, cue: &mut Cue) -> Result<u8> {
    match spec.has_init() {
        true => init::keep(stage, cue, |cue| cue.exec(stage, &program(spec))),
        false => cue.exec(stage, &program(spec)),
    }
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

/// See no group but our own and those below, unless the host's are to be seen.
fn isolate_groups(stage: &Stage, spec: &Spec) -> Result<()> {
    match spec.namespace("cgroup") {
        Some(_) => cgroup_ns::isolate(stage),
        None => Ok(()),
    }
}

/// Set what is asked for of /proc/sys: of what belongs to our namespaces. Then let nobody write to
/// the root file system, if that is asked for, and to what is the machine's.
fn protect(stage: &Stage, spec: &Spec) -> Result<()> {
    // Paths are looked up in the new root, where no link can lead to the host any more.
    let root = Root::open(Path::new("/"))?;
    for (name, value) in &spec.linux.sysctl {
        mount::sysctl::set(stage, &root, name, value)?;
    }
    let stacks = if spec.root.readonly { spec.stacks()? } else { Vec::new() };
    stacks.iter().try_for_each(|(place, _)| pivot::read_only(stage, place))?;
    protect::read_only(stage, &root, &spec.linux.readonly_paths)?;
    protect::mask(stage, &root, &spec.linux.masked_paths)
}

/// Start the container's number 1, which plays `first`.
fn start<'s>(
    stage: &'s Stage,
    spec: &Spec,
    first: impl FnOnce(&mut Cue, &Spec) -> Result<u8>,
) -> Result<Child<'s>> {
    let Some(maps) = spec.users() else {
        // Lesson 3, pid: it is the child that is moved, not we.
        return pid::fork(stage, |cue| first(cue, spec));
    };
    // Lesson 5, user, before all others: they belong to the user namespace they are made in.
    // We ourselves stay outside. A child enters, and its own child is number 1.
    let users = userns::found(stage, &maps)?;
    let mut outer = stage.fork(|cue| {
        let spec = userns::prepare(stage, spec, &maps, &users)?;
        // Lesson 13: inside, nobody can allow himself more.
        rlimits::allow(stage, &limits_of(&spec))?;
        enter::set(stage, &users, Kind::User)?;
        user::become_root(stage)?;
        userns::check_way(&spec.root.path)?;
        let inner = pid::fork(stage, |own| {
            cue.take_over(own)?;
            first(cue, &spec)
        })?;
        cue.hand_over(inner)
    })?;
    outer.follow()?;
    Ok(outer)
}

/// Make the image a file system of our own.
fn stand_on_image(stage: &Stage, spec: &Spec) -> Result<()> {
    match spec.users() {
        None => {
            stack(stage, &spec.stacks()?, &spec.root.path)?;
            volumes::fill(spec, &spec.root.path)
        }
        // The host's root has stacked it. What came with our copy of its mounts is locked to
        // its place, and cannot become "/": a bind mount of it is ours, and can.
        Some(_) => pivot::make_mount_point(stage, &spec.root.path),
    }
}

/// Stack the layers below `root`, in memory if there is no other way.
pub(crate) fn stack(
    stage: &Stage,
    stacks: &[(PathBuf, Layers)],
    root: &Path,
) -> Result<()> {
    let mut in_memory = None;
    for (place, layers) in stacks {
        // Where there are several, the one on "/" is the engine's own, and no link of an
        // image leads elsewhere.
        let merged = root.join(place.strip_prefix("/").unwrap_or(place));
        let room = layers.upper.parent().unwrap_or(Path::new("/"));
        if overlay::stack_anywhere(stage, layers, &merged, room)? {
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
    // /proc/self/fd has names for what we have open, the host's folders among it. From there
    // the kernel knows no path to where we are (CVE-2024-21626).
    let inside = entered.and_then(|()| std::env::current_dir());
    inside.map(drop).map_err(|error| {
        Error::io(format!("the working directory {cwd:?}"), &error)
            .hint("-w takes a folder of the container")
    })
}

/// Be who the container's process is to be, for good.
pub(crate) fn become_user(stage: &Stage, spec: &Spec) -> Result<()> {
    // Lesson 13, pids: what each process may use. We ourselves have needed more.
    rlimits::set(stage, &limits_of(spec))?;
    let User { uid, gid, additional_gids } = &spec.process.user;
    user::become_user(stage, *uid, *gid, additional_gids)
}

/// The program that the container is for, or that is to join it.
pub(crate) fn program(spec: &Spec) -> Program {
    let words = |texts: &[String]| texts.iter().map(OsString::from).collect();
    Program::new(words(&spec.process.args), words(&spec.process.env))
}
