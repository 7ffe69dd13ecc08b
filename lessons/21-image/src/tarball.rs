//! What is in a tar archive?
//!
//! Members: a header block of 512 bytes, then the contents, filled up to whole blocks; at
//! the end two blocks of zeros (tar(5)). The tar crate reads the header's fields. We walk
//! the blocks ourselves, because its own walk takes an archive that was cut between two
//! members for a whole one, reads long names of any length into memory, and passes by
//! GNU tar's newer forms of files with holes.

use std::cmp::min;
use std::io::{self, BufRead, ErrorKind, Read};

use stage::{Error, Result};
use tar::{EntryType, GnuSparseHeader, Header};

use crate::files::Node;
use crate::pax::{self, Extent, Records};
use crate::shown;

const BLOCK: usize = 512;
/// What names, attributes and lists of extents of one member may take: the kernel has no
/// use for more, and a hostile archive could have a thousandfold of it.
const LONGEST: u64 = 1024 * 1024;

/// What is handed over of a file at once, at most.
const PIECE: u64 = 128 * 1024;

type Block = [u8; BLOCK];

/// One entry of the archive.
#[derive(Debug)]
pub struct Member {
    /// Its name, as it stands there.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// What all kinds have.
    pub traits: Traits,
}

/// What a member is.
#[derive(Debug)]
pub enum Kind {
    /// A regular file.
    File(Contents),
    /// A folder.
    Folder,
    /// A symbolic link to this text.
    Symlink(Vec<u8>),
    /// Another name of an earlier member.
    Link(Vec<u8>),
    /// A device or a named pipe.
    Node(Node),
}

/// How long a file is, and which parts of it are stored.
#[derive(Debug)]
pub struct Contents {
    /// Its length in bytes, holes included.
    pub size: u64,
    extents: Vec<Extent>,
}

/// Owner, permissions, time and extended attributes.
#[derive(Debug)]
pub struct Traits {
    /// The user's number; names are the image's own affair.
    pub owner: u32,
    /// The group's number.
    pub group: u32,
    /// Permissions, setuid, setgid and sticky bit.
    pub mode: u32,
    /// Seconds and nanoseconds since 1970.
    pub modified: (i64, u32),
    /// Names and values.
    pub xattrs: Vec<(std::ffi::OsString, Vec<u8>)>,
}

/// What came before a header and belongs to it.
#[derive(Default)]
struct Said {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Records,
}

impl Said {
    /// The member's name: of all that name it, the latest invention counts.
    fn path(&self, header: &Header) -> Vec<u8> {
        let record = self.records.get("GNU.sparse.name").or(self.records.get("path"));
        let said = record.or(self.name.as_deref()).map(Vec::from);
        said.unwrap_or_else(|| header.path_bytes().into_owned())
    }

    fn link(&self, header: &Header) -> Vec<u8> {
        let said = self.records.get("linkpath").or(self.link.as_deref()).map(Vec::from);
        said.or(header.link_name_bytes().map(Vec::from)).unwrap_or_default()
    }
}

/// An archive that is read from front to back.
pub struct Tarball<R> {
    source: R,
    /// Stored bytes of this member that were not read yet, and the filling after them.
    left: u64,
    filling: u64,
    for_all: Records,
    last: Option<Vec<u8>>,
}

impl<R: BufRead> Tarball<R> {
    /// Read the archive in `source`.
    pub fn new(source: R) -> Tarball<R> {
        Tarball { source, left: 0, filling: 0, for_all: Records::default(), last: None }
    }

    /// The next member; None at the end of the archive, when nothing comes after it.
    pub fn next_member(&mut self) -> Result<Option<Member>> {
        let mut said = Said { records: self.for_all.clone(), ..Said::default() };
        loop {
            self.skip_rest()?;
            let Some(block) = self.header()? else { return Ok(None) };
            let header = Header::from_byte_slice(&block);
            (self.left, self.filling) = match header.entry_type() {
                EntryType::Link => (0, 0), // Its size is the size of the file it names.
                _ => with_filling(header.entry_size().map_err(|_| self.damaged())?),
            };
            match header.entry_type() {
                EntryType::GNULongName => said.name = Some(cut(self.small()?)),
                EntryType::GNULongLink => said.link = Some(cut(self.small()?)),
                EntryType::XHeader => said.records = self.records()?,
                EntryType::XGlobalHeader => {
                    self.for_all = self.records()?;
                    said.records = self.for_all.clone();
                }
                kind if kind.as_byte() == b'V' => {} // The archive's label.
                _ => return self.member(header, said).map(Some),
            }
        }
    }

    /// Hand the stored parts of a file to `write`, each with its offset.
    pub fn contents(
        &mut self,
        contents: &Contents,
        mut write: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<()> {
        for extent in &contents.extents {
            let (mut at, end) = (extent.offset, extent.offset + extent.length);
            while at < end {
                let most = min(end - at, PIECE);
                let bytes = next_bytes(&mut self.source, most, &self.last)?;
                let failed = |error| Error::io(place(&self.last, "write"), &error);
                write(at, bytes).map_err(failed)?;
                let length = bytes.len();
                self.source.consume(length);
                self.left -= length as u64;
                at += length as u64;
            }
        }
        Ok(())
    }

    fn member(&mut self, header: &Header, said: Said) -> Result<Member> {
        if let Some(size) = said.records.get("size")
            && header.entry_type() != EntryType::Link
        {
            let size = pax::number(size).ok_or_else(|| self.damaged())?;
            (self.left, self.filling) = with_filling(size);
        }
        let path = said.path(header);
        self.last = Some(path.clone());
        let traits = traits(header, &said.records).ok_or_else(|| self.damaged())?;
        let kind = self.kind(header, &said, path.ends_with(b"/"))?;
        Ok(Member { path, kind, traits })
    }

    fn kind(&mut self, header: &Header, said: &Said, slash: bool) -> Result<Kind> {
        Ok(match header.entry_type() {
            // Before there was a type for folders, the name ended in a slash.
            EntryType::Regular if slash => Kind::Folder,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                Kind::File(self.extents(header, &said.records)?)
            }
            EntryType::Directory => Kind::Folder,
            // With a list of what was in it, in incremental archives.
            kind if kind.as_byte() == b'D' => Kind::Folder,
            EntryType::Symlink => Kind::Symlink(said.link(header)),
            EntryType::Link => Kind::Link(said.link(header)),
            EntryType::Fifo => Kind::Node(Node::Fifo),
            EntryType::Char | EntryType::Block => Kind::Node(self.device(header)?),
            other => {
                let letter = shown([other.as_byte()]);
                let what = format!("an entry of the unknown type `{letter}`");
                return Err(Error::input(place(&self.last, &what)));
            }
        })
    }

    fn device(&self, header: &Header) -> Result<Node> {
        let numbers = header
            .device_major()
            .ok()
            .flatten()
            .zip(header.device_minor().ok().flatten());
        let (major, minor) = numbers.ok_or_else(|| self.damaged())?;
        Ok(match header.entry_type() {
            EntryType::Block => Node::Block(major, minor),
            _ => Node::Character(major, minor),
        })
    }

    /// Which parts of a file are stored: all of it, unless one of four formats says else.
    fn extents(&mut self, header: &Header, records: &Records) -> Result<Contents> {
        let size = records.get("GNU.sparse.realsize").or(records.get("GNU.sparse.size"));
        let size = size.and_then(pax::number);
        let (size, extents) = if records.extents_are_stored() {
            (size, Some(self.stored_extents()?))
        } else if header.entry_type() == EntryType::GNUSparse {
            let size = header.as_gnu().and_then(|gnu| gnu.real_size().ok());
            (size, self.extents_after(header)?)
        } else if let Some(extents) = records.extents() {
            (size, Some(extents))
        } else {
            (Some(self.left), Some(vec![Extent { offset: 0, length: self.left }]))
        };
        let contents =
            size.zip(extents).map(|(size, extents)| Contents { size, extents });
        contents.filter(|all| all.fits(self.left)).ok_or_else(|| self.damaged())
    }

    /// GNU tar's oldest form: four extents in the header, more in blocks of 21 after it.
    fn extents_after(&mut self, header: &Header) -> Result<Option<Vec<Extent>>> {
        let Some(gnu) = header.as_gnu() else { return Ok(None) };
        let mut extents: Vec<Option<Extent>> = in_use(&gnu.sparse).collect();
        let mut more = gnu.is_extended();
        while more {
            let block = self.block()?.ok_or_else(|| self.cut_short())?;
            let mut list = tar::GnuExtSparseHeader::new();
            list.as_mut_bytes().copy_from_slice(&block);
            extents.extend(in_use(list.sparse()));
            more = list.is_extended();
            if (extents.len() * size_of::<Extent>()) as u64 > LONGEST {
                return Err(self.too_much());
            }
        }
        Ok(extents.into_iter().collect())
    }

    /// Its newest form: numbers, a line each, before the contents: how many, then pairs.
    fn stored_extents(&mut self) -> Result<Vec<Extent>> {
        let mut used = 0;
        let count = self.stored_number(&mut used)?;
        if count > LONGEST / size_of::<Extent>() as u64 {
            return Err(self.too_much());
        }
        let numbers: Result<Vec<u64>> =
            (0..count * 2).map(|_| self.stored_number(&mut used)).collect();
        let filling = used.next_multiple_of(BLOCK as u64) - used;
        self.left =
            self.left.checked_sub(used + filling).ok_or_else(|| self.damaged())?;
        self.skip(filling)?;
        pax::pairs(&numbers?).ok_or_else(|| self.damaged())
    }

    fn stored_number(&mut self, used: &mut u64) -> Result<u64> {
        let mut line = Vec::new();
        let digits = 21; // No number has more, with its end of line.
        let read = self.source.by_ref().take(digits).read_until(b'\n', &mut line);
        *used += read.map_err(|error| unreadable(&self.last, &error))? as u64;
        let number = line.strip_suffix(b"\n").and_then(pax::number);
        number.ok_or_else(|| self.damaged())
    }

    /// The records of this member, after those for all.
    fn records(&mut self) -> Result<Records> {
        let bytes = self.small()?;
        let records = Records::parse(&bytes).ok_or_else(|| self.damaged())?;
        let all = self.for_all.and(records);
        if all.size() > LONGEST as usize { Err(self.too_much()) } else { Ok(all) }
    }

    /// All contents of a member that is about another member.
    fn small(&mut self) -> Result<Vec<u8>> {
        if self.left > LONGEST {
            return Err(self.too_much());
        }
        let mut bytes = Vec::new();
        let read = self.source.by_ref().take(self.left).read_to_end(&mut bytes);
        self.left -= read.map_err(|error| unreadable(&self.last, &error))? as u64;
        if self.left > 0 { Err(self.cut_short()) } else { Ok(bytes) }
    }

    /// The next header; None at the end.
    fn header(&mut self) -> Result<Option<Block>> {
        let Some(block) = self.block()? else { return Err(self.cut_short()) };
        if block == [0; BLOCK] {
            return self.nothing_follows().map(|()| None);
        }
        let header = Header::from_byte_slice(&block);
        let spaces = 8 * u32::from(b' '); // What the sum's own field counts as.
        let others = block[..148].iter().chain(&block[156..]);
        let sum = spaces + others.map(|&byte| u32::from(byte)).sum::<u32>();
        if header.cksum().is_ok_and(|said| said == sum) {
            return Ok(Some(block));
        }
        Err(if self.last.is_some() { self.damaged() } else { no_archive() })
    }

    /// None if the source is at its end.
    fn block(&mut self) -> Result<Option<Block>> {
        let mut bytes = Vec::with_capacity(BLOCK);
        let read = self.source.by_ref().take(BLOCK as u64).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(&self.last, &error))?;
        match Block::try_from(bytes) {
            Ok(block) => Ok(Some(block)),
            Err(bytes) if bytes.is_empty() => Ok(None),
            Err(_) => Err(self.cut_short()),
        }
    }

    /// Read to the end, so that the sums of the compressed form are compared as well.
    fn nothing_follows(&mut self) -> Result<()> {
        loop {
            let bytes = self.source.fill_buf();
            let bytes = bytes.map_err(|error| unreadable(&self.last, &error))?;
            match bytes.len() {
                0 => return Ok(()),
                _ if bytes.iter().any(|&byte| byte != 0) => {
                    return Err(Error::input("something follows the end of the archive"));
                }
                length => self.source.consume(length),
            }
        }
    }

    fn skip_rest(&mut self) -> Result<()> {
        let rest = self.left.checked_add(self.filling).ok_or_else(|| self.damaged())?;
        (self.left, self.filling) = (0, 0);
        self.skip(rest)
    }

    fn skip(&mut self, mut amount: u64) -> Result<()> {
        while amount > 0 {
            let length = next_bytes(&mut self.source, amount, &self.last)?.len();
            self.source.consume(length);
            amount -= length as u64;
        }
        Ok(())
    }

    fn cut_short(&self) -> Error {
        match self.last {
            Some(_) => Error::input(place(&self.last, "the archive is cut short here")),
            None => no_archive(),
        }
    }

    fn damaged(&self) -> Error {
        Error::input(place(&self.last, "the archive is damaged here"))
    }

    fn too_much(&self) -> Error {
        let what = "over 1 MiB of names, attributes or lists of holes for one entry";
        Error::input(place(&self.last, what))
    }
}

impl Contents {
    /// Is all of it in the file, and in the `stored` bytes?
    fn fits(&self, stored: u64) -> bool {
        let mut left = Some(stored);
        for extent in &self.extents {
            let end = extent.offset.checked_add(extent.length);
            let inside = end.is_some_and(|end| end <= self.size);
            left =
                left.and_then(|left| left.checked_sub(extent.length)).filter(|_| inside);
        }
        left.is_some()
    }
}

/// The next bytes of the source, at least one and at most `most`.
fn next_bytes<'a>(
    source: &'a mut impl BufRead,
    most: u64,
    last: &Option<Vec<u8>>,
) -> Result<&'a [u8]> {
    let bytes = source.fill_buf().map_err(|error| unreadable(last, &error))?;
    if bytes.is_empty() {
        return Err(unreadable(last, &ErrorKind::UnexpectedEof.into()));
    }
    Ok(&bytes[..min(bytes.len() as u64, most) as usize])
}

fn with_filling(size: u64) -> (u64, u64) {
    (size, (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64)
}

fn in_use(list: &[GnuSparseHeader]) -> impl Iterator<Item = Option<Extent>> {
    list.iter().filter(|extent| !extent.is_empty()).map(|extent| {
        Some(Extent { offset: extent.offset().ok()?, length: extent.length().ok()? })
    })
}

fn traits(header: &Header, records: &Records) -> Option<Traits> {
    let id = |key, said: io::Result<u64>| match records.get(key) {
        Some(said) => pax::number(said),
        None => said.ok()?.try_into().ok(),
    };
    let modified = match records.get("mtime") {
        Some(time) => pax::time(time)?,
        None => (header.mtime().ok()?.cast_signed(), 0),
    };
    let mode = header.mode().ok()? & 0o7777;
    let (owner, group) = (id("uid", header.uid())?, id("gid", header.gid())?);
    Some(Traits { owner, group, mode, modified, xattrs: records.xattrs() })
}

/// Up to the first zero, which ends GNU tar's long names.
fn cut(mut name: Vec<u8>) -> Vec<u8> {
    name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
    name
}

fn place(last: &Option<Vec<u8>>, what: &str) -> String {
    match last {
        Some(name) => format!("`{}`: {what}", shown(name)),
        None => what.into(),
    }
}

fn unreadable(last: &Option<Vec<u8>>, error: &io::Error) -> Error {
    match (error.raw_os_error(), error.kind()) {
        (Some(_), _) => Error::io(place(last, "read"), error),
        (_, ErrorKind::UnexpectedEof) => {
            Error::input(place(last, "the archive is cut short here"))
        }
        _ => {
            let what = format!("damaged or cut short: {}", shown(error.to_string()));
            Error::input(place(last, &what))
        }
    }
}

fn no_archive() -> Error {
    Error::input("this is no tar archive, plain or compressed with gzip, xz or zstd")
}
