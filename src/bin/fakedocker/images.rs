//! What can one say about images?

use std::fs::File;
use std::io::{IsTerminal, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use fakedocker::store::{Name, Store};
use fakedocker::{archive, images, import};
use stage::{Error, Result};

use crate::later::Later;
use crate::prune::{prune, tell_of};
use crate::{Inspect, each, registry, show};

#[derive(Subcommand)]
pub enum Command {
    /// Make an image from the tarball of a root file system
    Import(Later<Import>),
    #[command(flatten)]
    Registry(registry::Command),
    /// Write images into an archive
    Save(Later<Save>),
    /// Get the images out of an archive
    Load(Later<Load>),
    /// List images
    Images(Later<Images>),
    /// Remove images
    Rmi(Later<Rmi>),
    /// Give an image another name as well
    Tag(Later<Tag>),
    /// Show how an image was made
    History(Later<History>),
    /// What can be done with images
    #[command(subcommand)]
    Image(Later<Image>),
}

#[derive(Args)]
pub struct Import {
    /// A remark for the image's history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// An instruction of a Dockerfile that says how to run it, such as "CMD /bin/sh"
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// A tar file, plain or compressed by gzip, xz or zstd; `-` for standard input
    tarball: PathBuf,
    /// The image's name, such as debian or debian:12
    name: Option<String>,
}

#[derive(Args)]
pub struct Save {
    /// The archive to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Names or IDs of images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

#[derive(Args)]
pub struct Load {
    /// The archive to read [default: standard input]
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "-",
        hide_default_value = true
    )]
    input: PathBuf,
    /// Do not show how far it is
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Args)]
pub struct Images {
    /// Only this repository, or this name
    name: Option<String>,
    /// Only the IDs
    #[arg(short, long)]
    quiet: bool,
    /// Whole IDs
    #[arg(long)]
    no_trunc: bool,
    /// The digests of the manifests, too
    #[arg(long)]
    digests: bool,
    /// Show them by this template, such as "{{.Repository}}:{{.Tag}}", or as json
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Also those that Docker hides: we hide none
    #[arg(short, long, hide = true)]
    all: bool,
    /// Only images for which this holds: dangling=true
    #[arg(short, long, value_name = "FILTER", value_parser = ["dangling=true"])]
    filter: Option<String>,
}

#[derive(Args)]
pub struct Rmi {
    /// Although there are more names, or a container that stands on it, or no such image
    #[arg(short, long)]
    force: bool,
    /// Names or IDs of images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

#[derive(Args)]
pub struct Tag {
    /// The image's name or ID
    image: String,
    /// Another name for it
    name: String,
}

#[derive(Args)]
pub struct History {
    /// All of each line
    #[arg(long)]
    no_trunc: bool,
    /// Only the IDs
    #[arg(short, long)]
    quiet: bool,
    /// Show the steps by this template, or as json
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// The image's name or ID
    image: String,
}

#[derive(Subcommand)]
pub enum Image {
    /// Make an image from the tarball of a root file system
    Import(Later<Import>),
    #[command(flatten)]
    Registry(registry::Command),
    /// Write images into an archive
    Save(Later<Save>),
    /// Get the images out of an archive
    Load(Later<Load>),
    /// List images
    Ls(Later<Images>),
    /// Remove images
    Rm(Later<Rmi>),
    /// Give an image another name as well
    Tag(Later<Tag>),
    /// Show how an image was made
    History(Later<History>),
    /// Show what is known of images, as JSON
    Inspect(Later<Inspect>),
    /// Remove images that have no name
    Prune(Later<Prune>),
}

#[derive(Args)]
pub struct Prune {
    /// All images on which no container stands
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl Command {
    pub fn play(&self, store: &Store) -> Result<u8> {
        match self {
            Command::Import(args) => args.play(store),
            Command::Registry(command) => command.play(store),
            Command::Save(args) => args.play(store),
            Command::Load(args) => args.play(store),
            Command::Images(args) => args.play(store),
            Command::Rmi(args) => args.play(store),
            Command::Tag(args) => args.play(store),
            Command::History(args) => args.play(store),
            Command::Image(args) => args.play(store),
        }
    }
}

impl Image {
    fn play(&self, store: &Store) -> Result<u8> {
        match self {
            Image::Import(args) => args.play(store),
            Image::Registry(command) => command.play(store),
            Image::Save(args) => args.play(store),
            Image::Load(args) => args.play(store),
            Image::Ls(args) => args.play(store),
            Image::Rm(args) => args.play(store),
            Image::Tag(args) => args.play(store),
            Image::History(args) => args.play(store),
            Image::Inspect(args) => show(args, |which| images::inspect(store, which)),
            Image::Prune(args) => args.play(store),
        }
    }
}

impl Import {
    pub fn play(&self, store: &Store) -> Result<u8> {
        let name = self.name.as_deref().map(Name::parse).transpose()?;
        let (message, changes) = (self.message.clone(), self.change.clone());
        let request = import::Request { name, changes, message };
        let image = import::import(store, &self.tarball, &request)?;
        stage::tell(&image.id)?;
        Ok(0)
    }
}

impl Save {
    pub fn play(&self, store: &Store) -> Result<u8> {
        match &self.output {
            Some(path) => {
                let mut begun = false;
                let saved = archive::save(store, &self.images, || {
                    begun = true;
                    // It may hold secrets; whoever made the file already says who reads it.
                    let mut options = File::options();
                    let file =
                        options.write(true).create(true).truncate(true).mode(0o600);
                    file.open(path).map_err(|error| Error::io(path.display(), &error))
                });
                if begun && saved.is_err() {
                    drop_half(path);
                }
                saved
            }
            None if stdout().is_terminal() => {
                Err(Error::input("an archive is nothing for a terminal")
                    .hint("name a file with -o, or send it into a pipe"))
            }
            None => archive::save(store, &self.images, || Ok(stdout().lock())),
        }
        .map(|()| 0)
    }
}

/// Half an archive is none. What is not a file of ours, such as a pipe, stays.
fn drop_half(path: &Path) {
    if path.metadata().is_ok_and(|about| about.is_file()) {
        std::fs::remove_file(path).ok();
    }
}

impl Load {
    pub fn play(&self, store: &Store) -> Result<u8> {
        for image in archive::load(store, &self.input, self.quiet)? {
            stage::tell(match &image.name {
                Some(name) => format!("Loaded image: {}", name.full()),
                None => format!("Loaded image ID: {}", image.id),
            })?;
        }
        Ok(0)
    }
}

impl Images {
    pub fn play(&self, store: &Store) -> Result<u8> {
        let list = images::List {
            which: self.name.clone(),
            quiet: self.quiet,
            no_trunc: self.no_trunc,
            digests: self.digests,
            dangling: self.filter.is_some(),
            format: self.format.clone(),
        };
        images::list(store, &list)?.iter().try_for_each(stage::tell)?;
        Ok(0)
    }
}

impl Rmi {
    pub fn play(&self, store: &Store) -> Result<u8> {
        each(&self.images, |which| {
            images::remove(store, which, self.force)?.iter().try_for_each(stage::tell)
        })
    }
}

impl Tag {
    pub fn play(&self, store: &Store) -> Result<u8> {
        images::tag(store, &self.image, &self.name).map(|()| 0)
    }
}

impl History {
    pub fn play(&self, store: &Store) -> Result<u8> {
        let how = images::History {
            no_trunc: self.no_trunc,
            quiet: self.quiet,
            format: self.format.clone(),
        };
        let lines = images::history(store, &self.image, &how)?;
        lines.iter().try_for_each(stage::tell)?;
        Ok(0)
    }
}

impl Prune {
    pub fn play(&self, store: &Store) -> Result<u8> {
        prune(self.force, self.what(), || {
            let (gone, freed) = images::prune(store, self.all)?;
            tell_of("Deleted Images:", &gone)?;
            Ok(freed)
        })?;
        Ok(0)
    }

    fn what(&self) -> &str {
        match self.all {
            true => "all images on which no container stands",
            false => "all images that have no name",
        }
    }
}
