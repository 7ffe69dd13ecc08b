//! How does one show that something takes time?
//!
//! By a bar on standard error, if that is a terminal; else by nothing.

use std::io::{self, Read};
use std::thread::Builder;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for `length` bytes, if one can know; it is told what is done to them.
pub fn bytes(what: &'static str, length: Option<u64>) -> ProgressBar {
    let (bar, shape) = match length {
        Some(length) => {
            (ProgressBar::new(length), "{msg} {wide_bar} {bytes} of {total_bytes}")
        }
        None => (ProgressBar::no_length(), "{msg} {spinner} {bytes}"),
    };
    let bar = bar.with_message(what);
    match ProgressStyle::with_template(shape) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Something takes its time, one does not know how long.
pub fn endless(what: &'static str) -> ProgressBar {
    ticking(ProgressBar::new_spinner(), what)
}

/// The same with a `bar` that stands among others.
pub fn ticking(bar: ProgressBar, what: &'static str) -> ProgressBar {
    let bar = bar.with_message(what);
    // Where there can be no thread, indicatif would panic; and nobody sees a hidden one turn.
    if !bar.is_hidden() && Builder::new().spawn(|| ()).is_ok() {
        bar.enable_steady_tick(Duration::from_millis(100));
    }
    bar
}

/// A reader that moves the bar.
pub struct Watched<R> {
    reader: R,
    bar: ProgressBar,
}

impl<R> Watched<R> {
    /// What is read from `reader` moves `bar`.
    pub fn new(reader: R, bar: &ProgressBar) -> Watched<R> {
        Watched { reader, bar: bar.clone() }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.bar.inc(length as u64);
        Ok(length)
    }
}
