//! What has a container written?
//!
//! Its output is kept line by line in its folder, as the kubelet keeps it (the log format of the
//! Container Runtime Interface): the time, the stream, whether the line is whole (F) or goes on
//! (P), and the bytes as they were.
//!
//! ```text
//! ROOT/containers/ID/log      2026-11-22T17:30:00.123456789Z stdout F hello
//! ROOT/containers/ID/log.1    what was there before it became too long
//! ```

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write, stderr, stdout};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use stage::{Error, Result};

use crate::container::{self, Known};
use crate::disk::is_at;
use crate::limits::units::bytes;
use crate::store::Store;
use crate::sys::watch::Watch;
use crate::talk::Stream;
use crate::when;

/// How long a log becomes before another begins, in bytes. Of the old ones, one is kept.
pub const LONGEST: u64 = 10 << 20;

/// A longer line is kept in parts, in bytes.
const LINE: usize = 16 << 10;

const NAME: &str = "log";

/// A log that is written.
pub struct Log {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    longest: u64,
    /// What has no end yet, of each stream.
    begun: [Vec<u8>; 2],
}

impl Log {
    /// That of the container with this `folder`; what is in it stays. A new one begins after
    /// `longest` bytes.
    pub fn new(folder: &Path, longest: u64) -> Log {
        let path = folder.join(NAME);
        let size = fs::metadata(&path).map_or(0, |about| about.len());
        Log { path, file: None, size, longest, begun: Default::default() }
    }

    /// It has written `bytes`.
    pub fn note(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let begun = &mut self.begun[stream as usize];
            begun.extend(part);
            if begun.ends_with(b"\n") {
                begun.pop();
                line(&mut lines, stream, 'F', &std::mem::take(begun));
            }
            while begun.len() >= LINE {
                let rest = begun.split_off(LINE);
                line(&mut lines, stream, 'P', &std::mem::replace(begun, rest));
            }
        }
        self.append(&lines)
    }

    /// It has ended: what has no end by now will not get one.
    pub fn end(&mut self) -> Result<()> {
        let mut lines = Vec::new();
        for stream in [Stream::Out, Stream::Err] {
            let begun = std::mem::take(&mut self.begun[stream as usize]);
            if !begun.is_empty() {
                line(&mut lines, stream, 'P', &begun);
            }
        }
        self.append(&lines)
    }

    fn append(&mut self, lines: &[u8]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let failed = |error| Error::io(self.path.display(), &error);
        if self.size >= self.longest {
            fs::rename(&self.path, self.path.with_extension("1")).map_err(failed)?;
            (self.file, self.size) = (None, 0);
        }
        if self.file.is_none() {
            let opened = File::options().append(true).create(true).open(&self.path);
            self.file = Some(opened.map_err(failed)?);
        }
        let mut file = self.file.as_ref();
        file.as_mut().map_or(Ok(()), |file| file.write_all(lines)).map_err(failed)?;
        self.size += lines.len() as u64;
        Ok(())
    }
}

fn line(lines: &mut Vec<u8>, stream: Stream, tag: char, text: &[u8]) {
    let stream = if stream == Stream::Out { "stdout" } else { "stderr" };
    let time = Timestamp::now();
    lines.extend(format!("{time:.9} {stream} {tag} ").as_bytes());
    lines.extend(text);
    lines.push(b'\n');
}

/// What somebody wants to see of a log.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// And what it writes from now on, until it ends.
    pub follow: bool,
    /// The last lines only.
    pub tail: Option<usize>,
    /// Nothing before that, in nanoseconds since 1970.
    pub since: Option<i64>,
    /// Nothing after that.
    pub until: Option<i64>,
    /// With the time of each line.
    pub timestamps: bool,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    time: String,
    stream: Stream,
    is_whole: bool,
    text: Vec<u8>,
}

impl Line {
    fn parse(line: &[u8]) -> Option<Line> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let mut word = || parts.next().and_then(|word| std::str::from_utf8(word).ok());
        let (time, stream, tag) = (word()?.to_string(), word()?, word()?);
        let stream = match stream {
            "stdout" => Stream::Out,
            "stderr" => Stream::Err,
            _ => return None,
        };
        let text = parts.next()?;
        let text = text.strip_suffix(b"\n").unwrap_or(text).to_vec();
        Some(Line { time, stream, is_whole: tag == "F", text })
    }

    fn moment(&self) -> Option<i64> {
        let moment = self.time.parse::<Timestamp>().ok()?.as_nanosecond();
        i64::try_from(moment).ok()
    }
}

/// Show what the container that `which` means has written.
pub fn show(store: &Store, which: &str, wanted: &Wanted) -> Result<()> {
    let known = container::known(store, which, &store.lock_containers()?)?;
    let (folder, id) = (known.folder().to_path_buf(), known.id);
    let watch = if wanted.follow { Some(Watch::on(&folder)?) } else { None };
    let mut screen = Screen { wanted: wanted.clone(), goes_on: [false; 2] };
    let mut reader = Reader::new(&folder);
    let mut last = VecDeque::new();
    reader.read(|line| {
        if !screen.wants(&line) {
            return Ok(());
        }
        last.push_back(line);
        match wanted.tail {
            Some(most) => drop(last.drain(..last.len().saturating_sub(most))),
            None => last.drain(..).try_for_each(|line| screen.show(&line))?,
        }
        Ok(())
    })?;
    last.iter().try_for_each(|line| screen.show(line))?;
    let Some(watch) = watch else { return Ok(()) };
    loop {
        // In this order: what it wrote before its end is in the log.
        let runs = is_running(store, &id);
        reader
            .read(|line| if screen.wants(&line) { screen.show(&line) } else { Ok(()) })?;
        if !runs {
            return Ok(());
        }
        watch.wait(None)?;
    }
}

fn is_running(store: &Store, id: &str) -> bool {
    let known =
        store.lock_containers().and_then(|lock| container::known(store, id, &lock));
    known.is_ok_and(|Known { state, is_held, .. }| is_held && state.exit_status.is_none())
}

/// The logs of a container, from the oldest on.
struct Reader {
    path: PathBuf,
    files: VecDeque<BufReader<File>>,
    /// A line that has no end yet.
    begun: Vec<u8>,
}

impl Reader {
    fn new(folder: &Path) -> Reader {
        let path = folder.join(NAME);
        let names = [path.with_extension("1"), path.clone()];
        let files = names.iter().flat_map(File::open).map(BufReader::new).collect();
        Reader { path, files, begun: Vec::new() }
    }

    /// Give each line that is there to `each`.
    fn read(&mut self, mut each: impl FnMut(Line) -> Result<()>) -> Result<()> {
        let failed = |error| Error::io(self.path.display(), &error);
        loop {
            let Some(file) = self.files.front_mut() else {
                match File::open(&self.path) {
                    Ok(file) => self.files.push_back(BufReader::new(file)),
                    Err(_) => return Ok(()),
                }
                continue;
            };
            while file.read_until(b'\n', &mut self.begun).map_err(failed)? > 0 {
                if self.begun.ends_with(b"\n") {
                    let line = std::mem::take(&mut self.begun);
                    Line::parse(&line).map_or(Ok(()), &mut each)?;
                }
            }
            // Another may have taken its place meanwhile; this one grows no more then.
            let is_last =
                self.files.len() == 1 && is_at(self.files[0].get_ref(), &self.path);
            if is_last {
                return Ok(());
            }
            self.files.pop_front();
        }
    }
}

/// Where lines are shown.
struct Screen {
    wanted: Wanted,
    /// The line before, of each stream, has no end.
    goes_on: [bool; 2],
}

impl Screen {
    fn wants(&self, line: &Line) -> bool {
        let Wanted { since, until, .. } = self.wanted;
        let Some(moment) = line.moment() else { return true };
        since.is_none_or(|since| moment >= since)
            && until.is_none_or(|until| moment <= until)
    }

    fn show(&mut self, line: &Line) -> Result<()> {
        let goes_on = &mut self.goes_on[line.stream as usize];
        let mut bytes = Vec::new();
        if self.wanted.timestamps && !*goes_on {
            bytes.extend(format!("{} ", line.time).as_bytes());
        }
        bytes.extend(&line.text);
        bytes.extend(line.is_whole.then_some(b'\n'));
        *goes_on = !line.is_whole;
        let written = match line.stream {
            Stream::Out => stdout().write_all(&bytes).and_then(|()| stdout().flush()),
            Stream::Err => stderr().write_all(&bytes),
        };
        written.map_err(|error| Error::io("write", &error))
    }
}

/// A size such as `10m`, in bytes.
pub fn read_size(text: &str) -> Result<u64> {
    bytes("--log-opt max-size", text, 1 << 10).map(i64::unsigned_abs)
}

/// The moment that `--since` or `--until` names.
pub fn read_moment(flag: &str, text: Option<&str>) -> Result<Option<i64>> {
    text.map(|text| when::read(flag, text)).transpose()
}
