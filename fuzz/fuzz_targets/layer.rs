//! Can an archive do anything but become files below its folder, or be refused?
//!
//! The archive is unpacked on a lower layer with a link that leads out, packed again, and
//! unpacked once more: both must give the same bytes. What lies outside must stay as it is. The
//! first byte of the input chooses how it is made, for a fuzzer does not find sums by itself.
//! scripts/fuzz runs it in a mount namespace, where /tmp is a tmpfs.

#![no_main]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use image::pack::pack;
use image::unpack::unpack;
use libfuzzer_sys::fuzz_target;
use user::Numbers;

/// A place with a lower layer, and a file outside.
struct Yard {
    top: PathBuf,
    below: Vec<PathBuf>,
    numbers: Numbers,
}

fn yard() -> &'static Yard {
    static YARD: OnceLock<Yard> = OnceLock::new();
    YARD.get_or_init(|| {
        let top = std::env::temp_dir().join(format!("fuzz-{}", std::process::id()));
        let below = top.join("below");
        fs::create_dir_all(below.join("d/e")).expect("a folder");
        fs::create_dir_all(top.join("outside")).expect("a folder");
        fs::write(top.join("outside/f"), "untouched").expect("a file");
        fs::write(below.join("f"), "below").expect("a file");
        symlink(top.join("outside"), below.join("l")).expect("a link");
        let numbers = Numbers::here().expect("/proc");
        Yard { top, below: vec![below], numbers }
    })
}

fuzz_target!(|input: &[u8]| {
    let Some((how, archive)) = input.split_first() else { return };
    let archive = match how % 2 {
        0 => archive.to_vec(),
        _ => with_sums(archive),
    };
    let yard = yard();
    let below = if how & 2 == 0 { &yard.below[..] } else { &[] };
    let (one, two) = (yard.top.join("one"), yard.top.join("two"));
    let unpacked = fill(&one, &archive, below, &yard.numbers);
    assert_outside_is_untouched(&yard.top);
    if unpacked {
        let first = packed(&one);
        // A name that only a container can have given makes no layer.
        assert!(fill(&two, &first, &yard.below, &yard.numbers), "packed, and refused");
        assert_outside_is_untouched(&yard.top);
        let second = packed(&two);
        assert!(first == second || below.is_empty(), "packed again, other bytes");
    }
});

/// Unpack `archive` in an empty folder.
fn fill(tree: &Path, archive: &[u8], below: &[PathBuf], numbers: &Numbers) -> bool {
    fs::remove_dir_all(tree).ok();
    fs::create_dir(tree).expect("an empty folder");
    unpack(archive, tree, below, numbers).is_ok()
}

fn packed(tree: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(tree, &mut bytes, |owner, group| (owner, group))
        .expect("what was unpacked is packed");
    bytes
}

fn assert_outside_is_untouched(top: &Path) {
    let outside = fs::read_dir(top.join("outside")).expect("it is there");
    assert_eq!(outside.count(), 1, "something was made outside");
    assert_eq!(fs::read(top.join("outside/f")).expect("it is there"), b"untouched");
    let others = fs::read_dir(top).expect("it is there").count();
    assert!(others <= 4, "something was made beside the layer");
}

/// The archive with right sums in each block that could be a header.
fn with_sums(archive: &[u8]) -> Vec<u8> {
    let mut archive = archive.to_vec();
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    for block in
        archive.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar")
    {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    archive
}
