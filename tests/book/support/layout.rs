//! How does a test get an image that says what the test wants?
//!
//! It writes one by hand: an image layout, as lesson 21 has it, packed into an archive.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use image::manifest::{
    CONFIG, Config, Index, LAYER, MANIFEST, Manifest, Platform, REF_NAME, Rootfs,
    Settings,
};
use image::{Digest, Layout};
use tar::{Builder, EntryType, Header};

use super::engine::Folder;
use super::rootfs::busybox;

/// Files of a layer; names that begin with `.wh.` take away.
pub fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, name, text.as_bytes()).expect("it is in memory");
    }
    tar.into_inner().expect("it is in memory")
}

/// A busybox, as a layer.
pub fn base() -> Vec<u8> {
    fs::read(busybox()).expect("it was made")
}

/// An archive in `folder` with the image `name` of these `layers`, which says this.
pub fn archive(
    folder: &Folder,
    name: &str,
    layers: &[Vec<u8>],
    settings: Settings,
) -> PathBuf {
    let root = folder.path().join(format!("layout-{}", name.replace(['/', ':'], "-")));
    fs::create_dir(&root).expect("the folder is ours");
    let layout = Layout::open(&root).expect("it is empty");
    let config = Config {
        created: Some("2026-01-02T03:04:05Z".into()),
        platform: Platform::here(),
        config: settings,
        rootfs: Rootfs {
            kind: "layers".into(),
            diff_ids: layers.iter().map(|layer| Digest::of(layer)).collect(),
        },
        history: Vec::new(),
    };
    let layers =
        layers.iter().map(|layer| layout.put(LAYER, layer).expect("there is room"));
    let manifest = Manifest::new(
        layout.put_json(CONFIG, &config).expect("there is room"),
        layers.collect(),
    );
    let mut entry = layout.put_json(MANIFEST, &manifest).expect("there is room");
    entry.annotations.insert(REF_NAME.into(), name.into());
    let index = Index { manifests: vec![entry], ..Index::default() };
    layout.set_index(&index).expect("there is room");
    let path = root.with_extension("tar");
    let packed =
        Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&path).arg(".").status();
    assert!(packed.expect("tar is there").success());
    path
}
