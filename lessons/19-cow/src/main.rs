//! Lesson 19, the demonstration: `cow [OPTIONS]`.
//!
//! The same job for each way: a container starts from an image of some thousand files, and
//! changes a byte of a big and of a small one. What that takes is measured on file systems
//! of the lesson's own. Nobody is contained, so that there is no COMMAND.

use std::process::ExitCode;

use clap::{Parser, value_parser};
use stage::{Evidence, Flags, Result, Stage, Verdict};

mod driver;
mod ground;
mod image;
mod judge;
mod measure;

use driver::Driver;
use ground::{Ground, Names};
use image::Image;

/// Lesson 19: what did Docker use before overlay, and elsewhere?
#[derive(Parser)]
struct Args {
    /// One way only: copy, links, reflink, btrfs, mapper or overlay
    #[arg(long, value_name = "WAY")]
    only: Option<Driver>,
    /// How many small files the image has
    #[arg(long, default_value_t = 2000, value_parser = value_parser!(u64).range(100..=20_000))]
    files: u64,
    /// The size of its big file
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 32,
        value_parser = value_parser!(u64).range(8..=512)
    )]
    size: u64,
    #[command(flatten)]
    flags: Flags,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "what did Docker use before overlay, and elsewhere?";
    stage::lesson("cow", question, &args.flags, |stage| {
        for left in cow::mapper::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        play(stage, &args)
    })
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let image = Image { files: args.files, big: args.size << 20 };
    let drivers =
        Driver::ALL.into_iter().filter(|it| args.only.is_none_or(|only| only == *it));
    let mut rows = Vec::new();
    for driver in drivers {
        rows.push((driver, look(stage, driver, &image)?));
    }
    if args.only.is_none() {
        judge::show(stage, &image, &rows);
        stage.gap();
    }
    Ok(judge::judge(&image, &rows))
}

/// What one way takes, as seen by a child in a mount namespace of its own. Disk, file system
/// and mounts go with it; what would not is noted by us.
fn look(stage: &Stage, driver: Driver, image: &Image) -> Result<Evidence> {
    let names = match driver {
        Driver::Mapper => Some(Names::reserve()?),
        _ => None,
    };
    let mut host = stage.fork(|cue| {
        let seen = match Ground::prepare(stage, driver, image, names.as_ref())? {
            Ok(ground) => measure::play(stage, &ground, image)?,
            Err(why) => measure::not_run(&why),
        };
        cue.report(seen)?;
        Ok(0)
    })?;
    let seen = host.evidence()?;
    host.finish()?;
    Ok(seen)
}
