#!/usr/bin/env python3
"""Is the web book whole, as a reader's browser sees it?

    look.py FOLDER [SECONDS]    the book, as scripts/book has made it; how long to wait for a page

Serves the folder on this machine, opens each page of it in a headless Chromium, and looks: is
there an error on the console, a request to another machine, a link or an anchor that leads
nowhere, a picture or a diagram that is not drawn? Can each page be reached, and found by a search?
Does a page that is written in both languages lead to its other one? The browser is told what to
do over a pipe, in the words of the Chrome DevTools Protocol.
"""

import functools
import http.server
import itertools
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# How many pages are looked at, at the same time; and how long one may take, in seconds.
TABS, LIMIT = 3, 60.0

# The words that are looked for, and where the search has to lead, among others.
WORDS = {"en": ("sethostname", "lessons/01-uts/"), "zh": ("主机名", "lessons/01-uts/")}

# What is known of a page that is there.
FACTS = """(() => {
    const all = name => [...document.querySelectorAll(name)];
    const blocks = all('.mermaid');
    return {
        ready: blocks.every(it => it.querySelector('svg')),
        diagrams: blocks.length,
        links: all('a[href]').map(it => it.href),
        anchors: all('[id]').map(it => it.id),
        broken: all('img').filter(it => !it.naturalWidth).map(it => it.src),
        unnamed: all('main img').filter(it => !it.alt).map(it => it.src),
        heading: document.querySelector('main h1')?.textContent,
        wide: document.documentElement.scrollWidth - innerWidth,
    };
})()"""

FOUND = """[...document.querySelectorAll('#mdbook-searchresults a, #searchresults a')]
    .map(it => it.href)"""


class Browser:
    """Chromium, at the other end of a pipe. Commands and answers carry numbers."""

    def __init__(self, profile):
        ours_in, its_out = os.pipe()
        its_in, ours_out = os.pipe()
        options = ["--headless", "--remote-debugging-pipe", "--disable-gpu", "--disable-quic",
                   "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
                   "--disable-background-networking", "--disable-component-update",
                   f"--user-data-dir={profile}"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # it refuses to have one as root
        # It reads descriptor 3, and writes descriptor 4.
        start = f'exec chromium "$@" 3<&{its_in} 4>&{its_out}'
        self.process = subprocess.Popen(
            ["bash", "-c", start, "bash", *options, "about:blank"], pass_fds=(its_in, its_out),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(its_in)
        os.close(its_out)
        self.numbers, self.answers, self.events = itertools.count(1), {}, {}
        self.lock, self.out = threading.Lock(), os.fdopen(ours_out, "wb")
        threading.Thread(target=self.listen, args=(ours_in,), daemon=True).start()

    def listen(self, pipe):
        rest = b""
        while chunk := os.read(pipe, 1 << 20):
            *messages, rest = (rest + chunk).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self.answers.pop(message["id"]).put(message)
                elif message.get("sessionId") in self.events:
                    self.events[message["sessionId"]].put(message)

    def ask(self, method, session=None, **params):
        number, answer = next(self.numbers), queue.Queue()
        self.answers[number] = answer
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        with self.lock:
            self.out.write(json.dumps(message).encode() + b"\0")
            self.out.flush()
        got = answer.get(timeout=LIMIT)
        if "error" in got:
            raise RuntimeError(f"{method}: {got['error']['message']}")
        return got["result"]

    def close(self):
        try:
            self.ask("Browser.close")
            self.process.wait(timeout=10)
        except (RuntimeError, OSError, queue.Empty, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


class Tab:
    """One page after the other, and what the browser says about it."""

    def __init__(self, browser, home):
        self.browser, self.home = browser, home
        target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        self.events = browser.events[self.session] = queue.Queue()
        for part in ["Page", "Runtime", "Log", "Network"]:
            self.ask(f"{part}.enable")

    def ask(self, method, **params):
        return self.browser.ask(method, self.session, **params)

    def see(self, script):
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    def open(self, url):
        """Open a page, and return what is wrong with it."""
        self.ask("Page.navigate", url=url)
        complaints = []
        while True:
            event = self.events.get(timeout=LIMIT)
            complaints += self.complaint(event)
            if event["method"] == "Page.loadEventFired":
                return complaints

    def complaint(self, event):
        what, about = event["method"], event["params"]
        if what == "Runtime.consoleAPICalled" and about["type"] in ["error", "warning", "assert"]:
            said = [str(it.get("value", it.get("description"))) for it in about["args"]]
            return [f"console: {' '.join(said)}"]
        if what == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            return [f"exception: {details.get('exception', details).get('description', details)}"]
        if what == "Log.entryAdded" and about["entry"]["level"] in ["error", "warning"]:
            return [f"log: {about['entry']['text']} {about['entry'].get('url', '')}"]
        if what == "Network.requestWillBeSent":
            url = about["request"]["url"]
            if not url.startswith((self.home, "data:", "blob:")):
                return [f"asks another machine: {url}"]
        return []

    def await_value(self, script, holds):
        """What the script sees once it is so, or in the end."""
        deadline = time.monotonic() + LIMIT
        while not holds(value := self.see(script)) and time.monotonic() < deadline:
            time.sleep(0.02)
        return value

    def look(self, url):
        """The facts of a page, and what is wrong with it alone."""
        complaints = self.open(url)
        facts = self.await_value(FACTS, lambda it: it["ready"])
        while not self.events.empty():
            complaints += self.complaint(self.events.get())
        if not facts["ready"]:
            complaints.append("a diagram is not drawn")
        complaints += [f"no such picture: {it}" for it in facts["broken"]]
        complaints += [f"a picture without a text: {it}" for it in facts["unnamed"]]
        if facts["wide"] > 0:
            complaints.append(f"{facts['wide']} pixels wider than the window")
        return facts, complaints


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map,
                      ".js": "text/javascript", ".svg": "image/svg+xml"}

    def end_headers(self):
        # What all pages share is read and translated once.
        self.send_header("Cache-Control", "max-age=600")
        super().end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """For a browser that may go on to the next page before it has read all of this one."""

    def handle_error(self, *_):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*_)


def serve(folder):
    server = Server(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def look_at_all(browser, home, pages):
    """What each page is like, by its path; and all complaints."""
    tabs, seen, complaints = queue.Queue(), {}, []
    for _ in range(TABS):
        tabs.put(Tab(browser, home))

    def look(page):
        tab = tabs.get()
        try:
            return page, *tab.look(home + urllib.parse.quote(page))
        finally:
            tabs.put(tab)
    with ThreadPoolExecutor(TABS) as pool:
        for page, facts, wrong in pool.map(look, pages):
            seen[page] = facts
            complaints += [f"{page}: {what}" for what in wrong]
    return tabs.get(), seen, complaints


def links_of(home, facts):
    """The links of a page that stay in the book: paths and anchors."""
    for link in facts["links"]:
        if link.startswith(home):
            path, _, anchor = urllib.parse.unquote(link.removeprefix(home)).partition("#")
            path = path.split("?")[0]
            yield (path + "index.html" if path in ("", "/") or path.endswith("/") else path), anchor


def check_links(home, folder, seen):
    for page, facts in seen.items():
        for path, anchor in links_of(home, facts):
            if not (Path(folder) / path).is_file():
                yield f"{page}: the link leads nowhere: {path}"
            elif anchor and path in seen and anchor not in seen[path]["anchors"]:
                yield f"{page}: there is no such place: {path}#{anchor}"
    reached, new = set(), {"index.html"}
    while new:
        reached |= new
        targets = {path for page in new for path, _ in links_of(home, seen[page])}
        new = {path for path in targets if path in seen} - reached
    yield from (f"{page}: no link leads here" for page in sorted(seen.keys() - reached))


def check_languages(home, seen):
    """A page in two languages leads to its other one. (Code is the same in both, and is headed
    by its path.)"""
    for page, facts in seen.items():
        language, _, path = page.partition("/")
        other = {"en": "zh", "zh": "en"}.get(language)
        if other and facts["heading"] != path.removesuffix(".html"):
            pair = f"{other}/{path}"
            if pair in seen and pair not in {path for path, _ in links_of(home, seen[page])}:
                yield f"{page}: does not lead to {pair}"


def check_search(tab, home, seen):
    for language, (word, page) in WORDS.items():
        if f"{language}/{page}index.html" not in seen:
            continue
        yield from tab.open(f"{home}{language}/index.html?search={urllib.parse.quote(word)}")
        wanted = f"{home}{language}/{page}"
        found = tab.await_value(FOUND, lambda it: any(link.startswith(wanted) for link in it))
        if not any(link.startswith(wanted) for link in found):
            yield f"{language}: a search for {word} does not find {page}, but {found}"


def main(folder):
    # mdBook's own frame for browsers without scripts is no page.
    pages = sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.html")
                   if path.name != "toc.html")
    home, start = serve(folder), time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        try:
            tab, seen, complaints = look_at_all(browser, home, pages)
            complaints += check_links(home, folder, seen)
            complaints += check_languages(home, seen)
            complaints += check_search(tab, home, seen)
        finally:
            browser.close()
    for complaint in complaints:
        print(f"error: {complaint}", file=sys.stderr)
    links = sum(len(facts["links"]) for facts in seen.values())
    diagrams = sum(facts["diagrams"] for facts in seen.values())
    took = time.monotonic() - start
    print(f"{len(seen)} pages, {links} links, {diagrams} diagrams: "
          f"{len(complaints)} errors, {took:.0f} s")
    return bool(complaints)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        LIMIT = float(sys.argv[2])
    sys.exit(main(sys.argv[1]))
