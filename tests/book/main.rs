//! Is the book true?
//!
//! Everything here runs the programs as a student would and looks at what they leave
//! behind. One test program, so that what touches the machine can take turns.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what must be there in the shortest way"
)]

mod checks;
mod companion;
mod demo;
mod engine;
#[cfg(target_arch = "x86_64")]
mod faults;
#[cfg(not(target_arch = "x86_64"))]
#[path = "faults/elsewhere.rs"]
mod faults;
mod house;
mod import;
mod lab_vm;
mod languages;
mod layers;
mod lessons;
mod limits;
mod loops;
mod narration;
mod network;
mod packaging;
mod pages;
mod pictures;
mod quotes;
mod registry;
mod started;
mod storage;
mod support;
mod terminal;
mod timetable;
mod unprivileged;
mod web;
