//! How is somebody who waits told how far it is?
//!
//! On a terminal by a bar for each layer; else by a line when a layer is done.

use std::fmt::Display;
use std::io::{IsTerminal, stderr, stdout};

use image::Digest;
use image::manifest::Descriptor;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use stage::Result;

use crate::bars;

/// To whom something is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Audience {
    /// Whoever reads standard output.
    #[default]
    Reader,
    /// Whoever sees standard error: standard output is the container's.
    Watcher,
    /// Nobody.
    Nobody,
}

impl Audience {
    /// Tell it.
    pub(crate) fn tell(self, text: impl Display) -> Result<()> {
        match self {
            Audience::Reader => stage::tell(text),
            Audience::Watcher => {
                stage::remark(text);
                Ok(())
            }
            Audience::Nobody => Ok(()),
        }
    }
}

/// The bars, or the lines.
#[derive(Debug)]
pub(crate) struct Progress {
    bars: Option<MultiProgress>,
    lines: Audience,
}

/// What is told about one layer.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) bar: ProgressBar,
    digest: Digest,
    line: Audience,
}

impl Progress {
    /// How far it is, for that `audience`.
    pub(crate) fn new(audience: Audience) -> Progress {
        let bars = audience != Audience::Nobody && stderr().is_terminal();
        // On one terminal, the bars stay, and say it.
        let is_seen = bars && (audience == Audience::Watcher || stdout().is_terminal());
        let lines = if is_seen { Audience::Nobody } else { audience };
        Progress { bars: bars.then(MultiProgress::new), lines }
    }

    /// Something takes its time, one does not know how long.
    pub(crate) fn wait(&self, what: &'static str) -> ProgressBar {
        let Some(all) = &self.bars else { return ProgressBar::hidden() };
        bars::ticking(all.add(ProgressBar::new_spinner()), what)
    }

    /// `layer` is about to be brought.
    pub(crate) fn begin(&self, layer: &Descriptor) -> Layer {
        let bar = match &self.bars {
            Some(bars) => bars.add(ProgressBar::new(layer.size)),
            None => ProgressBar::hidden(),
        };
        let shape = "{prefix}: {wide_bar} {bytes} of {total_bytes}";
        let bar = bar.with_prefix(layer.digest.short().to_string());
        let bar = match ProgressStyle::with_template(shape) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Layer { bar, digest: layer.digest.clone(), line: self.lines }
    }
}

impl Layer {
    /// It is done: `word` says how.
    pub(crate) fn end(self, word: &'static str) -> Result<()> {
        if let Ok(style) = ProgressStyle::with_template("{prefix}: {msg}") {
            self.bar.set_style(style);
        }
        self.bar.finish_with_message(word);
        self.line.tell(format!("{}: {word}", self.digest.short()))
    }
}
