//! Which colour has which part of a line?
//!
//! Lines are told apart by their labels, and colour only repeats the label. So it can be found
//! in the plain text: by a terminal, and by whoever draws the same line elsewhere, as the
//! pictures in the lessons' pages do.

use colored::{ColoredString, Colorize};

/// How a part of a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// As any other text.
    Plain,
    /// Who looks, and what a lesson is called.
    Bold,
    /// An aside.
    Dim,
    /// A request to the kernel, a hint, an amount.
    Cyan,
    /// What was granted.
    Green,
    /// What was refused.
    Red,
    /// The mark of what was proved.
    BoldGreen,
    /// The mark of what was not, and of what went wrong.
    BoldRed,
    /// The mark of what was not tried.
    BoldYellow,
}

/// What a line begins with, and how that is written.
const LABELS: [(&str, Ink); 6] = [
    ("✓", Ink::BoldGreen),
    ("✗", Ink::BoldRed),
    ("○", Ink::BoldYellow),
    ("error", Ink::BoldRed),
    ("warning", Ink::BoldRed),
    ("hint", Ink::Cyan),
];

/// The label of a request to the kernel.
const REQUEST: &str = "→ kernel";

/// How far a line of evidence, or of a table, is moved in; and how wide its label is.
const MARGIN: &str = "  ";
const LABEL: usize = 10;

/// The parts of a line that the stage says, from the left to the right.
pub fn pieces(line: &str) -> Vec<(Ink, &str)> {
    let mut pieces = match line.strip_prefix(MARGIN) {
        Some(rest) => [vec![(Ink::Plain, MARGIN)], moved_in(rest)].concat(),
        None => at_the_margin(line),
    };
    pieces.retain(|(_, text)| !text.is_empty());
    pieces
}

fn at_the_margin(line: &str) -> Vec<(Ink, &str)> {
    let label = LABELS.iter().find_map(|(label, ink)| {
        let rest = line.strip_prefix(label)?;
        rest.starts_with([' ', ':']).then_some((*ink, *label, rest))
    });
    match (label, line.split_once(" · ")) {
        (Some((ink, label, rest)), _) => vec![(ink, label), (Ink::Plain, rest)],
        (None, Some((lesson, _))) if is_word(lesson) => {
            vec![(Ink::Bold, lesson), (Ink::Plain, &line[lesson.len()..])]
        }
        (None, _) => vec![(Ink::Plain, line)],
    }
}

fn moved_in(rest: &str) -> Vec<(Ink, &str)> {
    if let Some(call) = rest.strip_prefix(REQUEST) {
        return [vec![(Ink::Cyan, REQUEST)], answered(call)].concat();
    }
    if rest.starts_with('(') && rest.ends_with(')') {
        return vec![(Ink::Dim, rest)];
    }
    match rest.split_at_checked(LABEL) {
        Some((label, values)) if is_word(label.trim_end()) && values.starts_with(' ') => {
            [vec![(Ink::Bold, label)], amounts(values)].concat()
        }
        _ => vec![(Ink::Plain, rest)],
    }
}

/// A call with its result, which is missing where the call does not return.
fn answered(call: &str) -> Vec<(Ink, &str)> {
    let Some((before, result)) = call.rsplit_once(") = ") else {
        return vec![(Ink::Plain, call)];
    };
    let ink = if result.starts_with('-') { Ink::Red } else { Ink::Green };
    vec![(Ink::Plain, &call[..before.len() + ") = ".len()]), (ink, result)]
}

/// Bars stand out from what is said about them.
fn amounts(values: &str) -> Vec<(Ink, &str)> {
    let is_bar = |c: char| "█░".contains(c);
    let (mut pieces, mut rest) = (Vec::new(), values);
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_bar(c) != is_bar(first)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        pieces.push((if is_bar(first) { Ink::Cyan } else { Ink::Plain }, piece));
        rest = after;
    }
    pieces
}

fn is_word(text: &str) -> bool {
    let belongs = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(belongs)
}

/// A line for standard output or error, in colours where a terminal shows them.
pub(crate) fn paint(line: &str) -> String {
    let painted =
        pieces(line).into_iter().map(|(ink, text)| in_ink(ink, text).to_string());
    painted.collect()
}

fn in_ink(ink: Ink, text: &str) -> ColoredString {
    match ink {
        Ink::Plain => text.normal(),
        Ink::Bold => text.bold(),
        Ink::Dim => text.dimmed(),
        Ink::Cyan => text.cyan(),
        Ink::Green => text.green(),
        Ink::Red => text.red(),
        Ink::BoldGreen => text.green().bold(),
        Ink::BoldRed => text.red().bold(),
        Ink::BoldYellow => text.yellow().bold(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts that are not plain.
    fn inked(line: &str) -> Vec<(Ink, &str)> {
        let all = pieces(line);
        assert_eq!(all.iter().map(|(_, text)| *text).collect::<String>(), line);
        all.into_iter().filter(|(ink, _)| *ink != Ink::Plain).collect()
    }

    #[test]
    fn a_label_says_the_colour() {
        let lines: [(&str, &[(Ink, &str)]); 12] = [
            ("uts · can two hostnames live?", &[(Ink::Bold, "uts")]),
            ("  host       hostname   laptop", &[(Ink::Bold, "host      ")]),
            ("  → kernel   fork() = 7", &[(Ink::Cyan, REQUEST), (Ink::Green, "7")]),
            (
                "  → kernel   fork() = -1 EPERM (no)",
                &[(Ink::Cyan, REQUEST), (Ink::Red, "-1 EPERM (no)")],
            ),
            ("  → kernel   execve(\"a = b\", envp)", &[(Ink::Cyan, REQUEST)]),
            ("  (a shell: look around)", &[(Ink::Dim, "(a shell: look around)")]),
            ("✓ one kernel", &[(Ink::BoldGreen, "✓")]),
            ("✗ uts: expected 1; saw 2", &[(Ink::BoldRed, "✗")]),
            ("○ not tried: swap", &[(Ink::BoldYellow, "○")]),
            ("error: no such lesson", &[(Ink::BoldRed, "error")]),
            ("hint: sudo", &[(Ink::Cyan, "hint")]),
            ("  copy       ██░ 2 ms", &[(Ink::Bold, "copy      "), (Ink::Cyan, "██░")]),
        ];
        for (line, expected) in lines {
            assert_eq!(inked(line), expected, "{line}");
        }
    }

    #[test]
    fn what_others_print_stays_plain() {
        for line in ["", "laptop", "  PID TTY      TIME CMD", "    1 ?    ps", "a b · c"]
        {
            assert_eq!(inked(line), [], "{line}");
        }
    }
}
