//! What does each part of an image say, and what comes out of it?

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use image::digest::Summing;
use image::layer::{self, Layer};
use image::manifest::{Config, Descriptor, Manifest, REF_NAME};
use image::tarball::Tarball;
use image::{Layout, shown};
use overlay::Layers;
use stage::{Error, Evidence, Result, Stage};

/// The names in the archive, and the two names of the layer.
pub fn look_at_layer(
    stage: &Stage,
    layout: &Layout,
    who: &str,
    layer: &Layer,
) -> Result<Evidence> {
    let path = layout.path(&layer.blob.digest);
    let file = done(&path, File::open(&path))?;
    let plain = io::BufReader::new(MultiGzDecoder::new(file));
    let (mut archive, mut names) = (Tarball::new(plain), Vec::new());
    while let Some(member) = archive.next_member()? {
        names.push(shown(&member.path));
    }
    let mut sum = Summing::new(done(&path, File::open(&path))?);
    done(&path, io::copy(&mut sum, &mut io::sink()))?;
    let seen = stage.look(who).fact("archive", names.join(" "));
    let seen = seen.fact("DiffID", layer.diff_id.short());
    let seen = seen.fact("digest", layer.blob.digest.short());
    let seen = seen.fact("sha256sum", sum.finish().0.short());
    Ok(seen.fact("tar", layer.length).fact("size", layer.blob.size).end())
}

/// From the image's name to its layers.
pub fn look_at_image(stage: &Stage, layout: &Layout, name: &str) -> Result<Evidence> {
    let (image, manifest, config) = read(layout, name)?;
    let short = |blobs: &[Descriptor]| {
        blobs.iter().map(|blob| blob.digest.short()).collect::<Vec<_>>().join(" ")
    };
    let diff_ids: Vec<_> = config.rootfs.diff_ids.iter().map(|id| id.short()).collect();
    let chain_id = config.chain_ids().last();
    let chain_id = chain_id.as_ref().map_or("none", |id| id.short());
    let (config, layers) = (manifest.config.digest.short(), short(&manifest.layers));
    let seen = stage.look("image");
    let seen = seen.fact("index", format!("{name} is manifest {}", image.digest.short()));
    let seen = seen.fact("manifest", format!("config {config}, layers {layers}"));
    let seen = seen.fact("config", format!("DiffIDs {}", diff_ids.join(" ")));
    Ok(seen.fact("ChainID", chain_id).end())
}

/// Change one byte in the blob, see whether it is taken, and mend it.
pub fn damage(stage: &Stage, layout: &Layout, blob: &Descriptor) -> Result<Evidence> {
    let path = layout.path(&blob.digest);
    let file = done(&path, File::options().read(true).write(true).open(&path))?;
    let (mut byte, middle) = ([0], blob.size / 2);
    done(&path, file.read_exact_at(&mut byte, middle))?;
    done(&path, file.write_all_at(&[byte[0] ^ 1], middle))?;
    stage.note(&format!("one bit of layer 2 changes, at byte {middle}"));
    let taken = match layer::check(layout, blob) {
        Ok(()) => "taken",
        Err(_) => "refused",
    };
    let seen = stage.look("damaged").fact("layer 2", taken).end();
    done(&path, file.write_all_at(&byte, middle))?;
    Ok(seen)
}

/// Unpack the layers of the image, each on those below it, and stack them at `sum`.
pub fn take_apart(stage: &Stage, layout: &Layout, name: &str) -> Result<Evidence> {
    stage.note("the bit is mended; now from the layout alone: the layers, and their sum");
    let (_, manifest, config) = read(layout, name)?;
    let mut trees: Vec<PathBuf> = Vec::new();
    let layers = manifest.layers.iter().zip(&config.rootfs.diff_ids);
    for (number, (blob, diff_id)) in (1..).zip(layers) {
        let tree = PathBuf::from(format!("unpacked-{number}"));
        done(&tree, fs::create_dir(&tree))?;
        layer::unpack_blob(layout, blob, diff_id, &tree, &trees)?;
        trees.push(tree);
    }
    let kind = |path: &str| match Path::new(path) {
        path if overlay::is_whiteout(path) => "whiteout",
        path if overlay::is_opaque(path) => "opaque folder",
        _ => "something else",
    };
    let seen = stage.look("unpacked");
    let seen = seen.fact("etc/hostname", kind("unpacked-2/etc/hostname"));
    let seen = seen.fact("cache/", kind("unpacked-2/cache")).end();
    for folder in ["top", "top-work", "sum"] {
        done(Path::new(folder), fs::create_dir(folder))?;
    }
    trees.reverse();
    let layers = Layers { lower: trees, upper: "top".into(), work: "top-work".into() };
    overlay::stack(stage, &layers, Path::new("sum"))?;
    Ok(seen)
}

/// All blobs of these images, and how much they would be if nothing was shared.
pub fn count(stage: &Stage, layout: &Layout, names: &[&str]) -> Result<Evidence> {
    let mut seen = stage.look("layout");
    let mut needed = 0;
    for name in names {
        let (image, manifest, _) = read(layout, name)?;
        let layers = manifest.layers.iter().enumerate();
        let layers = layers.map(|(at, blob)| (format!("layer {}", at + 1), blob));
        let parts = [("manifest".into(), &image), ("config".into(), &manifest.config)];
        for (what, blob) in parts.into_iter().chain(layers) {
            let what = format!("{} bytes, {name}: {what}", blob.size);
            seen = seen.fact(blob.digest.short(), what);
            needed += blob.size;
        }
    }
    let (folder, mut sizes) = (layout.blobs(), Vec::new());
    for entry in done(&folder, fs::read_dir(&folder))? {
        let about = entry.and_then(|entry| entry.metadata());
        sizes.push(done(&folder, about)?.len());
    }
    let there: u64 = sizes.iter().sum();
    let seen = seen.fact("blobs", sizes.len()).fact("bytes", there);
    Ok(seen.fact("saved", needed.saturating_sub(there)).end())
}

fn read(layout: &Layout, name: &str) -> Result<(Descriptor, Manifest, Config)> {
    let index = layout.index()?;
    let is_it =
        |image: &Descriptor| image.annotations.get(REF_NAME).is_some_and(|it| it == name);
    let image = index.manifests.into_iter().find(is_it);
    let image = image.ok_or_else(|| Error::input(format!("no image called {name}")))?;
    let manifest = Manifest::parse(&layout.read(&image)?)?;
    let config = Config::parse(&layout.read(&manifest.config)?)?;
    Ok((image, manifest, config))
}

fn done<T>(what: &Path, answer: io::Result<T>) -> Result<T> {
    answer.map_err(|error| Error::io(what.display(), &error))
}
