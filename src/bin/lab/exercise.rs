//! How does what the student has written become a program?
//!
//! Cargo builds it, as the student, into the folder that we are in ourselves.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::channel;
use std::thread::Builder;
use std::time::Duration;

use stage::{Error, Result};

use crate::lessons::{self, Lesson};
use crate::student;

/// What of a lesson can be built and checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What the student writes.
    Exercise,
    /// What stands beside it.
    Solution,
}

/// Build it: the program to check.
pub fn build(lesson: &Lesson, kind: Kind) -> Result<Vec<OsString>> {
    let word = if kind == Kind::Exercise { "exercise" } else { "solution" };
    let (build, name) = (lessons::build()?, format!("{}-{word}", lesson.name));
    let mut cargo = student::command("cargo");
    cargo.args(["build", "--quiet", "--example", &name]);
    cargo.arg("--manifest-path");
    cargo.arg(lesson.top.join(&lesson.folder).join("Cargo.toml"));
    cargo.arg("--target-dir").arg(build.parent().unwrap_or(&build));
    if build.ends_with("release") {
        cargo.arg("--release");
    }
    if !run(cargo, &name)?.success() {
        return Err(Error::input(format!("{name} does not compile")).hint(
            "the compiler says why above; or give a program of your own after `--`",
        ));
    }
    Ok(vec![build.join("examples").join(name).into()])
}

fn run(mut cargo: Command, name: &str) -> Result<ExitStatus> {
    let (tell, done) = channel();
    let started = Builder::new().spawn(move || tell.send(cargo.status()));
    started.map_err(|error| Error::io("clone3", &error))?;
    let quick = done.recv_timeout(Duration::from_secs(1));
    if quick.is_err() && std::io::stderr().is_terminal() {
        stage::remark(format!("building {name} ..."));
    }
    let ended = quick.or_else(|_| done.recv());
    let ended = ended.map_err(|error| Error::input(format!("cargo: {error}")))?;
    ended.map_err(|error| {
        Error::io("cargo", &error).hint("give a program after `--`, or install Rust")
    })
}
