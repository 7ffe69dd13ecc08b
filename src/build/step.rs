//! How is a step of a build done?

use std::collections::BTreeMap;

use image::Digest;
use image::manifest::{Descriptor, Settings, Step};
use stage::{Error, Result, Stage};

use super::dockerfile::{Action, Command, Copy, Instruction, Setting};
use super::put::{self, Room};
use super::words::Meaning;
use super::{Build, cache, settings, stages};
use crate::build::context::Context;
use crate::container::Life;
use crate::describe::Request;
use crate::diff;
use crate::foreground::{self, Options};
use crate::layer::{Contents, Draft, lower};
use crate::network;
use crate::reach;
use crate::store::{Image, Work};
use crate::sys::output::Diverted;

/// Variables that RUN gets although no ARG asks for them: what they are makes no other image.
pub const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// How far a stage has come.
#[derive(Debug, Clone)]
pub struct Progress {
    draft: Draft,
    /// The same as an image, with its layers unpacked.
    image: Image,
    /// Stands for all that it was made from.
    key: Digest,
    /// What the ARGs so far are worth.
    args: BTreeMap<String, String>,
    /// Whether the command is not that of the image below.
    has_cmd: bool,
}

impl Progress {
    /// The image so far.
    pub fn id(&self) -> &Digest {
        &self.image.id
    }

    /// The same, as it is kept.
    pub fn manifest(&self) -> &Descriptor {
        &self.image.manifest
    }

    /// What a variable is worth.
    fn value(&self, name: &str) -> Option<String> {
        let of_env = settings::variable(&self.draft.config.config, name);
        of_env.or_else(|| self.args.get(name).cloned())
    }

    fn meaning(&self, escape: char, text: &str) -> Result<String> {
        Meaning { escape, value: &|name| self.value(name) }.of(text)
    }
}

impl Build<'_> {
    /// Begin the stage `number`: on another one, on an image, or on nothing.
    pub(super) fn begin(&mut self, number: usize) -> Result<Progress> {
        let from = self.global_meaning(&self.sections[number].start.image)?;
        let other = stages::find(&self.sections, number, &from);
        if let Some(other) = other.and_then(|other| self.done.get(&other)) {
            let args = BTreeMap::new();
            return Ok(Progress { args, has_cmd: false, ..other.clone() });
        }
        let (draft, image) = match from.as_str() {
            "" => return Err(Error::input("FROM names no image: its variable is empty")),
            "scratch" => {
                let draft = Draft::empty();
                let image = self.store.unlisted(&self.work, &draft.keep(self.store)?)?;
                (draft, image)
            }
            name => {
                let image = self.store.image(name)?;
                (Draft::of(self.store, &image.manifest)?, image)
            }
        };
        let epoch = std::env::var("SOURCE_DATE_EPOCH").unwrap_or_default();
        let key = Digest::of(format!("FROM {} {epoch}", image.id).as_bytes());
        let args = BTreeMap::new();
        Ok(Progress { draft, image, key, args, has_cmd: false })
    }

    /// Do one step, or take what was made by it earlier.
    pub(super) fn step(
        &mut self,
        progress: &mut Progress,
        number: usize,
        instruction: &Instruction,
    ) -> Result<()> {
        let mut todo = instruction.action.clone();
        let files = self.prepare(progress, number, &mut todo)?;
        let text = format!("{}\n{}\n{files}", progress.key, instruction.text);
        progress.key = Digest::of(text.as_bytes());
        let found = match self.options.no_cache {
            true => None,
            false => cache::find(self.store, &progress.key)?,
        };
        if let Some(manifest) = found {
            self.tell(" ---> Using cache")?;
            progress.draft = Draft::of(self.store, &manifest)?;
            progress.image = self.store.unlisted(&self.work, &manifest)?;
            return Ok(());
        }
        let layers = progress.draft.config.rootfs.diff_ids.len();
        self.perform(progress, number, &todo, &instruction.text)?;
        let empty_layer = progress.draft.config.rootfs.diff_ids.len() == layers;
        let created_by = instruction.text.clone();
        progress.draft.note(Step { created_by, empty_layer, ..Step::default() });
        let manifest = progress.draft.keep(self.store)?;
        progress.image = self.store.unlisted(&self.work, &manifest)?;
        cache::remember(self.store, &progress.key, &manifest)
    }

    /// Replace words by what they mean; what the step is made from besides its own text.
    fn prepare(
        &mut self,
        progress: &mut Progress,
        number: usize,
        todo: &mut Action,
    ) -> Result<String> {
        match todo {
            Action::Arg(args) => self.arguments(progress, args),
            Action::Copy(copy) => {
                understand(copy, progress, self.escape)?;
                self.sum(copy, number)
            }
            Action::Set(Setting::Cmd(_)) => {
                progress.has_cmd = true;
                Ok(String::new())
            }
            _ => Ok(String::new()),
        }
    }

    fn perform(
        &self,
        progress: &mut Progress,
        number: usize,
        todo: &Action,
        text: &str,
    ) -> Result<()> {
        match todo {
            Action::Run(command) => self.run(progress, command, text),
            Action::Copy(copy) => self.copy(progress, copy, number),
            Action::Workdir(folder) => self.work_in(progress, folder),
            Action::Set(setting) => {
                let args = progress.args.clone();
                let value = |name: &str| args.get(name).cloned();
                let Progress { draft, has_cmd, .. } = progress;
                settings::set(&mut draft.config, setting, self.escape, &value, has_cmd)
            }
            Action::Arg(_) | Action::From(_) => Ok(()),
        }
    }

    /// What these ARGs are worth from here on; the text stands for it.
    fn arguments(
        &mut self,
        progress: &mut Progress,
        args: &[(String, Option<String>)],
    ) -> Result<String> {
        let mut text = String::new();
        for (name, default) in args {
            self.asked.insert(name.clone());
            let default = match default {
                Some(default) => Some(progress.meaning(self.escape, default)?),
                None => self.global.get(name).cloned(),
            };
            if let Some(value) = self.given.get(name).cloned().or(default) {
                text.push_str(&format!("{name}={value}\n"));
                progress.args.insert(name.clone(), value);
            }
        }
        Ok(text)
    }

    /// The command as a container on the image so far; what it has written becomes a layer.
    fn run(&self, progress: &mut Progress, command: &Command, text: &str) -> Result<()> {
        if progress.image.layers.is_empty() {
            return Err(Error::input(format!(
                "{text}: the image is empty, nothing can run"
            )));
        }
        // A container makes do with memory where a file system carries no upper layer: a build
        // would lose what was written.
        let stage = Stage::of_engine(false)?;
        drop(Room::make(self.store)?.show(self.store, &stage, &progress.image)?);
        drop(stage);
        let Progress { draft, image, args, .. } = progress;
        let mut image = image.clone();
        image.config.config.volumes.clear();
        let options = self.run_options(&draft.config.config, args, command);
        let quiet = self.options.quiet.then(Diverted::begin).transpose()?;
        let work = self.store.work()?;
        let run = self.contain(&options, &image, work, draft);
        match run {
            Ok(0) => Ok(()),
            failed => {
                quiet.map_or(Ok(()), Diverted::tell)?;
                let status = failed.map_err(|error| error.within(text))?;
                Err(Error::input(format!("{text}: exit status {status}")))
            }
        }
    }

    /// How a container is to be run for RUN.
    fn run_options(
        &self,
        settings: &Settings,
        args: &BTreeMap<String, String>,
        command: &Command,
    ) -> Options {
        let free = |name: &&String| settings::variable(settings, name).is_none();
        let proxies = self.given.iter().filter(|(it, _)| PROXIES.contains(&it.as_str()));
        let env = args.iter().chain(proxies).filter(|(name, _)| free(name));
        let request = Request {
            command: settings::words(settings, command),
            entrypoint: Some(String::new()),
            env: env.map(|(name, value)| format!("{name}={value}")).collect(),
            network: network::Request {
                network: self.options.network.clone(),
                ..network::Request::default()
            },
            cgroupns: true,
            ..Request::default()
        };
        let life = Life { at_once: true, ..Life::default() };
        Options { request, remove: true, life, ..Options::default() }
    }

    fn contain(
        &self,
        options: &Options,
        image: &Image,
        work: Work,
        draft: &mut Draft,
    ) -> Result<u8> {
        foreground::run_on(self.store, options, Some(image), work, |spec, status| {
            if status != 0 {
                return Ok(());
            }
            let changes = diff::changes(self.store, spec)?;
            let left_out = |path: &[u8]| changes.is_ours(path);
            let contents = Contents { left_out: &left_out, ..Contents::all() };
            let (_, layers) = spec.stacks()?.swap_remove(0);
            draft.grow_in_build(self.store, &layers.upper, &contents)
        })
    }

    /// Go to another working directory, which is made if it is not there.
    fn work_in(&self, progress: &mut Progress, folder: &str) -> Result<()> {
        let folder = progress.meaning(self.escape, folder)?;
        let settings = &mut progress.draft.config.config;
        settings.working_dir = settings::working_dir(settings, &folder)?;
        let folder = settings.working_dir.clone();
        let room = Room::make(self.store)?;
        {
            let stage = Stage::of_engine(false)?;
            let files = room.show(self.store, &stage, &progress.image)?;
            put::make_folder(&files.root, folder.as_ref())?;
        }
        match room.is_empty()? {
            true => Ok(()),
            false => {
                progress.draft.grow_in_build(self.store, &room.upper(), &Contents::all())
            }
        }
    }

    fn copy(&self, progress: &mut Progress, copy: &Copy, number: usize) -> Result<()> {
        let room = Room::make(self.store)?;
        {
            let stage = Stage::of_engine(false)?;
            let files = room.show(self.store, &stage, &progress.image)?;
            let layers = lower(&progress.image);
            self.with_files(&stage, copy, number, |context| {
                let mut paths = Vec::new();
                for source in &copy.sources {
                    paths.extend(context.find(source)?);
                }
                reach::apart(&stage, || {
                    put::put(copy, context, &paths, &files.root, &layers)
                })
            })?;
        }
        progress.draft.grow_in_build(self.store, &room.upper(), &Contents::all())
    }

    /// Do something with the files that `copy` copies from.
    fn with_files<T>(
        &self,
        stage: &Stage,
        copy: &Copy,
        number: usize,
        action: impl FnOnce(&Context) -> Result<T>,
    ) -> Result<T> {
        let Some(from) = &copy.from else { return action(&self.context) };
        let image = self.other(from, number)?;
        let place = reach::workshop(self.store)?;
        let files = reach::lower(stage, &place, &lower(&image))?;
        action(&Context::of(files.root))
    }

    /// Another stage, or an image.
    fn other(&self, from: &str, number: usize) -> Result<Image> {
        let done = stages::find(&self.sections, number, from);
        match done.and_then(|number| self.done.get(&number)) {
            Some(progress) => Ok(progress.image.clone()),
            None => self.store.image(from),
        }
    }

    /// What stands for the files that are copied.
    fn sum(&self, copy: &Copy, number: usize) -> Result<String> {
        let what = format!("{copy:?}");
        let files = match &copy.from {
            Some(from) => self.other(from, number)?.id,
            None => {
                let mut paths = Vec::new();
                for source in &copy.sources {
                    paths.extend(self.context.find(source)?);
                }
                self.context.sum(&paths)?
            }
        };
        Ok(format!("{what} {files}"))
    }
}

/// Replace the words of COPY by what they mean; its target becomes absolute.
fn understand(copy: &mut Copy, progress: &Progress, escape: char) -> Result<()> {
    let meaning = |text: &str| progress.meaning(escape, text);
    let sources = copy.sources.iter().map(|source| meaning(source));
    copy.sources = sources.collect::<Result<_>>()?;
    for option in [&mut copy.owner, &mut copy.mode].into_iter().flatten() {
        *option = meaning(option)?;
    }
    let target = meaning(&copy.target)?;
    let is_folder = [".", ".."].contains(&target.as_str())
        || ["/", "/.", "/.."].iter().any(|end| target.ends_with(end));
    copy.target = settings::working_dir(&progress.draft.config.config, &target)?;
    if is_folder && copy.target != "/" {
        copy.target.push('/');
    }
    Ok(())
}
