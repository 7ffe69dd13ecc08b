//! How does a process become another program?
//!
//! By execve(2): same process, same PID, same namespaces, another program. It wants a
//! path, so we look through PATH ourselves, as a shell does. Statuses as in POSIX shells
//! and Docker: 127 when there is no such program, 126 when it cannot be executed.

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{dup2_stdout, execve};

use crate::{Command, Error, Result, Stage};

/// A program with its arguments and its environment.
#[derive(Debug, Clone)]
pub struct Program {
    argv: Vec<OsString>,
    env: Vec<OsString>,
    /// Nobody named a program, so that it is a shell for looking around.
    is_default: bool,
}

impl Program {
    /// `argv` with the environment `env` (`NAME=value`).
    pub fn new(argv: Vec<OsString>, env: Vec<OsString>) -> Program {
        Program { argv, env, is_default: false }
    }

    /// What the lesson's command line asks for, else a shell on standard input: the user's
    /// own on a terminal, /bin/sh elsewhere.
    pub fn from_command(command: &Command) -> Program {
        let shell = || match std::env::var_os("SHELL") {
            Some(own) if io::stdin().is_terminal() => own,
            _ => "/bin/sh".into(),
        };
        let is_default = command.argv.is_empty();
        let argv = if is_default { vec![shell()] } else { command.argv.clone() };
        let env = std::env::vars_os().map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        });
        Program { argv, env: env.collect(), is_default }
    }

    /// Become this program. Returns only when that failed.
    pub fn exec(&self, stage: &Stage) -> Result<Infallible> {
        let path = self.find()?;
        let call = format!("execve({path:?}, {:?}, envp)", self.argv);
        // A success cannot be told afterwards: there is nobody left who could.
        stage.announce(&call)?;
        stage.gap();
        if self.is_default && io::stdin().is_terminal() {
            stage.note("a shell in the container: look around, then `exit`");
            stage.gap();
        }
        if stage.speaks_json() {
            dup2_stdout(io::stderr())
                .map_err(|errno| Error::call("dup2(2, 1)", errno))?;
        }
        let path = c_string(path.as_os_str())?;
        let argv = self
            .argv
            .iter()
            .map(|word| c_string(word))
            .collect::<Result<Vec<CString>>>()?;
        let env = self
            .env
            .iter()
            .map(|word| c_string(word))
            .collect::<Result<Vec<CString>>>()?;
        let Err(errno) = execve(&path, &argv, &env);
        Err(refused(&path, errno))
    }

    /// The path to execute: as it was given if it has a slash, else the first in PATH.
    fn find(&self) -> Result<PathBuf> {
        let name = self
            .argv
            .first()
            .ok_or_else(|| Error::input("no command given").status(127))?;
        if name.as_bytes().contains(&b'/') {
            return Ok(name.into());
        }
        let set =
            self.env.iter().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
        let path = OsString::from_vec(set.unwrap_or(b"/usr/bin:/bin").to_vec());
        let candidates = || std::env::split_paths(&path).map(|folder| folder.join(name));
        let found = candidates().find(|file| is_program(file));
        // A file that is there but may not be executed is worth an error of its own.
        found.or_else(|| candidates().find(|file| file.is_file())).ok_or_else(|| {
            Error::input(format!("{name:?}: no such program in PATH")).status(127)
        })
    }
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn c_string(word: &OsStr) -> Result<CString> {
    CString::new(word.as_bytes())
        .map_err(|_| Error::input(format!("{word:?} has a NUL byte: leave it out")))
}

fn refused(path: &CStr, errno: Errno) -> Error {
    let file = Path::new(OsStr::from_bytes(path.to_bytes()));
    let error = Error::call(format!("execve({file:?})"), errno);
    match errno {
        Errno::ENOENT if file.exists() => error
            .status(127)
            .hint("its interpreter (after `#!`) or its loader is missing"),
        Errno::ENOENT | Errno::ENOTDIR => error.status(127),
        Errno::EACCES if file.is_dir() => error.status(126).hint("it is a directory"),
        Errno::EACCES => error.status(126).hint("it is not executable: see `ls -l`"),
        Errno::ENOEXEC => error
            .status(126)
            .hint("neither a program for this processor nor a script with `#!`"),
        _ => error.status(126),
    }
}
