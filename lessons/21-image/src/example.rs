//! Which image is small enough to be read in full?
//!
//! A base, and a change to it: a file changed, one added, one removed, a folder made anew. All
//! times and modes are given, and nothing depends on when or by whom it is made: so the digests
//! are the same at the next run.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use image::layer::Layer;
use image::manifest::{CONFIG, Config, MANIFEST, Manifest, Platform, REF_NAME, Rootfs};
use image::manifest::{Settings, Step};
use image::{Digest, Layout};
use overlay::Layers;
use overlay::attribute::replace_folder;
use stage::{Error, Result, Stage};

/// When all of it was made: in seconds since 1970, and in words.
const TIME: Duration = Duration::from_secs(1_700_000_000);
const CREATED: &str = "2023-11-14T22:13:20Z";

/// The base: `bin/tool` stands for what makes real ones large.
pub fn lay_base() -> Result<()> {
    let tool: String = (0..1000_u16)
        .map(|number| Digest::of(&number.to_le_bytes()).to_string())
        .collect();
    for (path, text) in [
        ("base/bin/tool", tool.as_str()),
        ("base/etc/motd", "from the base\n"),
        ("base/etc/hostname", "base\n"),
        ("base/cache/old", "from the base\n"),
    ] {
        put(path, text)?;
    }
    settle("base", &["bin/tool", "bin", "etc/motd", "etc/hostname", "etc"])?;
    settle("base", &["cache/old", "cache", ""])
}

/// Stack an upper layer on the base, and work in it as a container would.
pub fn change_root(stage: &Stage) -> Result<()> {
    for folder in ["upper", "work", "root"] {
        done(folder, fs::create_dir(folder))?;
    }
    let (upper, work) = ("upper".into(), "work".into());
    let layers = Layers { lower: vec!["base".into()], upper, work };
    overlay::stack(stage, &layers, Path::new("root"))?;
    stage.note(
        "in root/: etc/motd changes, etc/hostname goes, cache/ is made anew, app/ comes",
    );
    put("root/etc/motd", "from the change\n")?;
    put("root/app/run", "#!/bin/sh\n")?;
    done("root/etc/hostname", fs::remove_file("root/etc/hostname"))?;
    replace_folder("root/cache")?;
    put("root/cache/new", "from the change\n")?;
    settle("root", &["etc/motd", "etc", "app/run", "app", "cache/new", "cache", ""])
}

/// The only layer of the second image that is not the first one's.
pub fn lay_other(stage: &Stage) -> Result<()> {
    stage.note("a second image on the same base, with one more file");
    put("other/app/other", "#!/bin/sh\n")?;
    settle("other", &["app/other", "app", ""])
}

/// Write the configuration and the manifest of the image that has these `layers`, and put it on
/// the layout's list as `name`.
pub fn write(layout: &Layout, name: &str, layers: &[&Layer]) -> Result<()> {
    let step = |created_by: &str| {
        let (created, created_by) = (Some(CREATED.into()), created_by.into());
        Step { created, created_by, ..Step::default() }
    };
    let diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let config = Config {
        created: Some(CREATED.into()),
        platform: Platform::here(),
        config: Settings { cmd: vec!["/app/run".into()], ..Settings::default() },
        rootfs: Rootfs { kind: "layers".into(), diff_ids },
        history: vec![step("the base"), step("what is different in this image")],
    };
    let config = layout.put_json(CONFIG, &config)?;
    let blobs = layers.iter().map(|layer| layer.blob.clone()).collect();
    let mut image = layout.put_json(MANIFEST, &Manifest::new(config, blobs))?;
    image.annotations.insert(REF_NAME.into(), name.into());
    let mut index = layout.index()?;
    index.manifests.push(image);
    layout.set_index(&index)
}

fn put(path: &str, text: &str) -> Result<()> {
    let folder = Path::new(path).parent().unwrap_or(Path::new("."));
    done(path, fs::create_dir_all(folder))?;
    done(path, File::create(path).and_then(|mut file| file.write_all(text.as_bytes())))
}

/// Give these files of `tree` mode and time, what is in a folder before the folder.
fn settle(tree: &str, paths: &[&str]) -> Result<()> {
    for path in paths.iter().map(|path| Path::new(tree).join(path)) {
        let settled = File::open(&path).and_then(|file| {
            let mode = if file.metadata()?.is_dir() { 0o755 } else { 0o644 };
            file.set_permissions(Permissions::from_mode(mode))?;
            file.set_modified(UNIX_EPOCH + TIME)
        });
        done(&path.display().to_string(), settled)?;
    }
    Ok(())
}

fn done<T>(what: &str, answer: io::Result<T>) -> Result<T> {
    answer.map_err(|error| Error::io(what, &error))
}
