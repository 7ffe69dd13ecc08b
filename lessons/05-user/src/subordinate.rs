//! How does somebody without privilege get more than one number?
//!
//! The administrator sets numbers aside for a user, in /etc/subuid and /etc/subgid. The
//! kernel knows nothing of these files: newuidmap(1) and newgidmap(1) are setuid programs
//! that read them, and write the map in their own right. Read subuid(5).

use std::fs;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

use nix::unistd::{Pid, Uid, User, getegid, getuid};
use stage::{Error, Result, Stage};

use crate::{Line, Maps};

/// Root inside is who we are outside; behind it come the numbers set aside for us.
pub fn maps() -> Result<Maps> {
    let (uid, gid) = (getuid(), getegid());
    let lines = |path: &str, own: u32| {
        let (first, count) = set_aside(path, uid)?;
        let own = Line { inside: 0, outside: own, count: 1 };
        Ok(vec![own, Line { inside: 1, outside: first, count }])
    };
    let uids = lines("/etc/subuid", uid.as_raw())?;
    Ok(Maps { uids, gids: lines("/etc/subgid", gid.as_raw())? })
}

/// The first number and how many there are, from the user's first line.
fn set_aside(path: &str, uid: Uid) -> Result<(u32, u32)> {
    let user = User::from_uid(uid).ok().flatten().map(|user| user.name);
    let user = user.unwrap_or_else(|| uid.to_string());
    // Without the file nobody has any.
    let text = fs::read_to_string(path).unwrap_or_default();
    let of_user = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [owner, first, count] = fields[..] else { return None };
        let is_theirs = owner == user || owner == uid.to_string();
        is_theirs.then_some((first.parse().ok()?, count.trim().parse().ok()?))
    };
    text.lines().find_map(of_user).ok_or_else(|| {
        let range = "100000-165535";
        Error::input(format!("{path} sets no numbers aside for {user}")).hint(format!(
            "`sudo usermod --add-subuids {range} --add-subgids {range} {user}`, \
             or another range if somebody has this one"
        ))
    })
}

/// Let the setuid programs write the maps of process `pid`.
pub fn write(stage: &Stage, pid: Pid, maps: &Maps) -> Result<()> {
    run(stage, "newuidmap", pid, &maps.uids)?;
    run(stage, "newgidmap", pid, &maps.gids)
}

fn run(stage: &Stage, program: &str, pid: Pid, lines: &[Line]) -> Result<()> {
    let mut command = format!("{program} {pid}");
    lines.iter().for_each(|line| command.push_str(&format!(" {line}")));
    stage.note(&command);
    let words = command.split(' ').skip(1);
    let ran = Command::new(program).args(words).stderr(Stdio::piped()).spawn();
    let ran = ran.and_then(stage::output_of).map_err(|error| match error.kind() {
        // A folder in PATH that we may not look into counts as "permission denied".
        ErrorKind::NotFound | ErrorKind::PermissionDenied => Error::input(format!(
            "there is no {program}"
        ))
        .hint("it is in the package uidmap (Debian, Ubuntu) or shadow-utils (Fedora)"),
        _ => Error::io(program, &error),
    })?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    let why = said.lines().next().unwrap_or("no reason given").to_string();
    Err(Error::input(format!("`{command}` failed: {why}"))
        .hint("it must be setuid root, and the numbers yours: see subuid(5)"))
}
