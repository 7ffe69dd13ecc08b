//! How does a tarball become an image?
//!
//! It is the only layer of one. All of it, or nothing: while it is unpacked it is copied as well,
//! and only when the last file is on the disk does the image get its name (`store.rs`). Whatever
//! ends us before that leaves the store as it was.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use image::manifest::{
    CONFIG, Config, Descriptor, LAYER, MANIFEST, Manifest, Platform, Rootfs, Settings,
    Step,
};
use stage::{Error, Result};

use crate::bars::{self, Watched};
use crate::build;
use crate::decode::{self, Compression};
use crate::images;
use crate::store::aside::Aside;
use crate::store::{Image, Name, Store};
use crate::times;

/// What becomes of the tarball.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// What the image is to be called; without, it is dangling.
    pub name: Option<Name>,
    /// Instructions of a Dockerfile that say how it is to be run.
    pub changes: Vec<String>,
    /// A remark for its history.
    pub message: Option<String>,
}

/// Make the tarball `source`, or standard input if that is `-`, an image.
pub fn import(store: &Store, source: &Path, request: &Request) -> Result<Image> {
    if request.name.as_ref().is_some_and(Name::is_host) {
        return Err(Error::input("image name \"host\": this one is built in")
            .hint("`host` is the machine's own root: take another name"));
    }
    let mut config = describe(source, request);
    build::change(&mut config, &request.changes)?;
    let (reader, length) = open(source)?;
    let work = store.making()?;
    let bar = bars::bytes("importing", length);
    let kept = keep(store, Watched::new(reader, &bar));
    bar.finish_and_clear();
    let (layer, diff_id) = kept.map_err(|error| error.within(name_of(source)))?;
    config.rootfs.diff_ids.push(diff_id);
    let layout = store.layout();
    let config = layout.put_json(CONFIG, &config)?;
    let manifest = layout.put_json(MANIFEST, &Manifest::new(config, vec![layer]))?;
    let image = store.keep(&manifest, request.name.as_slice())?;
    drop(work);
    images::tell(store, "import", &image, request.name.as_ref());
    Ok(image)
}

/// Unpack the layer in `reader`, and keep a copy as a blob; that, and the plain one's digest.
fn keep(
    store: &Store,
    reader: impl Read + Send + 'static,
) -> Result<(Descriptor, image::Digest)> {
    let (compression, reader) = Compression::find(Box::new(reader))?;
    // There is no media type for xz: then it is kept as it is without.
    let (reader, media_type): (Box<dyn Read + Send>, _) = match compression.suffix() {
        Some(suffix) => (reader, format!("{LAYER}{suffix}")),
        None => (Box::new(decode::decode(reader)?), LAYER.into()),
    };
    let copy = Aside::make(store)?;
    // What is plain is summed up while it is unpacked, and once is enough.
    let is_plain = media_type == LAYER;
    let to: Box<dyn Write + Send> = match is_plain {
        true => Box::new(copy.unsummed()?),
        false => Box::new(copy.writer()),
    };
    let mut draft = store.layers().begin_unnamed()?;
    let diff_id = draft.fill(Box::new(Tee { reader, copy: to }), &[])?;
    if draft.is_empty() {
        return Err(Error::input("the archive holds no files"));
    }
    let digest = if is_plain { diff_id.clone() } else { copy.sum().0 };
    // The layer first: that writes all of both to the disk at once.
    store.layers().keep(vec![(diff_id.clone(), draft)])?;
    let size = copy.keep_as(store, &digest)?;
    Ok((Descriptor::new(&media_type, digest, size), diff_id))
}

/// What is read is copied.
struct Tee {
    reader: Box<dyn Read + Send>,
    copy: Box<dyn Write + Send>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.copy.write_all(&buffer[..length])?;
        Ok(length)
    }
}

/// The image, but for its layer.
fn describe(source: &Path, request: &Request) -> Config {
    let created = Some(times::now());
    let comment = request.message.clone();
    let comment =
        comment.unwrap_or_else(|| format!("Imported from {}", source.display()));
    Config {
        created: created.clone(),
        platform: Platform::here(),
        config: Settings::default(),
        rootfs: Rootfs { kind: "layers".into(), diff_ids: Vec::new() },
        history: vec![Step { created, comment, ..Step::default() }],
    }
}

/// The bytes of the tarball, and how many they are, if we can know.
pub(crate) fn open(source: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
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

/// What people call it.
pub(crate) fn name_of(source: &Path) -> String {
    match source.as_os_str().as_encoded_bytes() {
        b"-" => "standard input".into(),
        _ => source.display().to_string(),
    }
}
