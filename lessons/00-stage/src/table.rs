//! How are amounts compared at a glance?
//!
//! As a table, with a bar for each amount. It is for people: programs have had the same as
//! evidence.

use crate::Stage;

/// How many characters a whole bar has: two amounts fit into a line of 80 columns.
const WIDTH: usize = 12;

/// How many characters an amount's text has.
const TEXT: usize = 19;

/// A line of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Who or what it is about.
    pub name: String,
    /// For each column, how much of the whole it is (from 0 to 1), and what that amounts to.
    pub amounts: Vec<(f64, String)>,
    /// What there is to say instead.
    pub remark: String,
}

impl Stage {
    /// Show `rows` below the columns' names.
    pub fn table(&self, columns: &[&str], rows: &[Row]) {
        if !self.speaks_to_people() {
            return;
        }
        let width = WIDTH + 1 + TEXT;
        let names = columns.iter().map(|name| format!("{name:<width$}  "));
        self.line(format!("  {:<10} {}", "", names.collect::<String>()).trim_end());
        for row in rows {
            let amounts = row
                .amounts
                .iter()
                .map(|(share, text)| format!("{} {text:>TEXT$}  ", bar(*share, WIDTH)));
            let amounts = amounts.collect::<String>() + &row.remark;
            self.line(format!("  {:<10} {amounts}", row.name).trim_end());
        }
    }
}

/// As much of `width` characters as `share` says.
pub(crate) fn bar(share: f64, width: usize) -> String {
    let full = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    "█".repeat(full) + &"░".repeat(width - full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_longer_than_the_whole() {
        for (share, full) in [(-1.0, 0), (0.0, 0), (0.2, 4), (1.0, 20), (7.0, 20)] {
            assert_eq!(bar(share, 20).matches('█').count(), full, "{share}");
            assert_eq!(bar(share, 20).chars().count(), 20, "{share}");
        }
    }
}
