//! Which lessons are there, and where is the student's own work?
//!
//! A lesson that can be checked is a folder `lessons/NN-NAME` with a check.toml; the
//! student's work is the example `NAME-exercise` beside it.

use std::ffi::OsString;
use std::fs;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use fakedocker::sys;
use stage::{Error, Result};

/// A lesson that can be checked.
pub struct Lesson {
    /// Its name, such as `uts`.
    pub name: String,
    folder: PathBuf,
}

impl Lesson {
    /// The file with the questions.
    pub fn questions(&self) -> PathBuf {
        self.folder.join("check.toml")
    }
}

/// The lesson called `name`.
pub fn find(name: &str) -> Result<Lesson> {
    let mut known = all()?;
    if let Some(at) = known.iter().position(|lesson| lesson.name == name) {
        return Ok(known.swap_remove(at));
    }
    let names: Vec<_> = known.iter().map(|lesson| lesson.name.as_str()).collect();
    Err(Error::input(format!("no lesson {name:?} that can be checked"))
        .hint(format!("there are: {}", names.join(", "))))
}

/// All lessons that can be checked, in the course's order.
fn all() -> Result<Vec<Lesson>> {
    let folder = folder()?;
    let failed = |error| Error::io(folder.display(), &error);
    let mut lessons = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let folder = entry.map_err(failed)?.path();
        let name = folder.file_name().and_then(|name| name.to_str());
        if let Some((_, name)) = name.and_then(|name| name.split_once('-')) {
            lessons.push(Lesson { name: name.to_string(), folder });
        }
    }
    lessons.retain(|lesson| lesson.questions().is_file());
    lessons.sort_by(|one, other| one.folder.cmp(&other.folder));
    Ok(lessons)
}

/// The folder `lessons`: of the course that we were built from, or where we are.
fn folder() -> Result<PathBuf> {
    let built_from = build()?.ancestors().nth(2).map(|top| top.join("lessons"));
    let here = std::env::current_dir().map(|here| here.join("lessons")).ok();
    let found = [built_from, here].into_iter().flatten().find(|folder| folder.is_dir());
    found.ok_or_else(|| {
        Error::input("no folder `lessons` here").hint("cd to the course's top folder")
    })
}

/// The folder where Cargo has put us and puts the exercises: `target/debug`.
fn build() -> Result<PathBuf> {
    let exe =
        std::env::current_exe().map_err(|error| Error::io("/proc/self/exe", &error))?;
    Ok(exe.parent().unwrap_or(Path::new("/")).to_path_buf())
}

/// Build the student's exercise: the program to check.
pub fn exercise(lesson: &Lesson) -> Result<Vec<OsString>> {
    let (build, name) = (build()?, format!("{}-exercise", lesson.name));
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--example", &name]);
    cargo.arg("--manifest-path").arg(lesson.folder.join("Cargo.toml"));
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

/// Cargo, as the user who called sudo: root has no toolchain, and must not own the build.
fn cargo() -> Command {
    let number = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    let mut cargo = Command::new("cargo");
    let mut home = std::env::home_dir();
    if let (Some(uid), Some(gid)) = (number("SUDO_UID"), number("SUDO_GID")) {
        home = sys::home_of(uid);
        cargo.uid(uid).gid(gid).envs(home.as_ref().map(|home| ("HOME", home)));
    }
    // sudo's own PATH leaves out where rustup puts things.
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(home) = home {
        path.push(":");
        path.push(home.join(".cargo/bin"));
    }
    cargo.env("PATH", path);
    cargo
}

fn run(mut cargo: Command, name: &str) -> Result<ExitStatus> {
    let mut child = cargo.spawn().map_err(|error| {
        Error::io("cargo", &error).hint("give a program after `--`, or install Rust")
    })?;
    let (tell, done) = channel();
    thread::spawn(move || tell.send(child.wait()));
    let quick = done.recv_timeout(Duration::from_secs(1));
    if quick.is_err() && std::io::stderr().is_terminal() {
        eprintln!("building {name} ...");
    }
    let ended = quick.or_else(|_| done.recv());
    let ended = ended.map_err(|error| Error::input(format!("cargo: {error}")))?;
    ended.map_err(|error| Error::io("cargo", &error))
}
