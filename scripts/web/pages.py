#!/usr/bin/env python3
"""How do the pages of the course become the sources of two web books?

mdBook wants a folder for each book, with a table of contents. This makes them, below the folder
that it is given: en/ and zh/, with the pages, the pictures, and a page for each file of code that a
page links to or that belongs to a lesson. Links are turned so that they stay in the book; one that
leads nowhere is an error. scripts/book calls this, then mdBook.
"""

import html
import json
import os
import re
import sys
from pathlib import Path

# For each language: the end of its files' names, and the words of the book itself.
LANGUAGES = {
    "en": {
        "ending": ".md",
        "tag": "en",
        "name": "English",
        "title": "fakedocker: a course on containers",
        "code": {"lib": "The mechanism", "main": "The demonstration", "exercise": "The exercise"},
        "parts": ["Views: what a process can see", "Limits: what it can use",
                  "Files: what it stands on", "Guards: what it may do", "Life: how it is kept"],
        "more": "Beside the course",
        "sources": "Code that the pages mention",
        "quoted": "in",
        "first": "",
    },
    "zh": {
        "ending": ".zh-CN.md",
        "tag": "zh-CN",
        "name": "简体中文",
        "title": "fakedocker：容器课程",
        "code": {"lib": "机制", "main": "演示", "exercise": "练习"},
        "parts": ["视图：进程能看见什么", "限制：进程能使用什么", "文件：进程立足于什么",
                  "守卫：进程可以做什么", "生命：进程如何被照看"],
        "more": "课程之外",
        "sources": "各页提到的代码",
        "quoted": "出自",
        # A book has a first page, also where the project has none in its language.
        "first": """# fakedocker：容器课程

用 Rust 重建 Docker，一次一个内核机制：每一课都是一个小程序，演示一个机制，并当场证明它。

从[课程]({course})读起，或者直接从[第一课](lessons/{lesson}/README.zh-CN.md)动手。
""",
    },
}

# The first lesson of each part.
PARTS = ["01", "09", "18", "22", "24"]

# Pages at the top: those before the lessons, and those behind.
BEFORE, BEHIND = ["README", "tutorial"], ["get-started", "instructor", "ARCHITECTURE"]

HIGHLIGHT = {".rs": "rs", ".toml": "toml", ".sh": "bash", ".md": "markdown", ".json": "json",
             ".py": "python", ".yaml": "yaml", ".yml": "yaml", ".c": "c"}

# Chinese letters and their punctuation.
HAN = "\u3000-\u9fff\uff00-\uffef"


class Broken(Exception):
    """What is wrong with a page, for a person to read."""


def parts_of(text):
    """The lines of a page, each with what it is: `text`, `open` and `close` (fences), `code`."""
    fence = None
    for line in text.split("\n"):
        mark = re.match("```+", line)
        if fence is None and mark:
            fence = mark[0]
            yield "open", line
        elif fence is None:
            yield "text", line
        elif line.rstrip() == fence:
            fence = None
            yield "close", line
        else:
            yield "code", line


class Book:
    """The book of one language."""

    def __init__(self, top, into, language):
        self.top, self.language, self.words = top, language, LANGUAGES[language]
        self.into = into / language / "src"
        self.ending = self.words["ending"]
        self.lessons = sorted(
            page.parent.name for page in top.glob(f"lessons/[0-9]*/README{self.ending}"))
        self.others = {}
        # Files of code, as paths from the top: those of lessons, and others that are linked to.
        self.of_lessons, self.linked = set(), set()

    def has(self, page):
        """Whether a page, without its ending, is in this language."""
        return (self.top / (page + self.ending)).is_file()

    def text(self, page):
        file = self.top / (page + self.ending)
        if file.is_file():
            return file.read_text()
        course = "tutorial" + (self.ending if self.has("tutorial") else ".md")
        return self.words["first"].format(course=course, lesson=self.lessons[0])

    def pages(self):
        """All pages of the book, as paths without their endings."""
        lessons = [f"lessons/{lesson}/README" for lesson in self.lessons]
        top = [page for page in BEFORE + BEHIND if self.has(page)]
        first = ["README"] if lessons and "README" not in top else []
        return first + top + lessons

    @staticmethod
    def place(page):
        """Where a page is in the book: a README is its folder's index."""
        return re.sub(r"(^|/)README$", r"\1index", page) + ".md"

    def write(self):
        for page in self.pages():
            self.write_file(self.place(page), self.turn(page, self.text(page)))
        for lesson in self.lessons:
            self.add_lesson(lesson)
        for path in sorted(self.of_lessons | self.linked):
            self.write_file(path + ".md", self.page_of_code(path))
        self.write_file("SUMMARY.md", self.contents())
        (self.into.parent / "book.toml").write_text(self.settings())

    def write_file(self, path, text):
        file = self.into / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def code_of(self, lesson):
        """The files of a lesson that are read in this order, each with its kind."""
        name = lesson.split("-", 1)[1]
        files = [("lib", "src/lib.rs"), ("main", "src/main.rs"),
                 ("exercise", f"examples/{name}-exercise.rs")]
        paths = [(kind, f"lessons/{lesson}/{file}") for kind, file in files]
        return [(kind, path) for kind, path in paths if (self.top / path).is_file()]

    def add_lesson(self, lesson):
        self.of_lessons |= {path for _, path in self.code_of(lesson)}
        for picture in (self.top / "lessons" / lesson).glob("*.svg"):
            self.write_file(f"lessons/{lesson}/{picture.name}", picture.read_text())

    # --- a page

    def turn(self, page, text):
        """The text of a page, with links that hold in the book, and its diagrams as HTML."""
        path, lines, diagram = page + self.ending, [], False
        for number, (kind, line) in enumerate(parts_of(text), 1):
            try:
                if kind == "text":
                    line = self.turn_line(path, line)
                elif kind == "open":
                    diagram = line.strip("`").strip() == "mermaid"
                    line = '<pre class="mermaid">' if diagram else self.turn_fence(path, line)
                elif diagram:
                    line = "</pre>" if kind == "close" else html.escape(line)
            except Broken as why:
                raise Broken(f"{path}:{number}: {why}") from None
            lines.append(line)
        text = "\n".join(self.with_other_language(page, lines))
        # Chinese has no spaces where a line of the file ends.
        return re.sub(f"(?<=[{HAN}])\n *(?=[{HAN}])", "", text)

    def with_other_language(self, page, lines):
        """A page that is there in the other language leads to it, below its heading."""
        for language, words in LANGUAGES.items():
            there = (self.top / (page + words["ending"])).is_file() or page == "README"
            if language == self.language or not there or not self.others[language].pages():
                continue
            link = f"[{words['name']}]({self.to_page(page + self.ending, language, page)})"
            if link not in lines[:5]:
                lines[1:1] = ["", link]
        return lines

    def turn_line(self, path, line):
        code = [match.span() for match in re.finditer(r"(`+).+?\1", line)]

        def turned(match):
            if any(start <= match.start() < end for start, end in code):
                return match[0]
            return f"]({self.link(path, match[1])})"
        if named := re.match(r"(\[[^\]]+\]: +)(\S+)(.*)", line):
            return named[1] + self.link(path, named[2]) + named[3]
        return re.sub(r"\]\(([^()\s]+)\)", turned, line)

    def turn_fence(self, path, line):
        """What stands behind a fence is for our tests; mdBook takes it for classes. Quoted code
        gets a line above that says where it is from. (`rs`, because mdBook has lines of what is
        called `rust` hidden.)"""
        info = line.strip("`").strip()
        language = info.split(" ")[0]
        quoted = re.fullmatch(r"(?:rust|toml|sh) (?:(.*) )?in (\S+)", info)
        fence = "```" + {"rust": "rs", "sh": "bash"}.get(language, language)
        if not quoted or not (self.top / quoted[2]).is_file():
            return fence
        self.linked.add(quoted[2])
        href = self.relative(path, quoted[2] + ".html")
        item = f"<code>{quoted[1]}</code> {self.words['quoted']} " if quoted[1] else ""
        return f'<p class="source">{item}<a href="{href}">{quoted[2]}</a></p>\n\n{fence}'

    @staticmethod
    def relative(path, target):
        """The way from a page to something in the book, both as paths from the top."""
        return os.path.relpath(target, os.path.dirname(path) or ".")

    def link(self, path, link):
        """Where `link`, on the page `path`, leads in the book."""
        if re.match(r"[a-z]+:|#", link):
            return link
        target, _, anchor = link.partition("#")
        whole = os.path.normpath(os.path.join(os.path.dirname(path), target))
        anchor = f"#{anchor}" if anchor else ""
        if (self.top / whole).is_dir():
            # The lessons' folder is the map of the course.
            inside = {"lessons": "tutorial" + self.ending}
            whole = inside.get(whole, f"{whole}/README{self.ending}")
        if not (self.top / whole).is_file() or whole.startswith(".."):
            raise Broken(f"the link leads nowhere: {link}")
        if whole.endswith(".svg"):
            return link
        for language, words in sorted(LANGUAGES.items(), key=lambda it: -len(it[1]["ending"])):
            page = whole.removesuffix(words["ending"])
            if page != whole and self.is_page(page):
                return self.to_page(path, language, page) + anchor
        self.linked.add(whole)
        return self.relative(path, whole + ".md")

    @staticmethod
    def is_page(page):
        return page in BEFORE + BEHIND or re.fullmatch(r"lessons/[^/]+/README", page)

    def to_page(self, path, language, page):
        place = self.place(page)
        if language == self.language:
            return self.relative(path, place)
        # Another book is not mdBook's: its pages are called what they become.
        return self.relative(path, f"../{language}/{place.removesuffix('.md')}.html")

    def page_of_code(self, path):
        text = (self.top / path).read_text().rstrip("\n")
        fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
        language = HIGHLIGHT.get(Path(path).suffix, "bash" if text.startswith("#!") else "text")
        return f"# {path}\n\n{fence}{language}\n{text}\n{fence}\n"

    # --- the book

    def title(self, page):
        """What the contents call a page: its heading, without what follows a colon."""
        heading = self.text(page).split("\n", 1)[0]
        return heading.lstrip("# ").replace("[", "").replace("]", "")

    def contents(self):
        lines = ["# Summary", ""]
        for page in BEFORE:
            if page in self.pages():
                lines.append(f"[{self.title(page)}]({self.place(page)})\n")
        for lesson in self.lessons:
            number, name = lesson.split("-", 1)
            if number in PARTS:
                lines.append(f"\n# {self.words['parts'][PARTS.index(number)]}\n")
            lines.append(f"- [{int(number)} · {name}](lessons/{lesson}/index.md)")
            for kind, path in self.code_of(lesson):
                lines.append(f"  - [{self.words['code'][kind]}]({path}.md)")
        behind = [page for page in BEHIND if self.has(page)]
        lines.append(f"\n# {self.words['more']}\n")
        lines += [f"- [{self.title(page)}]({self.place(page)})" for page in behind]
        others = sorted(self.linked - self.of_lessons)
        if others:
            lines.append(f"- [{self.words['sources']}]()")
            lines += [f"  - [{path}]({path}.md)" for path in others]
        return "\n".join(lines) + "\n"

    def settings(self):
        """For mdBook: nothing that needs the network, and code is not searched."""
        quoted = json.dumps
        code = "".join(f"{quoted(path + '.md')} = {{ enable = false }}\n"
                       for path in sorted(self.of_lessons | self.linked))
        return f"""[book]
title = {quoted(self.words['title'], ensure_ascii=False)}
language = "{self.words['tag']}"
src = "src"

[output.html]
default-theme = "light"
preferred-dark-theme = "coal"
additional-css = ["pages.css"]
additional-js = ["pages.js"]
no-section-label = true
input-404 = ""
fold = {{ enable = true, level = 0 }}
print = {{ enable = false }}
playground = {{ runnable = false }}

[output.html.search]
teaser-word-count = {30 if self.language == 'en' else 6}

[output.html.search.chapter]
{code}"""


def main(top, into):
    top, into = Path(top), Path(into)
    books = [Book(top, into, language) for language in LANGUAGES]
    for book in books:
        book.others = {other.language: other for other in books}
        if book.pages():
            try:
                book.write()
            except Broken as why:
                sys.exit(f"error: {why}")


if __name__ == "__main__":
    main(*sys.argv[1:])
