//! Does each page say the same in both languages?
//!
//! Its Chinese page stands beside it: `README.zh-CN.md`. Both have the same headings, the same
//! blocks (which so are tested in both), the same links and the same folded answers.
//! `UPDATE_PAGES=1` writes the blocks of the English page into the Chinese one.

use std::fs;

use crate::support;
use crate::support::console::{self, Fence};

/// The headings that most pages have are the same wherever they are.
const HEADINGS: [(&str, &str); 9] = [
    ("Without it", "没有它会怎样"),
    ("See it", "看一看"),
    ("How it works", "原理"),
    ("Look around", "四处看看"),
    ("When it fails", "出错时"),
    ("Questions", "思考题"),
    ("Exercise", "练习"),
    ("Going further", "延伸阅读"),
    ("For the instructor", "给讲师"),
];

/// A diagram has words, and each language its own.
const DRAWN: &str = "mermaid";

/// The pages that are there in both languages: lessons, and what leads through them.
fn translated() -> Vec<String> {
    let is_of_course = |page: &String| {
        page.starts_with("lessons/") || ["README.md", "tutorial.md"].contains(&&**page)
    };
    support::pages().into_iter().filter(is_of_course).collect()
}

fn chinese(page: &str) -> String {
    page.replace(".md", ".zh-CN.md")
}

/// What two pages must have in common.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    /// `##` and so on, and what stands behind those that are the same everywhere.
    headings: Vec<String>,
    /// Where links lead, sorted: another language has another order.
    links: Vec<String>,
    folded: usize,
}

impl Shape {
    fn of(page: &str) -> Shape {
        let text = outside_of_blocks(page);
        let lines: Vec<&str> = text.lines().collect();
        let headings = lines.iter().filter_map(|line| heading(line)).collect();
        let mut links: Vec<String> =
            targets(&text).iter().map(|to| to.replace(".zh-CN.md", ".md")).collect();
        links.sort();
        let folded = lines.iter().filter(|line| line.starts_with("<details>")).count();
        Shape { headings, links, folded }
    }
}

/// A heading's level, and its English name where that is one of [`HEADINGS`].
fn heading(line: &str) -> Option<String> {
    let (level, name) = line.split_once(' ').filter(|(level, _)| is_level(level))?;
    let known =
        HEADINGS.iter().find(|(english, other)| [english, other].contains(&&name));
    Some(known.map_or(level.to_string(), |(english, _)| format!("{level} {english}")))
}

fn is_level(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|letter| letter == '#')
}

fn outside_of_blocks(page: &str) -> String {
    let mut inside = false;
    let is_text = |line: &&str| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    };
    page.lines().filter(is_text).map(|line| line.to_string() + "\n").collect()
}

/// The files and addresses that links lead to, without the heading in them.
fn targets(text: &str) -> Vec<String> {
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let files = ends.map(|(to, _)| to.split_once('#').map_or(to, |(file, _)| file));
    files.map(String::from).collect()
}

/// The Chinese page with the English one's blocks, and what was wrong with it.
fn compare(english: &str, other: &str) -> Result<String, String> {
    let (shape, its) = (Shape::of(english), Shape::of(other));
    if shape != its {
        return Err(format!("it differs from the English page:\n{shape:#?}\n{its:#?}"));
    }
    let fences = |page: &str| console::fences(page).map_err(|fault| fault.what);
    let (ours, theirs) = (fences(english)?, fences(other)?);
    let infos = |fences: &[Fence]| -> Vec<String> {
        fences.iter().map(|fence| fence.info.clone()).collect()
    };
    if infos(&ours) != infos(&theirs) {
        let (ours, theirs) = (infos(&ours), infos(&theirs));
        return Err(format!(
            "its blocks are not the English page's:\n{ours:?}\n{theirs:?}"
        ));
    }
    let mut lines: Vec<String> = other.lines().map(String::from).collect();
    for (ours, theirs) in ours.into_iter().zip(&theirs).rev() {
        if ours.info != DRAWN {
            lines.splice(theirs.line..theirs.line + theirs.lines.len(), ours.lines);
        }
    }
    Ok(lines.join("\n") + "\n")
}

#[test]
fn each_page_says_the_same_in_both_languages() {
    let _turn = support::turn(); // another test may rewrite the same page
    let update = std::env::var_os("UPDATE_PAGES").is_some();
    let mut faults = Vec::new();
    for page in translated() {
        let other = chinese(&page);
        let Ok(text) = fs::read_to_string(support::top().join(&other)) else {
            faults.push(format!("{page} is not there in Chinese: {other}"));
            continue;
        };
        match compare(&support::read(&page), &text) {
            Ok(right) if right == text => {}
            Ok(right) if update => {
                fs::write(support::top().join(&other), right).expect("it can be written");
            }
            Ok(_) => faults.push(format!("{other}: a block is not the English page's")),
            Err(fault) => faults.push(format!("{other}: {fault}")),
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Each language leads to itself: but for the line below the title, that leads to the other.
#[test]
fn a_chinese_page_leads_to_chinese_pages() {
    let mut faults = Vec::new();
    for page in translated() {
        let other = chinese(&page);
        let Ok(text) = fs::read_to_string(support::top().join(&other)) else { continue };
        let folder = support::top().join(&page);
        let folder = folder.parent().expect("a file is in a folder");
        let own = page.rsplit('/').next().expect("a path has a name");
        for to in targets(&outside_of_blocks(&text)).iter().filter(|to| *to != own) {
            if to.ends_with(".md") && folder.join(chinese(to)).exists() {
                faults.push(format!("{other}: {to} is there in Chinese"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn what_a_translation_has_lost_is_seen() {
    let english = "# One\n\n[中文](a.zh-CN.md)\n\n## See it\n\n```console\n$ true\n```\n";
    let right = "# 一\n\n[English](a.md)\n\n## 看一看\n\n```console\n$ true\n```\n";
    assert_eq!(compare(english, right), Ok(right.to_string()));
    let old = right.replace("$ true", "$ false");
    assert_eq!(compare(english, &old), Ok(right.to_string()));
    for (what, instead) in [
        ("## 看一看\n", ""),
        ("看一看", "原理"),
        ("```console\n$ true\n```\n", ""),
        ("(a.md)", "(b.md)"),
        ("# 一", "<details>"),
    ] {
        let broken = compare(english, &right.replace(what, instead));
        assert!(broken.is_err(), "{what:?} became {instead:?}: {broken:?}");
    }
}

/// The parts of a lesson's page, in this order. Others of its own may stand between them.
const PARTS: [&str; 8] = [
    "## Without it",
    "## See it",
    DRAWN,
    "## When it fails",
    "## Questions",
    "## Exercise",
    "## Going further",
    "## For the instructor",
];

/// HTML has its own word for code: Markdown's is shown as it stands.
#[test]
fn a_question_has_no_markdown() {
    let mut faults = Vec::new();
    for page in translated().into_iter().flat_map(|page| [chinese(&page), page]) {
        let Ok(text) = fs::read_to_string(support::top().join(&page)) else { continue };
        let questions = text.split("<summary>").skip(1);
        let questions = questions.filter_map(|rest| rest.split("</summary>").next());
        let wrong = questions.filter(|question| question.contains('`'));
        faults.extend(wrong.map(|question| format!("{page}: {question}")));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_lessons_page_has_all_its_parts_in_order() {
    let mut faults = Vec::new();
    for page in translated().iter().filter(|page| page.starts_with("lessons/")) {
        let text = support::read(page);
        let mut parts = PARTS.iter().peekable();
        for line in text.lines() {
            parts.next_if(|part| line.trim_start_matches("```") == **part);
        }
        faults.extend(parts.next().map(|part| format!("{page}: where is {part:?}?")));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
