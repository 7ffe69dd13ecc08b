//! Does each lesson's page show what its lesson prints, in colours?
//!
//! The picture `lessons/01-uts/uts.svg` is drawn from the first command of the page that runs
//! the lesson and proves what it claims. The tests of the pages keep its output real, and this one keeps the picture
//! the same, byte for byte. `UPDATE_PAGES=1` draws all, and puts each into its pages, above
//! their first heading, where it is missing.

use std::fs;
use std::path::Path;

use crate::support;
use crate::support::console::{self, Command};
use crate::support::picture;

/// The pages of a lesson, and what a picture is called on them.
const PAGES: [(&str, &str, &str); 2] =
    [("README.md", "What ", " prints"), ("README.zh-CN.md", "", " 的输出")];

#[test]
fn each_lesson_shows_its_picture() {
    let update = std::env::var_os("UPDATE_PAGES").is_some();
    // Another test may rewrite the same page.
    let _turn = update.then(support::turn);
    let lessons = support::lessons();
    let faults: Vec<String> =
        lessons.iter().flat_map(|lesson| faults_of(lesson, update)).collect();
    let hint = "to mend it: UPDATE_PAGES=1 cargo test --test book -- pictures";
    assert!(faults.is_empty(), "\n{}\n{hint}", faults.join("\n"));
}

fn faults_of(folder: &str, update: bool) -> Vec<String> {
    let (_, lesson) = folder.split_once('-').expect("a folder is called NN-name");
    let here = support::top().join("lessons").join(folder);
    let page = support::read(&format!("lessons/{folder}/README.md"));
    let Some(command) = first_run(&page, lesson) else {
        return vec![format!(
            "lessons/{folder}/README.md: nothing runs and proves {lesson}"
        )];
    };
    let mut wanted =
        vec![(format!("{lesson}.svg"), picture::draw(lesson, &command), "is old")];
    for (name, before, after) in PAGES {
        if let Ok(page) = fs::read_to_string(here.join(name)) {
            let shown = with_picture(&page, lesson, &format!("{before}{lesson}{after}"));
            wanted.push((name.to_string(), shown, "does not show the lesson's picture"));
        }
    }
    let wrong =
        wanted.into_iter().filter(|(name, text, _)| !holds(&here.join(name), text));
    let mut faults = Vec::new();
    for (name, text, what) in wrong {
        match update {
            true => fs::write(here.join(name), text).expect("the project can be written"),
            false => faults.push(format!("lessons/{folder}/{name} {what}")),
        }
    }
    faults
}

fn holds(file: &Path, text: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|found| found == text)
}

/// The first command of `page` that runs `lesson`, with its output, up to the verdict.
fn first_run(page: &str, lesson: &str) -> Option<Command> {
    let program = format!("target/debug/{lesson}");
    let runs = |command: &Command| {
        command.text.split([' ', '\n']).any(|word| word == program)
            && command.output.iter().any(|line| line.starts_with("✓ "))
    };
    console::commands(page).ok()?.into_iter().find(runs)
}

/// The page, with the picture above its first heading if it has none.
fn with_picture(page: &str, lesson: &str, name: &str) -> String {
    let link = format!("]({lesson}.svg)");
    match page.split_once("\n## ") {
        Some((intro, rest)) if !page.contains(&link) => {
            format!("{intro}\n![{name}{link}\n\n## {rest}")
        }
        _ => page.to_string(),
    }
}

#[test]
fn a_page_gets_its_picture_once() {
    let page = "# Lesson\n\nWhy?\n\n## See it\n\n## More\n";
    let shown = with_picture(page, "uts", "What uts prints");
    let expected =
        "# Lesson\n\nWhy?\n\n![What uts prints](uts.svg)\n\n## See it\n\n## More\n";
    assert_eq!(shown, expected);
    assert_eq!(with_picture(&shown, "uts", "anything"), shown);
}

#[test]
fn the_first_run_of_the_lesson_is_drawn() {
    let page = "```console\n$ cargo build\n$ target/debug/utsx\n```\n\n\
        ```console user\n$ target/debug/uts\nerror: no\n```\n\n\
        ```console\n$ target/debug/uts\n✓ yes\n```\n";
    assert_eq!(first_run(page, "uts").unwrap().output, ["✓ yes"]);
    assert!(first_run(page, "pid").is_none());
}
