//! `mount --propagation`: who notices a mount?
//!
//! In a sandbox (a mount namespace with a tmpfs of its own on /tmp) lie four shared mounts.
//! A second namespace is copied from it, and sets its copy of each to another propagation.
//! Then each side mounts something: `up` in the copy, `down` in the original. The shared
//! row is what an engine suffers that forgets to make its mounts private.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mount::Propagation::{self, Private, Shared, Slave, Unbindable};
use nix::sched::{CloneFlags, unshare};
use stage::{Error, Evidence, Result, Stage, Verdict};

const KINDS: [(&str, Propagation); 4] = [
    ("shared", Shared),
    ("slave", Slave),
    ("private", Private),
    ("unbindable", Unbindable),
];

pub fn play(stage: &Stage) -> Result<Verdict> {
    let mut original = stage.fork(|cue| {
        prepare(stage)?;
        let mut copy = stage.fork(|cue| {
            let bindable = in_the_copy(stage)?;
            cue.report(bindable)?;
            cue.report(look(stage, "copy", "down")?)?;
            Ok(0)
        })?;
        let bindable = copy.evidence()?;
        for (name, _) in KINDS {
            mount::tmpfs(stage, &place(name).join("down"))?;
        }
        copy.proceed()?;
        let down = copy.evidence()?;
        copy.finish()?;
        for seen in [bindable, down, look(stage, "original", "up")?] {
            cue.report(seen)?;
        }
        Ok(0)
    })?;
    let bindable = original.evidence()?;
    original.proceed()?;
    let down = original.evidence()?;
    original.proceed()?;
    let up = original.evidence()?;
    original.finish()?;
    Ok(judge(&up, &down, &bindable))
}

/// A sandbox of our own, and four shared mounts in it.
fn prepare(stage: &Stage) -> Result<()> {
    mount::isolate(stage)?;
    mount::tmpfs(stage, Path::new("/tmp"))?;
    for (name, _) in KINDS {
        let place = place(name);
        make_folder(&place)?;
        mount::tmpfs(stage, &place)?;
        mount::propagate(stage, &place, Shared)?;
        ["up", "down"].iter().try_for_each(|way| make_folder(&place.join(way)))?;
    }
    make_folder(Path::new("/tmp/bound"))
}

/// In a second namespace: each mount gets its propagation, then something mounted in it.
fn in_the_copy(stage: &Stage) -> Result<Evidence> {
    stage.ask("unshare(CLONE_NEWNS)", || unshare(CloneFlags::CLONE_NEWNS))?;
    let mut seen = Evidence::default();
    for (name, how) in KINDS {
        mount::propagate(stage, &place(name), how)?;
        mount::tmpfs(stage, &place(name).join("up"))?;
        let bound = mount::bind(stage, &place(name), Path::new("/tmp/bound"));
        seen.record(name, if bound.is_ok() { "can be bound" } else { "cannot be bound" });
    }
    Ok(seen)
}

/// Whether what the other side has mounted at `way` is here, too.
fn look(stage: &Stage, who: &str, way: &str) -> Result<Evidence> {
    let mut seen = stage.look(who);
    for (name, _) in KINDS {
        let (here, above) = (device(&place(name).join(way))?, device(&place(name))?);
        let noticed = if here == above { "no" } else { "yes" };
        seen = seen.fact(name, format!("notices {way}: {noticed}"));
    }
    Ok(seen.end())
}

/// Which file system `path` is on: another one than the folder's above is mounted there.
fn device(path: &Path) -> Result<u64> {
    fs::metadata(path)
        .map(|about| about.dev())
        .map_err(|error| Error::io(path.display(), &error))
}

fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir(path).map_err(|error| Error::io(path.display(), &error))
}

fn place(name: &str) -> PathBuf {
    Path::new("/tmp").join(name)
}

fn judge(up: &Evidence, down: &Evidence, bindable: &Evidence) -> Verdict {
    let mut verdict =
        Verdict::on("a shared mount passes on, a slave takes, a private does neither");
    for (name, how) in KINDS {
        let yes = |when: bool| if when { "yes" } else { "no" };
        let goes_up = format!("notices up: {}", yes(how == Shared));
        let goes_down = format!("notices down: {}", yes(how == Shared || how == Slave));
        let binds = if how == Unbindable { "cannot be bound" } else { "can be bound" };
        verdict = verdict
            .equal(
                &format!("{name}: the copy's mount, in the original"),
                goes_up,
                &up[name],
            )
            .equal(
                &format!("{name}: the original's mount, in the copy"),
                goes_down,
                &down[name],
            )
            .equal(&format!("{name}: a bind mount of it"), binds, &bindable[name]);
    }
    verdict
}
