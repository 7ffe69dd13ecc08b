//! How is something shown while it changes?
//!
//! On a terminal, as a line that each next one takes the place of, and that is gone at the
//! end: what was measured is told afterwards, as evidence. Elsewhere nothing is drawn.

use colored::Colorize;
use colored::control::SHOULD_COLORIZE;

use crate::Stage;
use crate::narrate::write_all;
use crate::table::bar;

/// How many characters a whole bar has: two fit into a line of 80 columns.
const WIDTH: usize = 20;

/// A line that changes. Dropped, it is gone.
pub struct Live<'s> {
    stage: &'s Stage,
    drawn: bool,
}

impl Stage {
    /// Begin a line that changes.
    pub fn live(&self) -> Live<'_> {
        Live { stage: self, drawn: false }
    }
}

impl Live<'_> {
    /// Show, for each name, how much of the whole it has (from 0 to 1), and then `rest`.
    pub fn bars(&mut self, bars: &[(&str, f64)], rest: &str) {
        let bars = bars.iter().map(|(name, share)| {
            format!(
                "{} {} {:>3.0} %  ",
                name.bold(),
                bar(*share, WIDTH).cyan(),
                share * 100.0
            )
        });
        self.draw(&format!("  {}{}", bars.collect::<String>(), rest.dimmed()));
    }

    fn draw(&mut self, line: &str) {
        if !self.stage.speaks_to_people() || !SHOULD_COLORIZE.should_colorize() {
            return;
        }
        // That nobody sees it any more is noticed by the next line that is meant to stay.
        let line = format!("{ERASE}{line}");
        self.stage.on_output(|to| write_all(to, line.as_bytes())).ok();
        self.drawn = true;
    }
}

/// Back to the start of the line, and clear it.
const ERASE: &str = "\r\x1b[2K";

impl Drop for Live<'_> {
    fn drop(&mut self) {
        if self.drawn {
            self.stage.on_output(|to| write_all(to, ERASE.as_bytes())).ok();
        }
    }
}
