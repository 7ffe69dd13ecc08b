//! How is a tarball compressed?
//!
//! Its first bytes say so (magic(5)), whatever its name says. The decoders are pure Rust:
//! to build the engine takes no C library. They work in a thread of their own, as a
//! decompressor before a pipe would: one core decodes, and adds up what it has decoded, while
//! another writes files.

use std::cmp::min;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use flate2::bufread::MultiGzDecoder;
use image::Digest;
use image::digest::Summing;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use stage::{Error, Result};

/// Large enough that those who wake each other for each seldom do.
const CHUNK: usize = 256 * 1024;
/// How many chunks the reader may be ahead: few enough to stay in the processor's cache.
const AHEAD: usize = 4;
/// The largest dictionary that an xz file may ask for, in KiB; `xz -9` asks for 64 MiB.
/// (The zstd decoder has a limit of 128 MiB by itself, as zstd(1) has.)
const XZ_MEMORY: u32 = 256 * 1024;

type Source = BufReader<Box<dyn Read + Send>>;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// It is not.
    None,
    /// gzip(1)
    Gzip,
    /// xz(1)
    Xz,
    /// zstd(1)
    Zstd,
}

impl Compression {
    /// What the first bytes of `source` say; and all of it.
    pub fn find(
        mut source: Box<dyn Read + Send>,
    ) -> Result<(Compression, Box<dyn Read + Send>)> {
        // A whole chunk, so that all that follow are whole and begin at whole pages, too.
        let mut first = Vec::with_capacity(CHUNK);
        let read = source.by_ref().take(CHUNK as u64).read_to_end(&mut first);
        read.map_err(|error| Error::io("read", &error))?;
        if first.is_empty() {
            return Err(Error::input("it is empty, not a tarball"));
        }
        let found = match &first[..] {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            // The second is a frame to be skipped, with which seekable archives may begin.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Compression::Zstd
            }
            _ => Compression::None,
        };
        Ok((found, Box::new(Cursor::new(first).chain(source))))
    }

    /// What it adds to the media type of a layer, if a layer may be compressed like this.
    pub fn suffix(self) -> Option<&'static str> {
        match self {
            Compression::None => Some(""),
            Compression::Gzip => Some("+gzip"),
            Compression::Zstd => Some("+zstd"),
            Compression::Xz => None,
        }
    }
}

/// The archive in `source`, decoded.
pub fn decode(source: Box<dyn Read + Send>) -> Result<Archive> {
    let (compression, source) = Compression::find(source)?;
    if compression == Compression::None {
        return ahead(source);
    }
    let source = BufReader::with_capacity(CHUNK, source);
    match compression {
        Compression::None => ahead(source),
        Compression::Gzip => ahead(MultiGzDecoder::new(source)),
        Compression::Xz => ahead(XzReader::new_mem_limit(source, true, XZ_MEMORY)),
        Compression::Zstd => ahead(Zstd { source, frame: FrameDecoder::new() }),
    }
}

/// A zstd file is a row of frames; the decoder knows one at a time.
struct Zstd {
    source: Source,
    frame: FrameDecoder,
}

impl Zstd {
    /// Begin the next frame, if there is one.
    fn next_frame(&mut self) -> io::Result<bool> {
        let (said, found) =
            (self.frame.get_checksum_from_data(), self.frame.get_calculated_checksum());
        if said.is_some() && said != found {
            return Err(io::Error::new(ErrorKind::InvalidData, "wrong checksum"));
        }
        while !self.source.fill_buf()?.is_empty() {
            match self.frame.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(
                    ReadFrameHeaderError::SkipFrame { length, .. },
                )) => skip(&mut self.source, length.into())?,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

fn skip(source: &mut Source, length: u64) -> io::Result<()> {
    let skipped = io::copy(&mut source.take(length), &mut io::sink())?;
    if skipped < length { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

impl Read for Zstd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.frame.can_collect() == 0 {
            if !self.frame.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.frame.decode_blocks(&mut self.source, one);
                decoded.map_err(io::Error::other)?;
            } else if !self.next_frame()? {
                return Ok(0);
            }
        }
        self.frame.read(buffer)
    }
}

/// Read in a thread of its own. When nobody wants more, it ends at its next chunk.
fn ahead(source: impl Read + Send + 'static) -> Result<Archive> {
    let (full, chunks) = sync_channel(AHEAD);
    let (used, empty) = sync_channel(AHEAD);
    let thread = thread::Builder::new().name("decoder".into());
    let started = thread.spawn(move || fill_all(source, &empty, &full));
    started.map_err(|error| Error::io("clone3", &error))?;
    Ok(Archive { chunks, used, chunk: Chunk::default(), at: 0, digest: None })
}

/// Some bytes of the stream.
#[derive(Default)]
struct Chunk {
    /// As long as it was ever used: to make new memory takes longer than to use the old.
    memory: Vec<u8>,
    length: usize,
    /// At the end of the stream: that of all of it.
    digest: Option<Digest>,
}

fn fill_all(
    mut source: impl Read,
    empty: &Receiver<Chunk>,
    full: &SyncSender<io::Result<Chunk>>,
) {
    let mut sum = Summing::new(io::sink());
    loop {
        let mut filled = fill(&mut source, empty.try_recv().unwrap_or_default());
        let mut last = filled.is_err();
        if let Ok(chunk) = &mut filled {
            sum.count(&chunk.memory[..chunk.length]);
            last = chunk.length == 0;
        }
        if last {
            let (digest, ..) = sum.finish();
            let filled = filled.map(|chunk| Chunk { digest: Some(digest), ..chunk });
            // Nobody may want it any more.
            full.send(filled).ok();
            return;
        }
        if full.send(filled).is_err() {
            return;
        }
    }
}

fn fill(source: &mut impl Read, mut chunk: Chunk) -> io::Result<Chunk> {
    chunk.memory.resize(CHUNK, 0);
    chunk.length = 0;
    while chunk.length < CHUNK {
        match source.read(&mut chunk.memory[chunk.length..]) {
            Ok(0) => break,
            Ok(length) => chunk.length += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(chunk)
}

/// What the thread has read, as one stream.
pub struct Archive {
    chunks: Receiver<io::Result<Chunk>>,
    used: SyncSender<Chunk>,
    chunk: Chunk,
    at: usize,
    digest: Option<Digest>,
}

impl Archive {
    /// The digest of all of it, once all of it was read.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
}

impl BufRead for Archive {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.chunk.length && self.digest.is_none() {
            self.used.try_send(mem::take(&mut self.chunk)).ok();
            self.at = 0;
            let gone = |_| io::Error::other("its reader has ended");
            self.chunk = self.chunks.recv().map_err(gone)??;
            self.digest = self.chunk.digest.take();
        }
        Ok(&self.chunk.memory[self.at..self.chunk.length])
    }

    fn consume(&mut self, amount: usize) {
        self.at = min(self.at + amount, self.chunk.length);
    }
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(buffer)?;
        self.consume(amount);
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut reader = decode(Box::new(Cursor::new(bytes.to_vec()))).unwrap();
        reader.read_to_end(&mut text).unwrap();
        assert_eq!(reader.digest(), Some(&Digest::of(&text)));
        text
    }

    #[test]
    fn the_first_bytes_decide() {
        use flate2::{Compression, write::GzEncoder};
        use ruzstd::encoding::{CompressionLevel, compress_to_vec};

        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        io::Write::write_all(&mut gzip, b"one").unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = compress_to_vec(&b"one"[..], CompressionLevel::Fastest);
        let skipped = b"\x50\x2a\x4d\x18\x02\0\0\0xx";
        assert_eq!(decoded(b"one"), b"one");
        assert_eq!(decoded(&[&gzip[..], &gzip].concat()), b"oneone");
        assert_eq!(decoded(&[skipped, &zstd[..], skipped, &zstd].concat()), b"oneone");
    }
}
