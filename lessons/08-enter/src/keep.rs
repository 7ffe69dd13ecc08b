//! `enter --keep`: can a namespace outlive its processes?
//!
//! It lives as long as somebody needs it: a process that is in it, an open descriptor, or a
//! bind mount of its file. In a sandbox (a mount namespace with a tmpfs of its own on /tmp)
//! a founder makes a UTS namespace, mounts it on a file and ends. An heir finds it there,
//! with the name that the founder gave it. `ip netns add` does the same in /run/netns.

use std::fs::{self, File};
use std::path::Path;

use enter::Kind;
use stage::{Error, Evidence, Result, Stage, Verdict, proc};

const KEPT: &str = "/tmp/kept";
const NAME: &str = "founded";

pub fn play(stage: &Stage) -> Result<Verdict> {
    let host = look(stage, "host")?;
    let mut sandbox = stage.fork(|cue| {
        let [founder, orphan, heir, late] = inherit(stage)?;
        for seen in [founder, orphan, heir, late] {
            cue.report(seen)?;
        }
        Ok(0)
    })?;
    let mut next = || {
        let seen = sandbox.evidence();
        sandbox.proceed().and(seen)
    };
    let (founder, orphan, heir, late) = (next()?, next()?, next()?, next()?);
    sandbox.wait()?;
    let after = look(stage, "host")?;
    stage.gap();
    Ok(Verdict::on("a namespace lives as long as somebody needs it: a mount is enough")
        .differ("the founder's namespace", &host["uts"], &founder["uts"])
        .equal("processes in it after the founder's end", 0, &orphan["processes"])
        .equal("the heir's namespace", &founder["uts"], &heir["uts"])
        .equal("the name that the heir finds", NAME, &heir["hostname"])
        .equal("what the file is without the mount", "refused: EINVAL", &late["setns"])
        .equal("the host's namespace", &host["uts"], &after["uts"])
        .equal("the host's name", &host["hostname"], &after["hostname"]))
}

/// From the founder to the last one, who comes too late.
fn inherit(stage: &Stage) -> Result<[Evidence; 4]> {
    let kept = Path::new(KEPT);
    mount::isolate(stage)?;
    mount::tmpfs(stage, Path::new("/tmp"))?;
    File::create(kept).map_err(|error| Error::io(KEPT, &error))?;
    let founder = see(stage, |who| {
        uts::isolate(who)?;
        uts::set_hostname(who, NAME)?;
        enter::keep(who, Kind::Uts, kept)?;
        look(who, "founder")
    })?;
    let processes = members(&founder["uts"])?;
    let orphan = stage.look("sandbox").fact("processes", processes).end();
    let heir = see(stage, |who| {
        enter::set(who, &enter::open(who, kept)?, Kind::Uts)?;
        look(who, "heir")
    })?;
    enter::release(stage, kept)?;
    let late = see(stage, |who| {
        let entered = enter::set(who, &enter::open(who, kept)?, Kind::Uts);
        let errno = entered.err().and_then(|error| error.errno());
        let answer =
            errno.map_or("granted".into(), |errno| format!("refused: {errno:?}"));
        Ok(who.look("late").fact("setns", answer).end())
    })?;
    Ok([founder, orphan, heir, late])
}

/// What a child sees that plays `part` and ends.
fn see(stage: &Stage, part: impl FnOnce(&Stage) -> Result<Evidence>) -> Result<Evidence> {
    let mut child = stage.fork(|cue| {
        cue.report(part(stage)?)?;
        Ok(0)
    })?;
    let seen = child.evidence()?;
    child.proceed()?;
    child.wait()?;
    Ok(seen)
}

/// The name that we see, and the namespace that it is written in.
fn look(stage: &Stage, who: &str) -> Result<Evidence> {
    let seen = stage.look(who).fact("hostname", uts::names()?.0);
    Ok(seen.fact("uts", proc::namespace("uts")?).end())
}

/// How many processes are in this UTS namespace.
fn members(namespace: &str) -> Result<usize> {
    let entries = fs::read_dir("/proc").map_err(|error| Error::io("/proc", &error))?;
    let links = entries.flatten().map(|entry| fs::read_link(entry.path().join("ns/uts")));
    Ok(links.flatten().filter(|link| link.as_os_str() == namespace).count())
}
