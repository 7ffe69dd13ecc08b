//! Which image is meant by a name?
//!
//! A name leads to a manifest, or to an index of manifests for different machines. What is asked
//! for by its digest is compared with it, so that from the first digest on nobody between us and
//! whoever made the image can put another in its place. Read image-index.md and manifest.md.

use image::layout::{check, check_length};
use image::manifest::{
    CONFIG, Config, DOCKER_MANIFEST, Descriptor, Index, LAYER, MANIFEST, Manifest,
    Platform,
};
use image::{Digest, shown};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Map;
use stage::{Error, Result};

use crate::registry::{Registry, Trouble};
use crate::store::Name;

/// How deep an index may lie in an index.
const DEPTH: usize = 3;

/// Docker's own media types.
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// The image that a name leads to.
#[derive(Debug)]
pub(super) struct Found {
    /// Of what the name itself leads to: the index, if there is one.
    pub(super) digest: Digest,
    pub(super) manifest: Descriptor,
    pub(super) text: Vec<u8>,
    pub(super) parts: Manifest,
}

/// What a text is, seen from outside.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    schema_version: Option<u32>,
    media_type: Option<String>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    manifests: Option<IgnoredAny>,
}

/// Ask `registry` for the image `name` that is for `machine`.
pub(super) fn find(
    registry: &Registry,
    name: &Name,
    machine: &Platform,
) -> Result<Found> {
    let (mut media_type, mut text) =
        registry.manifest(name.reference()).map_err(Trouble::error)?;
    let digest = Digest::of(&text);
    if let Some(expected) = name.digest() {
        check(
            &Descriptor::new("", expected, text.len() as u64),
            &digest,
            text.len() as u64,
        )?;
    }
    for _ in 0..DEPTH {
        let outline = outline(&text)?;
        let media_type_said = outline.media_type.unwrap_or(media_type);
        if outline.manifests.is_none() {
            let parts = Manifest::parse(&text)?;
            check_parts(&parts)?;
            let media_type = or(&media_type_said, &[MANIFEST, DOCKER_MANIFEST]);
            let found = Digest::of(&text);
            let manifest = Descriptor::new(media_type, found, text.len() as u64);
            return Ok(Found { digest, manifest, text, parts });
        }
        let index = Index::parse(&text)?;
        let entry = choose(&index, machine)?;
        (media_type, text) =
            registry.manifest(&entry.digest.to_string()).map_err(Trouble::error)?;
        check(entry, &Digest::of(&text), text.len() as u64)?;
    }
    Err(Error::input(format!(
        "{name}: an index in an index in an index leads to no image"
    )))
}

/// A text that could be read in two ways could be two images for two programs (CVE-2021-41190).
fn outline(text: &[u8]) -> Result<Outline> {
    let outline: Outline = serde_json::from_slice(text)
        .map_err(|error| Error::input(format!("the manifest is damaged: {error}")))?;
    if outline.schema_version == Some(1) {
        return Err(Error::input("the image is of Docker's first kind (schema 1)")
            .hint("whoever has it can push it again, with any Docker since 2016"));
    }
    match outline.manifests.is_some()
        && (outline.layers.is_some() || outline.config.is_some())
    {
        false => Ok(outline),
        true => {
            Err(Error::input("the manifest is damaged: it is a manifest and an index"))
        }
    }
}

/// `media_type` if it is one of `known`, else the first of these.
fn or<'t>(media_type: &'t str, known: &[&'t str]) -> &'t str {
    match known.contains(&media_type) {
        true => media_type,
        false => known[0],
    }
}

/// The entry for `machine`. Without a variant, the first one will do.
fn choose<'i>(index: &'i Index, machine: &Platform) -> Result<&'i Descriptor> {
    let is_for =
        |entry: &&Descriptor| entry.platform.as_ref().is_some_and(|it| fits(machine, it));
    let platforms = || index.manifests.iter().filter_map(|entry| entry.platform.as_ref());
    // An index of one image need not say for whom that is; the configuration does.
    let only = || index.manifests.first().filter(|_| platforms().next().is_none());
    index.manifests.iter().find(is_for).or_else(only).ok_or_else(|| {
        let mut known: Vec<String> = platforms().map(words).collect();
        // What goes with an image, and is none.
        known.retain(|platform| !platform.starts_with("unknown/"));
        Error::input(format!(
            "there is no image for {}, there is {}",
            words(machine),
            shown(known.join(", "))
        ))
        .hint("--platform OS/ARCHITECTURE takes another")
    })
}

/// Whether an image for `other` is what is wanted.
fn fits(wanted: &Platform, other: &Platform) -> bool {
    wanted.runs(other) && (wanted.variant.is_none() || wanted.variant == other.variant)
}

/// `linux/arm/v7`, as Docker writes it.
pub(super) fn words(platform: &Platform) -> String {
    let Platform { os, architecture, variant, .. } = platform;
    let variant = variant.as_ref().map(|variant| format!("/{variant}"));
    format!("{os}/{architecture}{}", variant.unwrap_or_default())
}

/// Read `OS/ARCHITECTURE[/VARIANT]`.
pub fn platform(text: &str) -> Result<Platform> {
    let mut parts = text.split('/').map(String::from);
    let (os, architecture, variant) = (parts.next(), parts.next(), parts.next());
    let plain =
        text.bytes().all(|it| it.is_ascii_alphanumeric() || b"/._-".contains(&it));
    match (os, architecture, parts.next()) {
        (Some(os), Some(architecture), None) if plain && !architecture.is_empty() => {
            Ok(Platform { os, architecture, variant, other: Map::new() })
        }
        _ => Err(Error::input(format!("\"{}\" is no platform", shown(text)))
            .hint("OS/ARCHITECTURE[/VARIANT], such as linux/arm64 or linux/arm/v7")),
    }
}

/// Refuse, before the first layer is on its way, what is no image for us.
fn check_parts(parts: &Manifest) -> Result<()> {
    let config = &parts.config.media_type;
    if ![CONFIG, DOCKER_CONFIG].contains(&config.as_str()) {
        return Err(Error::input(format!(
            "this is no image of a root file system, but {}",
            shown(config)
        )));
    }
    check_length(&parts.config.digest, parts.config.size)?;
    parts.layers.iter().try_for_each(check_layer)
}

fn check_layer(layer: &Descriptor) -> Result<()> {
    let Descriptor { media_type, digest, other, .. } = layer;
    if other.contains_key("urls") || media_type.contains("foreign") {
        return Err(Error::input(format!(
            "layer {} is not in the registry, but elsewhere (a foreign layer)",
            digest.short()
        )));
    }
    let compressed = |media_type: &str, endings: &[&str]| endings.contains(&media_type);
    let oci = media_type.strip_prefix(LAYER);
    let docker = media_type.strip_prefix(DOCKER_LAYER);
    let is_known = oci.is_some_and(|end| compressed(end, &["", "+gzip", "+zstd"]))
        || docker.is_some_and(|end| compressed(end, &["", ".gzip", ".zstd"]));
    match is_known {
        true => Ok(()),
        false => Err(Error::input(format!(
            "layer {} is no tar archive, but {}",
            digest.short(),
            shown(media_type)
        ))),
    }
}

/// Refuse a configuration that does not go with its layers, or is for other machines than
/// were `asked` for. Who asks for none in particular gets a warning.
pub(super) fn check_config(
    config: &Config,
    layers: usize,
    asked: Option<&Platform>,
) -> Result<()> {
    let described = config.rootfs.diff_ids.len();
    if layers != described {
        return Err(Error::input(format!(
            "the manifest has {layers} layers, and the configuration {described}"
        )));
    }
    let (here, it) = (Platform::here(), &config.platform);
    match asked {
        Some(asked) if !asked.runs(it) => Err(Error::input(format!(
            "there is no image for {}, there is {}",
            words(asked),
            shown(words(it))
        ))),
        None if !here.runs(it) => {
            let (it, here) = (shown(words(it)), words(&here));
            stage::warn(format!("the image is for {it}, and this machine is {here}"));
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[&str]) -> Index {
        let entry = |text: &&str| {
            let entry = Descriptor::new(MANIFEST, Digest::of(text.as_bytes()), 1);
            Descriptor { platform: Some(platform(text).unwrap()), ..entry }
        };
        Index { manifests: platforms.iter().map(entry).collect(), ..Index::default() }
    }

    #[test]
    fn the_machine_decides() {
        let all = ["unknown/unknown", "linux/amd64", "linux/arm/v6", "linux/arm/v7"];
        let index = index(&all);
        let chosen = |text: &str| choose(&index, &platform(text).unwrap());
        for (asked, expected) in
            [("linux/amd64", all[1]), ("linux/arm", all[2]), ("linux/arm/v7", all[3])]
        {
            let digest = &chosen(asked).unwrap().digest;
            assert_eq!(*digest, Digest::of(expected.as_bytes()), "{asked}");
        }
        let line = chosen("linux/riscv64").unwrap_err().to_string();
        let expected = "there is no image for linux/riscv64, there is linux/amd64, \
            linux/arm/v6, linux/arm/v7";
        assert_eq!(line, expected);
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for wrong in ["", "linux", "linux/", "a/b/c/d", "a b/c", "a/b\n"] {
            let line = platform(wrong).unwrap_err().to_string();
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn a_text_is_a_manifest_or_an_index() {
        for wrong in [
            r#"{"schemaVersion": 2, "manifests": [], "layers": []}"#,
            r#"{"schemaVersion": 2, "manifests": [], "config": {}}"#,
            r#"{"schemaVersion": 1, "fsLayers": []}"#,
            "[]",
            "",
        ] {
            assert!(outline(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
