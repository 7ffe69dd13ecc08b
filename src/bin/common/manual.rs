//! How do shells and man(1) learn what one can say to a program of ours?
//!
//! From the definition of its command line, which is in no other place.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use clap_complete::{Shell, generate};
use stage::{Error, Result};

#[derive(Subcommand)]
pub enum Command {
    /// Print what a shell needs to complete command lines
    Completion {
        /// For which shell
        shell: Which,
    },
    /// Write pages for man(1), one for each command
    #[command(hide = true)]
    Man {
        /// The folder to put them into, which is made if it is not there
        folder: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Which {
    Bash,
    Fish,
    Zsh,
}

impl Command {
    /// For the program whose command line is `whole`; for bash there is `more`.
    pub fn play(&self, whole: clap::Command, more: &str) -> Result<u8> {
        match self {
            Command::Completion { shell: Which::Bash } => tell(Shell::Bash, whole, more),
            Command::Completion { shell: Which::Fish } => tell(Shell::Fish, whole, ""),
            Command::Completion { shell: Which::Zsh } => tell(Shell::Zsh, whole, ""),
            Command::Man { folder } => write(whole, folder),
        }
        .map(|()| 0)
    }
}

fn tell(shell: Shell, mut whole: clap::Command, more: &str) -> Result<()> {
    let (name, mut script) = (whole.get_name().to_string(), Vec::new());
    generate(shell, &mut whole, name, &mut script);
    let script = String::from_utf8_lossy(&script);
    stage::tell(format!("{script}{more}").trim_end())
}

fn write(whole: clap::Command, folder: &Path) -> Result<()> {
    // Help is in the pages themselves.
    let whole = whole.disable_help_subcommand(true);
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(whole, folder));
    written.map_err(|error| Error::io(folder.display(), &error))
}
