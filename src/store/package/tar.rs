//! A package in a tar stream: read once, in the writer's order, and never unpacked.
//!
//! Taken are regular files and folders, in `ustar`, in GNU's form (long names, sizes in base 256) and in pax (`path` and
//! `size`; times and owners are passed over). All else is refused: links, devices, sparse files, compression.
//!
//! A block is 512 bytes. What is read of a header:
//!
//! | bytes | field |
//! |---|---|
//! | 0–99 | name |
//! | 124–135 | size, octal or in base 256 |
//! | 148–155 | sum of the header's bytes, this field taken as blanks |
//! | 156 | kind |
//! | 257–264 | form: `ustar\0` `00`, or `ustar  \0` of GNU |
//! | 345–499 | folder before the name, in `ustar` |
//!
//! Why not the crate `tar` (0.4.46 was tried): it collects pax records and long names whole before it hands out an entry, so
//! that one header of 1 GiB takes 1.5 GiB of memory; its raw entries, which could be bounded, do not know of pax sizes. It
//! takes streams without an end mark, passes over records that are malformed, and cuts a size of more than 64 bits or below
//! zero to its low half. What other tools read differently, or may not end, must not be a package.

use std::io::{BufReader, ErrorKind, Read};

use super::checked::PackageFile;
use super::name::{MAX_FILES, MAX_NAME, Names, check_name};
use crate::{Code, Error, Result};

const BLOCK: usize = 512;
/// The most bytes of records in pax form before a file.
const MAX_RECORDS: u64 = 64 << 10;
/// The most headers of a stream: of files, folders and what says more of them.
const MAX_HEADERS: usize = 4 * MAX_FILES;

type Block = [u8; BLOCK];

/// A file or folder of the stream, whose bytes come next.
struct Entry {
    name: String,
    size: u64,
    is_folder: bool,
}

/// What earlier headers said of the entry to come.
#[derive(Default)]
struct Ahead {
    name: Option<String>,
    size: Option<u64>,
    is_some: bool,
}

pub(super) fn visit(
    reader: Box<dyn Read + Send>,
    see: &mut dyn FnMut(&mut PackageFile<'_>) -> Result<()>,
) -> Result<()> {
    let mut stream = Stream { reader: BufReader::with_capacity(64 << 10, reader), headers: 0 };
    let mut names = Names::default();
    while let Some(entry) = stream.next()? {
        if entry.is_folder {
            continue;
        }
        names.add(&entry.name)?;
        let mut file = PackageFile::part(&entry.name, entry.size, &mut stream.reader);
        see(&mut file)?;
        file.skip()?;
        stream.skip_padding(entry.size)?;
    }
    names.finish()
}

struct Stream {
    reader: BufReader<Box<dyn Read + Send>>,
    headers: usize,
}

impl Stream {
    /// The next file or folder; `None` at the end mark.
    fn next(&mut self) -> Result<Option<Entry>> {
        let mut ahead = Ahead::default();
        loop {
            let header = self.block()?;
            if header.iter().all(|byte| *byte == 0) {
                return self.end(&ahead).map(|()| None);
            }
            self.headers += 1;
            if self.headers > MAX_HEADERS {
                return Err(corrupt(format!("expected at most {MAX_FILES} files, got more headers")));
            }
            check_sum(&header, self.headers == 1)?;
            let size = number(&header[124..136])?;
            match header[156] {
                b'L' => ahead.put_name(self.long_name(size)?)?,
                b'x' => self.records(size, |key, value| ahead.put(key, value))?,
                b'g' => self.records(size, |key, _| of_no_effect(key))?,
                b'0' | 0 | b'5' => return entry(&header, size, ahead).map(Some),
                kind => return Err(refused(kind, &name_of(&header)?)),
            }
        }
    }

    /// A second block of zeros stands behind the first.
    fn end(&mut self, ahead: &Ahead) -> Result<()> {
        if ahead.is_some {
            return Err(corrupt("expected a file after its long name or records, got the end mark"));
        }
        if self.block()?.iter().any(|byte| *byte != 0) {
            return Err(corrupt("expected an end mark of two blocks of zeros, got one"));
        }
        Ok(())
    }

    fn long_name(&mut self, size: u64) -> Result<String> {
        // With the zero at its end.
        if size > MAX_NAME as u64 + 1 {
            return Err(corrupt(format!("expected a name of at most {MAX_NAME} bytes, got {size}")));
        }
        let bytes = self.bytes(size)?;
        text(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
    }

    /// Records of the form `LENGTH KEY=VALUE\n`.
    fn records(&mut self, size: u64, mut take: impl FnMut(&str, &str) -> Result<()>) -> Result<()> {
        if size > MAX_RECORDS {
            return Err(corrupt(format!("expected at most {MAX_RECORDS} bytes of pax records, got {size}")));
        }
        let bytes = self.bytes(size)?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let bad = || corrupt("expected pax records 'LENGTH KEY=VALUE', got others");
            let blank = rest.iter().take(6).position(|byte| *byte == b' ').ok_or_else(bad)?;
            let length = decimal(&rest[..blank]).and_then(|n| usize::try_from(n).ok()).ok_or_else(bad)?;
            let record = rest.get(blank + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(bad)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
            let key = text(&record[..equals])?;
            if matches!(&*key, "path" | "size") {
                take(&key, &text(&record[equals + 1..])?)?;
            } else {
                // Its value may be no text.
                of_no_effect(&key)?;
            }
            rest = &rest[length..];
        }
        Ok(())
    }

    /// The bytes of a small entry, and its padding.
    fn bytes(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| corrupt("expected a small header"))?];
        self.fill(&mut bytes)?;
        self.skip_padding(size)?;
        Ok(bytes)
    }

    fn skip_padding(&mut self, size: u64) -> Result<()> {
        let over = (size % BLOCK as u64) as usize;
        if over == 0 { Ok(()) } else { self.fill(&mut [0; BLOCK][over..]) }
    }

    fn block(&mut self) -> Result<Block> {
        let mut block = [0; BLOCK];
        self.fill(&mut block)?;
        Ok(block)
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<()> {
        self.reader.read_exact(into).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof if self.headers == 0 => {
                corrupt("expected a tar stream, got fewer bytes than a block")
            }
            ErrorKind::UnexpectedEof => corrupt("expected an end mark of two blocks of zeros, got the end"),
            _ => Error::io("package: tar", e).with_code(Code::Io),
        })
    }
}

impl Ahead {
    fn put(&mut self, key: &str, value: &str) -> Result<()> {
        self.is_some = true;
        if key == "path" {
            return self.put_name(value.into());
        }
        let size =
            decimal(value.as_bytes()).ok_or_else(|| corrupt(format!("pax size: expected a number, got {value:?}")))?;
        match self.size.replace(size) {
            None => Ok(()),
            Some(before) => Err(corrupt(format!("expected one pax size of a file, got {before} and {size}"))),
        }
    }

    fn put_name(&mut self, name: String) -> Result<()> {
        self.is_some = true;
        match self.name.replace(name) {
            None => Ok(()),
            Some(before) => Err(corrupt(format!("expected one name of a file, got {before:?} and another"))),
        }
    }
}

fn entry(header: &Block, size: u64, ahead: Ahead) -> Result<Entry> {
    let name = ahead.name.map_or_else(|| name_of(header), Ok)?;
    let size = ahead.size.unwrap_or(size);
    let is_folder = header[156] == b'5' || header[156] == 0 && name.ends_with('/');
    let mut inside = &*name;
    // As `tar -C FOLDER .` writes it.
    while let Some(rest) = inside.strip_prefix("./") {
        inside = rest;
    }
    if is_folder {
        inside = inside.strip_suffix('/').unwrap_or(inside);
        let is_root = matches!(inside, "" | ".");
        if !is_root {
            check_name(inside)?;
        }
        if size > 0 {
            return Err(corrupt(format!("folder {name:?}: expected no bytes, got {size}")));
        }
    }
    Ok(Entry { name: inside.into(), size, is_folder })
}

fn name_of(header: &Block) -> Result<String> {
    let upto_zero = |field: &[u8]| text(field.split(|byte| *byte == 0).next().unwrap_or_default());
    let name = upto_zero(&header[..100])?;
    let prefix = if &header[257..263] == b"ustar\0" { upto_zero(&header[345..500])? } else { String::new() };
    Ok(if prefix.is_empty() { name } else { format!("{prefix}/{name}") })
}

fn check_sum(header: &Block, is_first: bool) -> Result<()> {
    let others: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    let field: u64 = header[148..156].iter().map(|byte| u64::from(*byte)).sum();
    let sum = others - field + 8 * u64::from(b' ');
    let said = number(&header[148..156]);
    if said.as_ref().is_ok_and(|said| *said == sum) {
        return Ok(());
    }
    if let Some(kind) = compression(header).filter(|_| is_first) {
        return Err(Error::unsupported(format!("package: expected a tar stream that is not compressed, got {kind}")));
    }
    Err(corrupt(format!("expected a header with the sum {sum}, got another")))
}

/// What a file begins with that is no tar, but could hold one.
fn compression(block: &Block) -> Option<&'static str> {
    const KINDS: &[(&[u8], &str)] = &[
        (&[0x1f, 0x8b], "gzip"),
        (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
        (b"BZh", "bzip2"),
        (&[0xfd, b'7', b'z', b'X', b'Z'], "xz"),
        (b"PK\x03\x04", "zip"),
    ];
    KINDS.iter().find(|(magic, _)| block.starts_with(magic)).map(|(_, kind)| *kind)
}

/// A number of a header: octal digits, or in base 256 if the highest bit is set.
fn number(field: &[u8]) -> Result<u64> {
    let bad = || corrupt("expected a number in a header, got none");
    if field[0] & 0x80 != 0 {
        if field[0] != 0x80 || field[1..field.len() - 8].iter().any(|byte| *byte != 0) {
            return Err(corrupt("expected a number of at most 64 bits in a header, got a larger or negative one"));
        }
        return field[field.len() - 8..]
            .iter()
            .try_fold(0u64, |n, byte| n.checked_mul(256)?.checked_add((*byte).into()))
            .ok_or_else(bad);
    }
    let digits = field.iter().skip_while(|byte| **byte == b' ').take_while(|byte| !matches!(**byte, 0 | b' '));
    let mut n = None;
    for digit in digits {
        if !(b'0'..=b'7').contains(digit) {
            return Err(bad());
        }
        n = Some(n.unwrap_or(0u64) * 8 + u64::from(digit - b'0'));
    }
    n.ok_or_else(bad)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Passes what says nothing of a file's name or bytes.
fn of_no_effect(key: &str) -> Result<()> {
    const KEYS: &[&str] = &["atime", "mtime", "ctime", "uid", "gid", "uname", "gname", "comment"];
    let is_vendors = key.starts_with("SCHILY.") || key.starts_with("LIBARCHIVE.");
    if KEYS.contains(&key) || is_vendors && key != "SCHILY.realsize" {
        return Ok(());
    }
    Err(Error::unsupported(format!("package: tar: expected pax records of name, size, times and owner, got {key:?}")))
}

fn refused(kind: u8, name: &str) -> Error {
    let got = match kind {
        b'1' | b'2' | b'K' => "a link",
        b'3' | b'4' | b'6' => "a device or a pipe",
        b'S' => "a sparse file",
        _ => {
            return Error::unsupported(format!(
                "package: file {name:?}: expected a regular file or a folder, got tar's kind {kind:#04x}"
            ));
        }
    };
    Error::unsupported(format!("package: file {name:?}: expected a regular file or a folder, got {got}"))
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| corrupt("expected names in UTF-8, got others"))
}

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("package: tar: {what}"))
}
