//! Does the engine keep its word?
//!
//! Black-box tests of the command line, on real root file systems. Each has a store of its
//! own and looks at the machine before and after.
//!
//! | file | its question |
//! |---|---|
//! | `host.rs` | is the machine safe from a container that has it as its image? |
//! | `outside.rs` | and what of the machine can such a container reach? |
//! | `flags.rs` | does each flag do what it says? |
//! | `volumes.rs` | where do volumes and mounts end up, also in a hostile image? |
//! | `life.rs` | is a container started, stopped, awaited and listened to as asked? |
//! | `attacks.rs` | what does a hostile container try, and what comes of it? |
//! | `named.rs` | do volumes outlive their containers, whoever is killed, and are they shared? |
//! | `settings.rs` | do limits of processes, switches, labels and files of variables do what they say? |
//! | `init.rs` | does `--init` do what number 1 must do? |
//! | `joining.rs` | is who joins a container as much in it as who started it? |
//! | `users.rs` | as whom does a command run, by whose names? |
//! | `userns.rs` | is a container's root nobody in particular outside? |
//! | `bridge.rs` | do containers reach each other, and nobody in another's name? |
//! | `networks.rs` | what does each `--network` give, and whose files are in /etc? |
//! | `rootless.rs` | does all of it work for somebody who is not root? |
//! | `usermode.rs` | and how does that somebody reach the world? |
//! | `statuses.rs` | what does a failure look like? |
//! | `images.rs` | do imported systems work? |
//! | `build.rs` | does a Dockerfile become the image that it describes? |
//! | `files.rs` | are a container's files told, kept and copied as they are? |
//! | `store.rs` | are images listed, named, shared and removed, and do they say how to be run? |
//! | `lists.rs` | does one see what there is, and what happens? |
//! | `exchange.rs` | do others run what we have made, and we what others have made? |
//! | `packages.rs` | does a system's own package manager work, over the network? |
//! | `services.rs` | do a database and a web server serve many, and lose nothing when all is killed? |
//! | `killing.rs` | what is left when somebody is killed? |
//! | `many.rs` | does it all hold when there are many, one after the other and at once? |
//! | `terminal.rs` | what does it look like on a terminal? |
//! | `screens.rs` | and programs that have the whole screen? |

mod attacks;
mod bridge;
mod build;
mod exchange;
mod files;
mod flags;
mod host;
mod images;
mod init;
mod joining;
mod killing;
mod life;
mod limits;
mod lists;
mod many;
mod named;
mod networks;
mod outside;
mod packages;
mod rootless;
mod screens;
mod services;
mod settings;
mod statuses;
mod store;
mod terminal;
mod usermode;
mod userns;
mod users;
mod volumes;
