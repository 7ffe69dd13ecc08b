//! What holds the parts of an image together?
//!
//! Descriptors: a media type, a digest and a size say what a blob is, and which. Manifests,
//! indexes and configurations are JSON; field names are those of the specification (descriptor.md,
//! manifest.md, image-index.md, config.md), and fields that we do not use are kept as they came.
//! Docker's own formats, which are older, differ only in the media types.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use stage::{Error, Result};

use crate::Digest;

/// The media types of what we write.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Of a list of manifests.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Of a configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Of a layer: a tar archive. Compressed, `+gzip` or `+zstd` follows.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Docker's.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's for a list of manifests.
pub const DOCKER_INDEX: &str =
    "application/vnd.docker.distribution.manifest.list.v2+json";

/// The annotation of a descriptor in a layout's index that says what the image is called.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Says what a blob is, and which one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Which one.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// In an index: the machines that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Fields that we do not use.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Descriptor {
    /// Nothing but what has to be said.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.into(),
            digest,
            size,
            annotations: BTreeMap::new(),
            platform: None,
            other: Map::new(),
        }
    }
}

/// A kind of machine, by Go's names: `amd64`, `linux`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The processor.
    pub architecture: String,
    /// The operating system.
    pub os: String,
    /// Which generation of the processor: `v7` of `arm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Fields that we do not use.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Platform {
    /// This machine.
    pub fn here() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let (architecture, os) = (architecture.into(), "linux".into());
        Platform { architecture, os, variant: None, other: Map::new() }
    }

    /// Whether an image for `other` runs on this one.
    pub fn runs(&self, other: &Platform) -> bool {
        (&self.architecture, &self.os) == (&other.architecture, &other.os)
    }
}

/// A list of images: one for each kind of machine, or all that a layout has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2, always.
    pub schema_version: u32,
    /// [`INDEX`], or Docker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The images, or further lists.
    pub manifests: Vec<Descriptor>,
    /// Fields that we do not use.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Default for Index {
    fn default() -> Index {
        let (media_type, manifests) = (Some(INDEX.into()), Vec::new());
        Index { schema_version: 2, media_type, manifests, other: Map::new() }
    }
}

/// An image: a configuration, and layers, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2, always.
    pub schema_version: u32,
    /// [`MANIFEST`], or Docker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers.
    pub layers: Vec<Descriptor>,
    /// Fields that we do not use.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Manifest {
    /// An image of these parts.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Manifest {
        let media_type = Some(MANIFEST.into());
        Manifest { schema_version: 2, media_type, config, layers, other: Map::new() }
    }
}

/// How an image is to be run, and what its layers are when they are not compressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// When it was made: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The machines that it is for.
    #[serde(flatten)]
    pub platform: Platform,
    /// How to run it.
    #[serde(default, deserialize_with = "null_is_none_said")]
    pub config: Settings,
    /// Its layers.
    pub rootfs: Rootfs,
    /// How it was made: a line for each step, the first step first.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_none_said"
    )]
    pub history: Vec<Step>,
}

/// The layers of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// `layers`, always.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digest of each as a plain tar archive, the lowest first.
    pub diff_ids: Vec<Digest>,
}

/// How an image is to be run. `null` stands for what is not said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Settings {
    /// `USER[:GROUP]`, names or numbers; empty for root.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_none_said"
    )]
    pub user: String,
    /// Ports such as `80/tcp`.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_none_said"
    )]
    pub exposed_ports: BTreeMap<String, Value>,
    /// `NAME=value`
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_none_said"
    )]
    pub env: Vec<String>,
    /// What comes before the command.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_none_said"
    )]
    pub entrypoint: Vec<String>,
    /// The command, if the user gives none.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_none_said"
    )]
    pub cmd: Vec<String>,
    /// Folders whose contents are not the image's business.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_none_said"
    )]
    pub volumes: BTreeMap<String, Value>,
    /// Where the command begins; empty for "/".
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_none_said"
    )]
    pub working_dir: String,
    /// What somebody wanted to be known.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_none_said"
    )]
    pub labels: BTreeMap<String, String>,
    /// How the command is asked to end: a name such as SIGTERM, or a number.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_none_said"
    )]
    pub stop_signal: String,
    /// Fields that we do not use.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One step of the making of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// When: RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// What was done.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_none_said"
    )]
    pub created_by: String,
    /// What somebody remarked.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_none_said"
    )]
    pub comment: String,
    /// It has made no layer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    /// Fields that we do not use.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Go's programs write `null` for a list, a map or a text that is empty.
fn null_is_none_said<'d, D, T>(input: D) -> std::result::Result<T, D::Error>
where
    D: Deserializer<'d>,
    T: Default + Deserialize<'d>,
{
    Option::deserialize(input).map(Option::unwrap_or_default)
}

impl Config {
    /// Read one, and refuse what is no configuration of layers.
    pub fn parse(text: &[u8]) -> Result<Config> {
        let config: Config = parse("the configuration", text)?;
        match config.rootfs.kind.as_str() {
            "layers" => Ok(config),
            _ => {
                Err(Error::input("the configuration's root file system is not of layers"))
            }
        }
    }

    /// The names of each layer together with all below it, the lowest first: its own, and then
    /// each time the digest of what there was, a space, and the next one's (config.md, "ChainID").
    pub fn chain_ids(&self) -> impl Iterator<Item = Digest> {
        self.rootfs.diff_ids.iter().scan(None, |below: &mut Option<Digest>, next| {
            let together = match below.as_ref() {
                Some(below) => Digest::of(format!("{below} {next}").as_bytes()),
                None => next.clone(),
            };
            *below = Some(together.clone());
            Some(together)
        })
    }
}

impl Manifest {
    /// Read one, and refuse what is none.
    pub fn parse(text: &[u8]) -> Result<Manifest> {
        let manifest: Manifest = parse("the manifest", text)?;
        version_2("manifest", manifest.schema_version)?;
        Ok(manifest)
    }
}

impl Index {
    /// Read one, and refuse what is none.
    pub fn parse(text: &[u8]) -> Result<Index> {
        let index: Index = parse("the index", text)?;
        version_2("index", index.schema_version)?;
        Ok(index)
    }
}

fn parse<'t, T: Deserialize<'t>>(what: &str, text: &'t [u8]) -> Result<T> {
    serde_json::from_slice(text)
        .map_err(|error| Error::input(format!("{what} is damaged: {error}")))
}

fn version_2(what: &str, version: u32) -> Result<()> {
    match version {
        2 => Ok(()),
        _ => Err(Error::input(format!(
            "an {what} of schema version {version}: only 2 is known"
        ))),
    }
}
