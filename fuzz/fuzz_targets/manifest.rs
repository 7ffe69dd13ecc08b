//! Can a manifest, an index or a configuration do anything but say something, or be refused?
//!
//! What is read is written, and read again: that must be the same.

#![no_main]

use image::manifest::{Config, Descriptor, Index, Manifest};
use image::{Digest, layout};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(config) = Config::parse(text) {
        assert_eq!(Config::parse(&written(&config)).expect("our own"), config);
        assert_eq!(config.chain_ids().count(), config.rootfs.diff_ids.len());
    }
    if let Ok(manifest) = Manifest::parse(text) {
        assert_eq!(Manifest::parse(&written(&manifest)).expect("our own"), manifest);
        manifest.layers.iter().chain([&manifest.config]).for_each(compare);
    }
    if let Ok(index) = Index::parse(text) {
        assert_eq!(Index::parse(&written(&index)).expect("our own"), index);
        index.manifests.iter().for_each(compare);
    }
});

fn written(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("what was read can be written")
}

/// Only the right bytes pass, and the digest is nothing that leads out of a folder.
fn compare(blob: &Descriptor) {
    let other = Digest::of(blob.media_type.as_bytes());
    let right = other == blob.digest && blob.size == blob.media_type.len() as u64;
    let found = layout::check(blob, &other, blob.media_type.len() as u64);
    assert_eq!(found.is_ok(), right);
    assert!(blob.digest.hex().bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(blob.digest.hex().len(), 64);
}
