//! How do the lessons become a container engine?
//!
//! Read `run.rs` first: [`run::contain`] is the course's table of contents. Everything else
//! decides what to contain, or tidies up.
//!
//! | file | its question |
//! |---|---|
//! | `run.rs` | in which order does a container come to life? |
//! | `foreground.rs` | how does one make a container, and run it? |
//! | `keep.rs` | who stays with a container as long as it lives? |
//! | `monitor.rs` | who keeps a container that nobody waits for? |
//! | `streams.rs` | what does a container find as its standard input, output and error? |
//! | `relay.rs` | who hears what a container writes, and whom does it hear? |
//! | `talk.rs` | what do a container's monitor and its visitors say to each other? |
//! | `attach.rs` | how does one sit in front of a container? |
//! | `logs.rs` | what has a container written? |
//! | `signals.rs` | which signal is meant? |
//! | `life.rs` | how does one start, stop and await a container? |
//! | `limits.rs`, `limits/` | how is a container held to what it may use? |
//! | `control.rs` | how is a running container stopped in time, and given more or less? |
//! | `listing.rs`, `listing/` | which containers are there? |
//! | `status.rs` | how is a container at this moment? |
//! | `inspect.rs` | what can one know of a container? |
//! | `top.rs` | what runs in a container? |
//! | `usage.rs` | what takes room on the disk, and what of it could go? |
//! | `about.rs` | what is this engine, and which machine is it on? |
//! | `stats.rs` | what do running containers use at this moment? |
//! | `names.rs` | what is a container called that nobody has named? |
//! | `events.rs` | what happens, and how does one hear of it? |
//! | `format.rs` | how does somebody want to see it? |
//! | `filters.rs` | what does `--filter KEY=VALUE` ask for? |
//! | `when.rs` | which moment does somebody mean by `--since`? |
//! | `guards.rs` | what may a container do? |
//! | `exec.rs` | how does another process get into a running container? |
//! | `spec.rs` | how is a container described? |
//! | `describe.rs` | how do an image and some flags become a description? |
//! | `host.rs` | how does the machine become an image for somebody who is not root? |
//! | `container.rs`, `container/` | where does a container keep what it is, and who takes it away? |
//! | `users.rs` | as whom does a process run in a container? |
//! | `userns.rs` | how does a container's root come to be nobody in particular outside? |
//! | `volumes.rs`, `volumes/` | what of a container is not the image's business? |
//! | `settings.rs`, `settings/` | what else can be said about a container? |
//! | `network.rs` | which network does a container get? |
//! | `rootless.rs` | how does the engine do without root? |
//! | `store.rs` | where do images live, and who may take them away? |
//! | `decode.rs` | how is a tarball compressed? |
//! | `import.rs` | how does a tarball become a root file system? |
//! | `pull.rs`, `pull/` | how does an image get here from a registry? |
//! | `push.rs` | how does an image get from here to a registry? |
//! | `registry.rs`, `registry/` | how does one talk to a registry? |
//! | `images.rs` | what can one do with images? |
//! | `archive.rs` | how does an image travel in one file? |
//! | `build.rs`, `build/` | how does a Dockerfile become an image? |
//! | `commit.rs` | how does a container become an image? |
//! | `layer.rs` | how does what was written become a layer, and layers an image? |
//! | `diff.rs` | what has a container changed? |
//! | `cp.rs`, `cp/` | how do files get into a container and out of it? |
//! | `reach.rs` | where can the files of a container be reached, whether it runs or not? |
//! | `copy.rs` | how do files get from one tree into another, when neither is to be trusted? |
//! | `bars.rs` | how does one show that something takes time? |
//! | `times.rs` | when was that? |
//! | `disk.rs` | how does state get onto the disk whole? |
//! | `clean.rs` | what is left on this machine that carries our name? |
//! | `machine.rs`, `machine/` | what can this machine do? |
//! | `stand_in.rs` | where can a program go wrong without harm to the machine? |
//! | `sys.rs`, `sys/` | what does the engine ask the kernel for that no lesson teaches? |

pub mod about;
pub mod archive;
pub mod attach;
mod bars;
pub mod build;
pub mod clean;
pub mod commit;
pub mod container;
pub mod control;
pub mod copy;
pub mod cp;
pub mod decode;
pub mod describe;
pub mod diff;
pub mod disk;
pub mod events;
pub mod exec;
pub mod filters;
pub mod foreground;
pub mod format;
pub mod guards;
pub mod host;
pub mod images;
pub mod import;
pub mod inspect;
pub mod keep;
pub mod layer;
pub mod life;
pub mod limits;
pub mod listing;
pub mod logs;
pub mod machine;
pub mod monitor;
pub mod names;
pub mod network;
pub mod pull;
pub mod push;
pub mod reach;
pub mod registry;
pub mod relay;
pub mod rootless;
pub mod run;
pub mod settings;
pub mod signals;
pub mod spec;
pub mod stand_in;
pub mod stats;
pub mod status;
pub mod store;
pub mod streams;
pub mod sys;
pub mod talk;
pub mod times;
pub mod top;
pub mod usage;
pub mod userns;
pub mod users;
pub mod volumes;
pub mod when;

/// Take away what killed engines have left on the machine, and in `store`: every command begins
/// with it.
pub fn sweep(store: &store::Store) -> stage::Result<()> {
    container::sweep(store)?;
    volumes::Volumes::of(store.root()).sweep()?;
    network::sweep().map(drop)
}
