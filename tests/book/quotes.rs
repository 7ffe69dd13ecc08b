//! Is the code in the pages the code that runs?
//!
//! A block of code names its source behind the fence: `rust fn isolate in
//! lessons/01-uts/src/lib.rs` is that item, with the lines above it that document it or
//! without; `toml in PATH` and `sh in PATH` are consecutive lines of that file, and `text table
//! TITLE in PATH` is what stands below `== TITLE` there, as in benches/run.txt.
//! `UPDATE_PAGES=1` writes the items into the pages anew.

use std::fs;

use crate::support;
use crate::support::console::{self, Fault, Fence};
use crate::support::items;

#[test]
fn quoted_code_is_the_source() {
    let _turn = support::turn(); // another test may rewrite the same page
    let update = std::env::var_os("UPDATE_PAGES").is_some();
    let mut faults = Vec::new();
    for page in support::pages() {
        let text = support::read(&page);
        let (new, found) = check(&text, source_of);
        if update && new != text {
            fs::write(support::top().join(&page), new).expect("a page can be written");
        }
        let kept = found.into_iter().filter(|fault| !(update && fault.mended));
        faults.extend(
            kept.map(|Wrong { fault, .. }| {
                format!("{page}:{}: {}", fault.line, fault.what)
            }),
        );
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn source_of(path: &str) -> Option<String> {
    fs::read_to_string(support::top().join(path)).ok()
}

/// A quote that is not its source.
struct Wrong {
    fault: Fault,
    /// The new page has it right.
    mended: bool,
}

/// The page with its quotes made right, and what was wrong.
fn check(page: &str, source: impl Fn(&str) -> Option<String>) -> (String, Vec<Wrong>) {
    let mut lines: Vec<String> = page.lines().map(String::from).collect();
    let fences = match console::fences(page) {
        Ok(fences) => fences,
        Err(fault) => return (page.into(), vec![Wrong { fault, mended: false }]),
    };
    let mut wrong = Vec::new();
    for fence in fences.iter().rev() {
        if let Err((what, right)) = compare(fence, &source) {
            let fault = Fault::new(fence.line, what);
            wrong.push(Wrong { fault, mended: right.is_some() });
            if let Some(right) = right {
                lines.splice(fence.line..fence.line + fence.lines.len(), right);
            }
        }
    }
    wrong.reverse();
    (lines.join("\n") + "\n", wrong)
}

/// What is wrong with a quote, and what would be right, if that is known.
type Mistake = (String, Option<Vec<String>>);

fn compare(
    fence: &Fence,
    source: impl Fn(&str) -> Option<String>,
) -> Result<(), Mistake> {
    let (kind, rest) = fence.info.split_once(' ').unwrap_or((&fence.info, ""));
    match kind {
        "console" => return Ok(()), // pages.rs looks after them
        "mermaid" => return Ok(()), // a browser draws them: scripts/book
        "text" if rest.is_empty() => return no_transcript(fence),
        "text" | "rust" | "toml" | "sh" => {}
        _ => return Err((format!("`{kind}` is no kind of block that is tested"), None)),
    }
    let Some((item, path)) = format!(" {rest}").rsplit_once(" in ").map(owned) else {
        return Err((format!("`{kind}` does not say what it quotes: `… in PATH`"), None));
    };
    let text = source(&path).ok_or_else(|| (format!("there is no {path}"), None))?;
    match kind {
        "rust" => compare_item(fence, item.trim(), &path, &text),
        "text" => compare_table(fence, item.trim(), &path, &text),
        _ => compare_lines(fence, &path, &text),
    }
}

fn owned((item, path): (&str, &str)) -> (String, String) {
    (item.to_string(), path.to_string())
}

/// What is shown as a command must be run, and so be in a `console` block.
fn no_transcript(fence: &Fence) -> Result<(), Mistake> {
    match fence.lines.iter().find(|line| line.trim_start().starts_with("$ ")) {
        Some(line) => Err((format!("a command that is not run: {line}"), None)),
        None => Ok(()),
    }
}

fn compare_item(
    fence: &Fence,
    item: &str,
    path: &str,
    text: &str,
) -> Result<(), Mistake> {
    let kinds = ["fn ", "struct ", "enum ", "const ", "impl ", "trait "];
    if !kinds.iter().any(|kind| item.starts_with(kind)) {
        return Err((format!("`{item}` is not one of: {}", kinds.concat()), None));
    }
    let lines: Vec<&str> = text.lines().collect();
    let found = items::find(text, item);
    let quotes = |from: usize, to: usize| unindented(&lines[from..to]);
    for place in &found {
        let first = items::with_attributes(text, place.start);
        if (first..=place.start).any(|from| quotes(from, place.end) == fence.lines) {
            return Ok(());
        }
    }
    let right = match &found[..] {
        [] => return Err((format!("there is no `{item}` in {path}"), None)),
        [place] => {
            let shown =
                fence.lines.first().is_some_and(|line| line.starts_with(['/', '#']));
            let first = items::with_attributes(text, place.start);
            Some(quotes(if shown { first } else { place.start }, place.end))
        }
        _ => None, // which one is meant, only the author knows
    };
    Err((format!("this is not `{item}` as it is in {path}"), right))
}

/// The title has a unit behind it, perhaps.
fn compare_table(
    fence: &Fence,
    item: &str,
    path: &str,
    text: &str,
) -> Result<(), Mistake> {
    let title = item.strip_prefix("table ").unwrap_or_default();
    let is_title = |line: &&str| {
        let found = line.strip_prefix("== ").and_then(|line| line.strip_prefix(title));
        found.is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
    };
    let below = text.lines().skip_while(|line| !is_title(line)).skip(1);
    let table: Vec<String> =
        below.take_while(|line| !line.is_empty()).map(String::from).collect();
    match &table[..] {
        [] => Err((format!("there is no table {title:?} in {path}"), None)),
        lines if lines == fence.lines => Ok(()),
        _ => Err((format!("this is not {title:?} as it is in {path}"), Some(table))),
    }
}

fn compare_lines(fence: &Fence, path: &str, text: &str) -> Result<(), Mistake> {
    let lines: Vec<&str> = text.lines().collect();
    let count = fence.lines.len();
    let quoted =
        count > 0 && lines.windows(count).any(|some| unindented(some) == fence.lines);
    match quoted {
        true => Ok(()),
        false => Err((format!("these are not consecutive lines of {path}"), None)),
    }
}

/// The lines without the indentation that they have in common.
fn unindented(lines: &[&str]) -> Vec<String> {
    let indented = lines.iter().filter(|line| !line.is_empty());
    let common = indented.map(|line| line.len() - line.trim_start().len()).min();
    let cut =
        |line: &&str| line.get(common.unwrap_or(0)..).unwrap_or_default().to_string();
    lines.iter().map(cut).collect()
}

mod tests {
    use super::*;

    const SOURCE: &str = "\
impl Cue {
    /// Speak.
    fn say(&self) {
        self.go();
    }
}
";

    fn source(path: &str) -> Option<String> {
        match path {
            "cue.rs" => Some(SOURCE.to_string()),
            "run.txt" => Some("== How long (ms)\nwe    1\nthey  2\n\n== Else\n".into()),
            _ => None,
        }
    }

    /// The page, a block, as it would be with its quotes made right; and what was wrong.
    fn checked(info: &str, quote: &str) -> (String, Vec<String>) {
        let (new, wrong) = check(&format!("```{info}\n{quote}\n```\n"), source);
        let quote = new.lines().skip(1).collect::<Vec<&str>>().join("\n");
        let quote = quote.strip_suffix("\n```").unwrap_or_default().to_string();
        (quote, wrong.into_iter().map(|one| one.fault.what).collect())
    }

    const SAY: &str = "fn say(&self) {\n    self.go();\n}";

    #[test]
    fn an_item_is_quoted_with_its_documentation_or_without() {
        let documented = format!("/// Speak.\n{SAY}");
        for quote in [SAY, &documented] {
            assert_eq!(checked("rust fn say in cue.rs", quote), (quote.into(), vec![]));
        }
    }

    #[test]
    fn an_altered_quote_is_found_and_mended() {
        let altered = SAY.replace("go", "stay");
        let told = vec!["this is not `fn say` as it is in cue.rs".to_string()];
        assert_eq!(checked("rust fn say in cue.rs", &altered), (SAY.into(), told));
        let shorter = SAY.replace("    self.go();\n", "");
        assert_eq!(checked("rust fn say in cue.rs", &shorter).0, SAY);
    }

    #[test]
    fn a_table_is_quoted_by_its_title() {
        let (info, table) = ("text table How long in run.txt", "we    1\nthey  2");
        assert_eq!(checked(info, table), (table.into(), vec![]));
        let told = vec!["this is not \"How long\" as it is in run.txt".to_string()];
        assert_eq!(checked(info, "we    0\nthey  2"), (table.into(), told));
        let nowhere = "there is no table \"How\" in run.txt".to_string();
        assert_eq!(checked("text table How in run.txt", table).1, [nowhere]);
    }

    #[test]
    fn what_is_not_compared_is_a_fault() {
        let not_compared = [
            ("rust", SAY),
            ("rust fn say", SAY),
            ("rust fn stay in cue.rs", SAY),
            ("rust fn say in queue.rs", SAY),
            ("rust mod say in cue.rs", SAY),
            ("toml in cue.rs", "say = 1"),
            ("sh", "say"),
            ("bash", "say"),
            ("", "say"),
            ("text", "$ say"),
        ];
        for (info, quote) in not_compared {
            assert_eq!(checked(info, quote).1.len(), 1, "{info}");
        }
        assert_eq!(checked("sh in cue.rs", "    self.go();").1.len(), 1);
        assert_eq!(checked("sh in cue.rs", "    self.go();\n}\n}").1.len(), 1);
        assert_eq!(checked("sh in cue.rs", "    self.go();\n}").1.len(), 0);
        assert_eq!(checked("sh in cue.rs", "self.go();").1.len(), 0);
        assert_eq!(checked("text", "say").1.len(), 0);
    }
}
