//! How does a Dockerfile become an image?
//!
//! Step by step: each changes the configuration, or makes a layer on those before it. What one has
//! made is an image of its own, so that the next build finds it again (`build/cache.rs`).
//!
//! | file | its question |
//! |---|---|
//! | `build/dockerfile.rs` | what is in a Dockerfile? |
//! | `build/words.rs` | what does a word of it mean, with its quotes and variables? |
//! | `build/stages.rs` | which stages does it have, and which of them are needed? |
//! | `build/settings.rs` | what do the instructions change that make no files? |
//! | `build/context.rs`, `build/ignore.rs` | which files can be copied? |
//! | `build/put.rs` | how do they get into an image? |
//! | `build/step.rs` | how is a step done? |
//! | `build/cache.rs` | what need not be done once more? |

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use image::{Digest, unpack};
use stage::{Error, Result};
use user::Numbers;

use crate::decode::decode;
use crate::network::Network;
use crate::store::{Making, Name, Store};
use context::Context;
use dockerfile::{Action, Dockerfile, Instruction};
use put::Room;
use stages::Section;
use step::Progress;
use words::Meaning;

pub mod cache;
mod context;
mod dockerfile;
mod ignore;
mod put;
mod settings;
mod stages;
mod step;
mod words;

pub use settings::change;

/// What is to be built.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A folder with the files that can be copied; `-` for a tar archive on standard input.
    pub context: PathBuf,
    /// The Dockerfile, if it is not that of the context; `-` for standard input.
    pub file: Option<PathBuf>,
    /// What the image is to be called.
    pub names: Vec<String>,
    /// `NAME=value` for ARG, or `NAME` for our own value.
    pub args: Vec<String>,
    /// The stage that is wanted, if it is not the last one.
    pub target: Option<String>,
    /// Do everything once more.
    pub no_cache: bool,
    /// Say nothing but the image's ID.
    pub quiet: bool,
    /// The network of RUN.
    pub network: Option<Network>,
}

/// A build on its way.
struct Build<'b> {
    store: &'b Store,
    options: &'b Options,
    /// While it lives, nothing that we make is collected.
    work: Making<'b>,
    context: Context,
    escape: char,
    sections: Vec<Section>,
    /// What the ARGs before the first FROM are worth.
    global: BTreeMap<String, String>,
    /// What the user has given for ARGs, and which of these were asked for.
    given: BTreeMap<String, String>,
    asked: BTreeSet<String>,
    /// The stages that are done.
    done: BTreeMap<usize, Progress>,
    /// How many steps are done, and how many there are.
    step: usize,
    steps: usize,
}

/// Build an image; its ID.
pub fn build(store: &Store, options: &Options) -> Result<Digest> {
    let names = options.names.iter().map(|name| Name::of_image(name));
    let names = names.collect::<Result<Vec<_>>>()?;
    let given = given(&options.args)?;
    let (_room, context) = context_of(store, options)?;
    let (file, text) = dockerfile_of(options, &context)?;
    let dockerfile = Dockerfile::parse(&file, &text)?;
    let escape = dockerfile.escape;
    let (before, sections) = stages::split(&file, dockerfile)?;
    let mut build = Build {
        store,
        options,
        work: store.making()?,
        context,
        escape,
        sections,
        global: BTreeMap::new(),
        given,
        asked: BTreeSet::new(),
        done: BTreeMap::new(),
        step: 0,
        steps: 0,
    };
    for instruction in &before {
        let read = build.global_args(instruction);
        read.map_err(|error| dockerfile::at(&file, instruction.line, error))?;
    }
    let last = build.all(&file)?;
    build.warn_of_args();
    let image = store.keep(last.manifest(), &names)?;
    drop(build.work);
    if !options.quiet {
        stage::tell(format!("Successfully built {}", image.id.short()))?;
        for name in &names {
            stage::tell(format!("Successfully tagged {}", name.full()))?;
        }
    }
    Ok(image.id)
}

impl Build<'_> {
    /// Build all stages that are needed; the one that is wanted.
    fn all(&mut self, file: &str) -> Result<Progress> {
        let target = self.target()?;
        let image = |section: &Section| {
            let image = self.global_meaning(&section.start.image);
            image.map_err(|error| dockerfile::at(file, section.from.line, error))
        };
        let needed = stages::needed(&self.sections, target, &image)?;
        let steps = needed.iter().map(|number| self.sections[*number].steps.len() + 1);
        self.steps = steps.sum();
        for number in needed {
            let progress = self.stage(number, file)?;
            self.done.insert(number, progress);
        }
        let done = self.done.remove(&target);
        done.ok_or_else(|| Error::input("the stage was not built"))
    }

    fn stage(&mut self, number: usize, file: &str) -> Result<Progress> {
        let from = self.sections[number].from.clone();
        let placed = |line: usize| move |error| dockerfile::at(file, line, error);
        self.tell_step(&from.text)?;
        let mut progress = self.begin(number).map_err(placed(from.line))?;
        self.tell(format!(" ---> {}", progress.id().short()))?;
        for instruction in self.sections[number].steps.clone() {
            self.tell_step(&instruction.text)?;
            let done = self.step(&mut progress, number, &instruction);
            done.map_err(placed(instruction.line))?;
            self.tell(format!(" ---> {}", progress.id().short()))?;
        }
        Ok(progress)
    }

    fn target(&self) -> Result<usize> {
        let last = self.sections.len() - 1;
        let Some(target) = &self.options.target else { return Ok(last) };
        stages::find(&self.sections, last + 1, target).ok_or_else(|| {
            let names = self.sections.iter().filter_map(|it| it.start.name.as_deref());
            let names: Vec<&str> = names.collect();
            Error::input(format!("--target {target}: no stage is called so"))
                .hint(format!("there are {} of them: {}", last + 1, names.join(", ")))
        })
    }

    fn global_args(&mut self, instruction: &Instruction) -> Result<()> {
        let Action::Arg(args) = &instruction.action else { return Ok(()) };
        for (name, default) in args {
            self.asked.insert(name.clone());
            let default = default.as_deref().map(|text| self.global_meaning(text));
            let value = self.given.get(name).cloned().map_or(default.transpose()?, Some);
            self.global.extend(value.map(|value| (name.clone(), value)));
        }
        Ok(())
    }

    fn global_meaning(&self, text: &str) -> Result<String> {
        let value = |name: &str| self.global.get(name).cloned();
        Meaning { escape: self.escape, value: &value }.of(text)
    }

    fn warn_of_args(&self) {
        let unused = self.given.keys().filter(|name| {
            !self.asked.contains(*name) && !step::PROXIES.contains(&name.as_str())
        });
        let unused: Vec<&str> = unused.map(String::as_str).collect();
        if !unused.is_empty() {
            stage::warn(format!("no ARG asked for --build-arg {}", unused.join(", ")));
        }
    }

    fn tell_step(&mut self, text: &str) -> Result<()> {
        self.step += 1;
        self.tell(format!("Step {}/{} : {text}", self.step, self.steps))
    }

    fn tell(&self, text: impl std::fmt::Display) -> Result<()> {
        if self.options.quiet { Ok(()) } else { stage::tell(text) }
    }
}

/// What the user gives for ARGs.
fn given(args: &[String]) -> Result<BTreeMap<String, String>> {
    let mut given = BTreeMap::new();
    for arg in args {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (arg.as_str(), std::env::var(arg).ok()),
        };
        if name.is_empty() {
            return Err(Error::input(format!("--build-arg {arg:?}: give NAME=value")));
        }
        given.extend(value.map(|value| (name.to_string(), value)));
    }
    Ok(given)
}

/// The context, and the folder that it was unpacked in, if it came as an archive.
fn context_of(store: &Store, options: &Options) -> Result<(Option<Room>, Context)> {
    if options.context != Path::new("-") {
        return Ok((None, Context::open(&options.context)?));
    }
    if options.file.as_deref() == Some(Path::new("-")) {
        return Err(Error::input(
            "standard input is the context or the Dockerfile, not both",
        ));
    }
    let room = Room::make(store)?;
    let archive = decode(Box::new(io::stdin()))?;
    let unpacked = unpack::unpack(archive, &room.upper(), &[], &Numbers::here()?);
    unpacked.map_err(|error| error.within("the context"))?;
    let context = Context::open(&room.upper())?;
    Ok((Some(room), context))
}

/// What the Dockerfile is called, and what it says.
fn dockerfile_of(options: &Options, context: &Context) -> Result<(String, String)> {
    let file = options.file.as_deref().unwrap_or(Path::new("Dockerfile"));
    let shown = file.display().to_string();
    if shown == "-" {
        let mut text = String::new();
        let read = io::stdin().read_to_string(&mut text);
        read.map_err(|error| Error::io("standard input", &error))?;
        return Ok(("Dockerfile".into(), text));
    }
    // One that is named is looked for where we are; that of an archive is in the archive.
    if options.file.is_none() || options.context == Path::new("-") {
        return Ok((shown, context.read(&file.to_string_lossy())?));
    }
    let text = fs::read_to_string(file).map_err(|error| Error::io(&shown, &error))?;
    Ok((shown, text))
}
