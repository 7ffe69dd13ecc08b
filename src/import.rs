//! How does a tarball become an image?
//!
//! All of it, or nothing: the files go into a folder that nobody knows, and only when the
//! last one is on the disk does the folder get its name (`store.rs`). Whatever ends us
//! before that leaves the store as it was.
//!
//! How it is compressed is `decode.rs`'s question; what is in it, lesson 21's.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use image::unpack::{Unpacked, unpack};
use indicatif::{ProgressBar, ProgressStyle};
use stage::{Error, Result};
use user::Numbers;

use crate::store::{Image, Name, Store};

mod decode;

/// Make the tarball `source`, or standard input if that is `-`, the image `name`.
///
/// An image that has the name already keeps its files while somebody holds it.
pub fn import(store: &Store, source: &Path, name: &str) -> Result<Image> {
    let name = Name::parse(name)?;
    if name.is_host() {
        return Err(Error::input(format!("image name \"{name}\": this one is built in"))
            .hint("`host` is the machine's own root: take another name"));
    }
    let (reader, length) = open(source)?;
    let bar = bar(length);
    let reader = Watched { reader, bar: bar.clone() };
    let draft = store.begin()?;
    let unpacked = decode::decode(Box::new(reader))
        .and_then(|archive| unpack(archive, &draft.rootfs(), &[], &Numbers::here()?));
    bar.finish_and_clear();
    let unpacked = unpacked.map_err(|error| in_source(source, &error))?;
    if unpacked.members == 0 {
        return Err(in_source(source, &Error::input("the archive holds no files")));
    }
    warn_of(&unpacked);
    store.keep(draft, &name, unpacked.size)
}

/// The bytes of the tarball, and how many they are, if we can know.
fn open(source: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
    if source == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let failed = |error| Error::io(source.display(), &error);
    let file = File::open(source).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        let source = source.display();
        return Err(Error::input(format!("{source} is a directory, not a tarball"))
            .hint(format!("tar -C {source} -c . | fakedocker import - NAME")));
    }
    Ok((Box::new(file), about.is_file().then_some(about.len())))
}

/// The failure, with the name of the tarball before it.
fn in_source(source: &Path, error: &Error) -> Error {
    let name = match source.as_os_str().as_encoded_bytes() {
        b"-" => "standard input".into(),
        _ => source.display().to_string(),
    };
    let named = Error::input(format!("{name}: {error}")).status(error.exit_status());
    match error.advice() {
        Some(advice) => named.hint(advice),
        None => named,
    }
}

fn warn_of(unpacked: &Unpacked) {
    for (what, (count, first)) in &unpacked.left_out {
        stage::warn(format!("{what} left out: {count}, the first is {first}"));
    }
}

/// A bar on standard error, if that is a terminal.
fn bar(length: Option<u64>) -> ProgressBar {
    let (bar, shape) = match length {
        Some(length) => {
            (ProgressBar::new(length), "importing {wide_bar} {bytes} of {total_bytes}")
        }
        None => (ProgressBar::no_length(), "importing {spinner} {bytes}"),
    };
    match ProgressStyle::with_template(shape) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A reader that moves the bar.
struct Watched<R> {
    reader: R,
    bar: ProgressBar,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.bar.inc(length as u64);
        Ok(length)
    }
}
