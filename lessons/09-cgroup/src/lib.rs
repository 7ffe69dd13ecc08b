//! Lesson 9: what is a cgroup, and where is it on this machine?
//!
//! A control group is a folder in a file system of the kernel's. Processes are put into it by
//! writing their PIDs to a file, their children are born into it, and other files say what
//! all of them together may use, and what they have used. Who decides about a resource is
//! its controller.
//!
//! | file | its question |
//! |---|---|
//! | `hierarchy.rs` | where do cgroups live on this machine? |
//! | `group.rs` | how is a group made, told something, entered and removed? |
//! | `base.rs` | below which group may we make ours, and what must that one allow? |
//! | `files.rs` | how is the kernel asked for a group, and told about it? |
//! | `upkeep.rs` | how does a group go that still has processes? |
//!
//! Read cgroups(7), then hierarchy.rs, group.rs and main.rs.

mod base;
mod files;
mod group;
mod hierarchy;
mod upkeep;

pub use files::{remove_folder, write};
pub use group::{Entrance, Group};
pub use hierarchy::{Hierarchy, Membership, Version};
pub use upkeep::{left, sweep, sweep_noted};

/// The group that all of ours are in.
pub const PARENT: &str = "fakedocker";
