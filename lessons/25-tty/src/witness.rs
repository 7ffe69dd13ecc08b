//! What is it like at the other end?
//!
//! The witness leads a session on the new terminal, as a shell would, and starts a job there.
//! We hold the master: what we write is typed, also the byte that Ctrl-C sends.

use std::io;

use nix::sys::signal::Signal;
use nix::unistd::{getpid, getsid, pause, read, setpgid, tcsetpgrp, ttyname, write};
use stage::{Cue, Error, Evidence, Result, Stage, descriptor};
use tty::{Pty, Size};

/// What the witness at the other end of `pty` sees while the window is `first`, and `then`.
pub fn hear(stage: &Stage, pty: &Pty, first: Size, then: Size) -> Result<Evidence> {
    pty.resize(stage, first)?;
    let mut witness = stage.fork(|cue| testify(stage, cue, pty))?;
    let mut seen = witness.evidence()?;
    pty.resize(stage, then)?;
    witness.proceed()?;
    seen.record("resized", &witness.evidence()?["resized"]);
    witness.proceed()?;

    // Its job is in the foreground: let us press Ctrl-C.
    witness.evidence()?;
    let master = descriptor(&pty.master);
    stage.ask(format!("write({master}, \"\\3\", 1)"), || write(&pty.master, b"\x03"))?;
    witness.proceed()?;
    seen.record("ended by", &witness.evidence()?["ended by"]);
    // The line discipline echoes two characters, and may do so one by one.
    let mut echo = Vec::new();
    while echo.len() < "^C".len() {
        let mut bytes = [0; 64];
        let call = format!("read({master}, buffer, {})", bytes.len());
        let count = stage.ask(call, || read(&pty.master, &mut bytes))?;
        echo.extend(&bytes[..count]);
    }
    let echo = String::from_utf8_lossy(&echo);
    seen.record("echo", &stage.look("master").fact("echo", echo).end()["echo"]);
    witness.finish()?;
    Ok(seen)
}

/// The witness's part.
fn testify(stage: &Stage, cue: &mut Cue, pty: &Pty) -> Result<u8> {
    tty::take(stage, tty::other_end(stage, &pty.master)?)?;
    let name = ttyname(io::stdin()).map_err(|errno| Error::call("ttyname", errno))?;
    let session = getsid(None).map_err(|errno| Error::call("getsid", errno))?;
    let seen = stage.look("witness").fact("terminal", name.display());
    let seen = seen.fact("getpid()", getpid()).fact("session", session);
    cue.report(seen.fact("window", tty::size_of(io::stdout())?).end())?;
    let resized = tty::size_of(io::stdout())?;
    cue.report(stage.look("witness").fact("resized", resized).end())?;

    // What a shell does: a job is a process group, and one group has the terminal.
    let mut job = stage.fork(|_| {
        loop {
            pause();
        }
    })?;
    let group = job.pid();
    stage.ask(format!("setpgid({group}, {group})"), || setpgid(group, group))?;
    let terminal = descriptor(&io::stdin());
    stage.ask(format!("ioctl({terminal}, TIOCSPGRP, [{group}])"), || {
        tcsetpgrp(io::stdin(), group)
    })?;
    cue.report(Evidence::default())?;
    // As a shell has it: 128 + the number of the signal.
    let status = job.wait()?;
    let signal = Signal::try_from(i32::from(status) - 128);
    let ended = signal.map_or(format!("status {status}"), |signal| signal.to_string());
    cue.report(stage.look("witness").fact("ended by", ended).end())?;
    Ok(0)
}
