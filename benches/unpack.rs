//! How long does it take to unpack a layer, and to know that it is the right one?
//!
//! `unpack LAYER FOLDER` does what a pull does with a layer that has arrived; scripts/bench times
//! it, with tar(1) on the same layer beside it.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use fakedocker::decode::decode;
use image::unpack::unpack;
use stage::{Error, Result};
use user::Numbers;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match &args[..] {
        [layer, folder] => play(Path::new(layer), Path::new(folder)),
        _ => Err(Error::input("give a layer and an empty folder")),
    };
    done.map_or_else(|error| stage::fail(&error), |()| ExitCode::SUCCESS)
}

fn play(layer: &Path, folder: &Path) -> Result<()> {
    let file = File::open(layer).map_err(|error| Error::io(layer.display(), &error))?;
    let mut archive = decode(Box::new(file))?;
    unpack(&mut archive, folder, &[], &Numbers::here()?)?;
    match archive.digest() {
        Some(digest) => stage::tell(digest),
        None => Err(Error::input("the archive has not ended")),
    }
}
