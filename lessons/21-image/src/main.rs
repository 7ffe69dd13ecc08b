//! Lesson 21, the demonstration: `image [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! Two layers are packed, named, and put together to an image; then it is taken apart again, by
//! nothing but what is in the layout. A second image shares its base. There is no contained
//! process here: COMMAND runs beside the layout afterwards, to look around.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use image::{Layout, layer};
use stage::{Command, Error, Evidence, Flags, Program, Result, Stage, Verdict};

mod example;
mod inside;
mod tree;

/// Lesson 21: what is in an image?
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    stage::lesson("image", "what is in an image?", &args.flags, |stage| {
        play(stage, &args)
    })
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let mut workshop = stage.fork(|cue| {
        sandbox(stage)?;
        cue.report(look(stage)?)?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;
    let seen = workshop.evidence()?;
    let status = workshop.finish()?;
    Ok(judge(&seen).status(status))
}

/// A tmpfs over /tmp that only we can see: it ends with us, whatever happens.
fn sandbox(stage: &Stage) -> Result<()> {
    mount::isolate(stage)?;
    mount::tmpfs(stage, Path::new("/tmp"))?;
    std::env::set_current_dir("/tmp").map_err(|error| Error::io("/tmp", &error))
}

/// Put an image together and take it apart; then make a second one on the same base.
fn look(stage: &Stage) -> Result<Evidence> {
    let layout = Layout::open(Path::new("layout"))?;
    let aside = Path::new("aside");
    example::lay_base()?;
    example::change_root(stage)?;
    let root = tree::look(stage, "root")?;
    let base = layer::keep(&layout, Path::new("base"), aside)?;
    let change = layer::keep(&layout, Path::new("upper"), aside)?;
    let lowest = inside::look_at_layer(stage, &layout, "layer 1", &base)?;
    let upper = inside::look_at_layer(stage, &layout, "layer 2", &change)?;
    example::write(&layout, "one", &[&base, &change])?;
    let image = inside::look_at_image(stage, &layout, "one")?;
    let damaged = inside::damage(stage, &layout, &change.blob)?;

    let unpacked = inside::take_apart(stage, &layout, "one")?;
    let sum = tree::look(stage, "sum")?;

    example::lay_other(stage)?;
    let other = layer::keep(&layout, Path::new("other"), aside)?;
    example::write(&layout, "two", &[&base, &other])?;
    Ok(Evidence::joined([
        ("root", root),
        ("layer 1", lowest),
        ("layer 2", upper),
        ("image", image),
        ("damaged", damaged),
        ("unpacked", unpacked),
        ("sum", sum),
        ("layout", inside::count(stage, &layout, &["one", "two"])?),
    ]))
}

fn judge(seen: &Evidence) -> Verdict {
    let has = |verdict: Verdict, what: &str, part: &str, whole: &str| {
        let words = seen[whole].split([' ', ',']).any(|word| word == part);
        verdict.holds(what, part, &seen[whole], words)
    };
    let (digest, diff_id) = (&seen["layer 2 digest"], &seen["layer 2 DiffID"]);
    let v = Verdict::on(
        "named by digests, taken apart by them: the sum of the layers is the root",
    )
    .equal("the files of the sum", &seen["root files"], &seen["sum files"])
    .equal("their owners, modes, times, bytes", &seen["root all"], &seen["sum all"])
    .equal("the blob is called by its sum", digest, &seen["layer 2 sha256sum"])
    .differ("the DiffID is another name", digest, diff_id)
    .equal("a blob with one other byte", "refused", &seen["damaged layer 2"])
    .equal("etc/hostname in layer 2", "whiteout", &seen["unpacked etc/hostname"])
    .equal("cache/ in layer 2", "opaque folder", &seen["unpacked cache/"])
    .equal("blobs of two images with four each", 7, &seen["layout blobs"])
    .equal("bytes saved", &seen["layer 1 size"], &seen["layout saved"]);
    let v = has(v, "the base has the file", "etc/hostname", "layer 1 archive");
    let v = has(v, "layer 2 hides it", "etc/.wh.hostname", "layer 2 archive");
    let v = has(v, "the manifest names the blob", digest, "image manifest");
    has(v, "the configuration names the archive", diff_id, "image config")
}
