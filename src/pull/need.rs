//! When is an image got before it is run?
//!
//! As `--pull` says. Standard output is the container's, so that all of this is told on standard
//! error, in Docker's words.

use std::str::FromStr;

use stage::{Error, Result};

use super::{Audience, Options, pull};
use crate::store::{Name, Store};

/// When an image is got from its registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum When {
    /// If it is not here.
    #[default]
    Missing,
    /// In any case: its name may lead to another one by now.
    Always,
    /// Never.
    Never,
}

impl FromStr for When {
    type Err = Error;

    fn from_str(text: &str) -> Result<When> {
        match text {
            "missing" => Ok(When::Missing),
            "always" => Ok(When::Always),
            "never" => Ok(When::Never),
            _ => Err(Error::input(format!("{text:?} is none of missing, always, never"))),
        }
    }
}

/// Get the image `which`, which is about to be run, if it has to be got. That there is none is
/// told by whoever looks for it then.
pub fn provide(store: &Store, which: &str, when: When) -> Result<()> {
    let name = Name::parse(which);
    if when == When::Never || name.as_ref().is_ok_and(Name::is_host) {
        return Ok(());
    }
    if when == When::Missing
        && let Ok(name) = &name
        && store.lists(name)?
    {
        return Ok(());
    }
    let is_here = match store.find(which)? {
        // By its ID: there is no name to ask for.
        Some(image) if when == When::Missing || image.name.is_none() => return Ok(()),
        found => found.is_some(),
    };
    let name = name?;
    if !is_here {
        stage::remark(format!("Unable to find image '{}' locally", name.full()));
    }
    let options = Options { audience: Audience::Watcher, ..Options::default() };
    let pulled = pull(store, &name, &options).map_err(|error| match error.advice() {
        None => error.hint(format!(
            "fakedocker import TARBALL {name} makes one; fakedocker images lists those that are \
             here"
        )),
        Some(_) => error,
    })?;
    pulled.lines(&name).iter().for_each(stage::remark);
    Ok(())
}
