//! Lesson 21: what is in an image?
//!
//! Files that are named after their contents. A manifest names the layers and a configuration by
//! their digests; an index names manifests; and each layer is a tar archive with what it adds to
//! those below it, and what it takes away.
//!
//! Read the OCI Image Format Specification (image-layout.md, manifest.md, config.md, layer.md),
//! then these files in this order:
//!
//! | file | its question |
//! |---|---|
//! | `digest.rs` | how is content named so that nobody can put other content in its place? |
//! | `layout.rs` | where do blobs lie, and how do they get there whole? |
//! | `manifest.rs` | what holds the parts of an image together? |

pub mod digest;
pub mod layout;
pub mod manifest;

pub use digest::Digest;
pub use layout::Layout;
