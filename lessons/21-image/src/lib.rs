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
//! | `tarball.rs` | what is in a tar archive? |
//! | `pax.rs` | what does a tar archive say that its headers have no room for? |
//! | `whiteout.rs` | how does a layer take away what the layers below it have? |
//! | `below.rs` | what do the layers below have where this one says nothing? |
//! | `unpack.rs` | how does an archive from a stranger become files? |
//! | `unpack/dress.rs` | whose is a file, and what may be done with it? |
//! | `unpack/hide.rs` | when does a layer hide what lower layers have? |
//! | `pack.rs` | how do files become a layer? |
//! | `layer.rs` | how does a layer get into a layout, and out of it again? |
//! | `files.rs` | how does an image's file get into a folder, and nowhere else? |
//! | `shown.rs` | how is a name from a stranger told to somebody who sits at a terminal? |

mod below;
pub mod digest;
pub mod files;
pub mod layer;
pub mod layout;
pub mod manifest;
pub mod pack;
mod pax;
mod shown;
pub mod tarball;
pub mod unpack;
pub mod whiteout;

pub use digest::Digest;
pub use layout::Layout;
pub use shown::shown;
