//! Is the web book made as the pages mean it, and is it noticed when it is not?
//!
//! `scripts/book --check` makes the whole one and opens it in a browser. Here, the two programs
//! that it stands on are tried with small books: one that is right, and some that are broken.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::skip::skip;
use crate::support::top;

/// A folder of our own with these files in it.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("web").join(name);
    fs::remove_dir_all(&folder).ok();
    for (path, text) in files {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().expect("it is in a folder"))
            .expect("it is ours");
        fs::write(file, text).expect("it is ours");
    }
    folder
}

fn python(script: &str, arguments: &[&Path]) -> Output {
    let script = top().join("scripts/web").join(script);
    let ended = Command::new("python3").arg(script).args(arguments).output();
    ended.expect("python3 is installed")
}

const LESSON: &str = "\
# Lesson 1 · uts: why?

[简体中文](README.zh-CN.md)

See [the course](../../tutorial.md#map), [the engine](../../src/run.rs), `[no](link.md)`,
and [others](https://example.org), and [the map].

[the map]: ../../tutorial.md#map

```rust fn isolate in lessons/01-uts/src/lib.rs
fn isolate() {}
```

```mermaid
A --> B
```
";

const CHINESE: &str =
    "# 第 1 课\n\n[English](README.md)\n\n一个\n进程 [教程](../../tutorial.md)\n";

fn small_book(name: &str, lesson: &str) -> (Output, PathBuf) {
    let course = folder(
        name,
        &[
            ("README.md", "# fakedocker\n\nSee [lessons](lessons).\n"),
            ("tutorial.md", "# The course\n\n## Map\n"),
            ("lessons/01-uts/README.md", lesson),
            ("lessons/01-uts/README.zh-CN.md", CHINESE),
            ("lessons/01-uts/src/lib.rs", "//! Lesson 1\n"),
            ("src/run.rs", "//! The engine\n"),
        ],
    );
    let books = course.join("books");
    (python("pages.py", &[&course, &books]), books)
}

#[test]
fn links_stay_in_the_book() {
    let (made, books) = small_book("right", LESSON);
    assert!(made.status.success(), "{made:?}");
    let page = |path: &str| fs::read_to_string(books.join(path)).expect(path);
    let lesson = page("en/src/lessons/01-uts/index.md");
    for part in [
        "[简体中文](../../../zh/lessons/01-uts/index.html)",
        "[the course](../../tutorial.md#map), [the engine](../../src/run.rs.md), `[no](link.md)`",
        "[others](https://example.org)",
        "\n[the map]: ../../tutorial.md#map\n",
        "<a href=\"src/lib.rs.html\">lessons/01-uts/src/lib.rs</a></p>\n\n```rs\n",
        "<pre class=\"mermaid\">\nA --&gt; B\n</pre>",
    ] {
        assert!(lesson.contains(part), "{part} is not in:\n{lesson}");
    }
    // A line that ends between two letters is no space; the English page is the other book's.
    let chinese = page("zh/src/lessons/01-uts/index.md");
    assert!(chinese.contains("一个进程 [教程](../../../en/tutorial.html)"), "{chinese}");
    assert!(page("en/src/src/run.rs.md").contains("```rs\n//! The engine\n```"));
    let contents = page("en/src/SUMMARY.md");
    let entry =
        "- [1 · uts](lessons/01-uts/index.md)\n  - [The mechanism](lessons/01-uts/src/";
    assert!(contents.contains(entry), "{contents}");
}

#[test]
fn a_link_that_leads_nowhere_is_told() {
    for link in ["nowhere.md", "../../../README.md", "../02-ipc/README.md"] {
        let (made, _) = small_book("wrong", &format!("# Lesson\n\n[there]({link})\n"));
        let told = String::from_utf8_lossy(&made.stderr);
        let expected = format!(
            "error: lessons/01-uts/README.md:3: the link leads nowhere: {link}\n"
        );
        assert_eq!(told, expected);
        assert_eq!(made.status.code(), Some(1));
    }
}

#[test]
fn what_is_wrong_with_a_page_is_told() {
    if Command::new("chromium").arg("--version").output().is_err() {
        return skip(
            "web::what_is_wrong_with_a_page_is_told",
            "chromium is not installed",
        );
    }
    let home = "<link rel=icon href=data:,><h1>Home</h1>\
        <a href=en/one.html>1</a> <a href=gone.html>2</a> <a href=en/one.html#nowhere>3</a>";
    let one = "<link rel=icon href=data:,><main><h1>One</h1><pre class=mermaid>A</pre>\
        <img src=data:, alt=gone><img src=data:image/gif;base64,R0lGODlhAQABAAAAACw=></main>\
        <script>console.error('I fail'); missing();</script><script src=//192.0.2.1/></script>";
    let two = "<link rel=icon href=data:,><main><h1>Two</h1></main>";
    let files = [("index.html", home), ("en/one.html", one), ("zh/one.html", two)];
    let looked = python("look.py", &[&folder("broken", &files), Path::new("5")]);
    let told = String::from_utf8_lossy(&looked.stderr);
    assert_eq!(looked.status.code(), Some(1), "{told}");
    for complaint in [
        "error: index.html: the link leads nowhere: gone.html",
        "error: index.html: there is no such place: en/one.html#nowhere",
        "error: en/one.html: a diagram is not drawn",
        "error: en/one.html: no such picture: data:,",
        "error: en/one.html: a picture without a text: data:image/gif",
        "error: en/one.html: console: I fail",
        "error: en/one.html: exception: ReferenceError: missing is not defined",
        "error: en/one.html: asks another machine: http://192.0.2.1/",
        "error: zh/one.html: no link leads here",
        "error: zh/one.html: does not lead to en/one.html",
    ] {
        assert!(told.contains(complaint), "{complaint} is not in:\n{told}");
    }
}
