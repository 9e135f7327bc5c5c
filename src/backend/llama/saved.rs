//! Saved prefixes: the file of a prefix cache.
//!
//! Numbers are little-endian.
//!
//! ```text
//!   0   8  magic: SELVKV 0D 0A
//!   8   4  version: 1
//!  12   4  prefixes
//!  16   8  bytes of the body
//!  24  32  SHA-256 of the model
//!  56  32  SHA-256 of the build: the runtime, and what it uses of the processor
//!  88  32  SHA-256 of the context: its tokens, and the layout of its keys and values
//! 120  32  SHA-256 of the body
//! 152  32  SHA-256 of the 152 bytes before
//! 184      body: prefixes, the one that was used longest ago first
//!
//! a prefix
//!   0   4  tokens
//!   4   4  tokens from the front that were computed as a prompt
//!   8   4  flags: 1 if the others are to be computed again
//!  12   4  adapters that it was computed with
//!  16   8  bytes of keys and values
//!  24      per adapter, in the order of the digests: 32 SHA-256 of its file · 4 its scale, f32
//!          · a token, 4 bytes each · keys and values, by the layout
//! ```

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use super::serve::kv_cache::saved::SavedPrefix;
use super::serve::layout::Layout;
use super::serve::prefix::{AdapterSet, Prefix};
use crate::digest::Hasher;
use crate::disk::{self, Access, Disk, Folder, NewFile};
use crate::{Code, Digest, Error, Result};

const MAGIC: [u8; 8] = *b"SELVKV\r\n";
const VERSION: u32 = 1;
const HEADER: usize = 184;
const PREFIX: usize = 24;
const ADAPTER: usize = 36;
const SETTLES: u32 = 1;

/// What a file must be of to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) model: Digest,
    pub(super) build: Digest,
    pub(super) context: Digest,
    /// Of the engine's adapters, in the order of their numbers. A prefix of another one is left out.
    pub(super) adapters: Vec<Digest>,
}

/// What a file may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Tokens of one prefix, and tokens of the vocabulary.
    pub(super) tokens: usize,
    pub(super) vocabulary: usize,
    pub(super) prefixes: usize,
    pub(super) adapters: usize,
}

/// Writes a file, durable and in the place of an earlier one; returns its bytes.
pub(super) fn write(path: &Path, binding: &Binding, prefixes: &[SavedPrefix]) -> Result<u64> {
    let io = |e| Error::io(path.display(), e);
    let no_name = || Error::invalid(format!("{}: expected the path of a file", path.display()));
    let (folder, name) = Folder::around(path).ok_or_else(no_name)?;
    let bytes = prefixes.iter().map(|p| head_of(p, binding).len() + p.rows.len()).sum::<usize>() as u64;
    let mut body = Hasher::default();
    prefixes.iter().for_each(|prefix| {
        body.update(&head_of(prefix, binding));
        body.update(&prefix.rows);
    });
    let mut file = NewFile::over(folder, &name, &format!(".{name}.part")).map_err(io)?;
    file.write_all(&header_of(binding, prefixes.len(), bytes, body.digest())).map_err(io)?;
    write_body(&mut file, binding, prefixes).map_err(io)?;
    file.publish().map_err(io)?;
    Ok(HEADER as u64 + bytes)
}

fn write_body<D: Disk>(file: &mut NewFile<D>, binding: &Binding, prefixes: &[SavedPrefix]) -> std::io::Result<()> {
    for prefix in prefixes {
        file.write_all(&head_of(prefix, binding))?;
        file.write_all(&prefix.rows)?;
    }
    Ok(())
}

fn header_of(binding: &Binding, prefixes: usize, bytes: u64, body: Digest) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&(prefixes as u32).to_le_bytes());
    header[16..24].copy_from_slice(&bytes.to_le_bytes());
    header[24..56].copy_from_slice(&binding.model.0);
    header[56..88].copy_from_slice(&binding.build.0);
    header[88..120].copy_from_slice(&binding.context.0);
    header[120..152].copy_from_slice(&body.0);
    let own = digest(&header[..152]);
    header[152..].copy_from_slice(&own.0);
    header
}

/// A prefix but for its keys and values.
fn head_of(saved: &SavedPrefix, binding: &Binding) -> Vec<u8> {
    let digest_of = |number: u32| binding.adapters.get(number as usize).copied().unwrap_or_default();
    let mut adapters: Vec<(Digest, f32)> =
        saved.prefix.adapters.scales().into_iter().map(|(number, scale)| (digest_of(number), scale)).collect();
    adapters.sort_by_key(|(digest, _)| digest.0);
    let mut head = Vec::with_capacity(PREFIX + 4 * saved.prefix.len());
    for number in
        [saved.prefix.len() as u32, saved.exact as u32, if saved.settles { SETTLES } else { 0 }, adapters.len() as u32]
    {
        head.extend(number.to_le_bytes());
    }
    head.extend((saved.rows.len() as u64).to_le_bytes());
    for (digest, scale) in adapters {
        head.extend(digest.0);
        head.extend(scale.to_le_bytes());
    }
    saved.prefix.tokens.iter().for_each(|token| head.extend(token.to_le_bytes()));
    head
}

/// Reads a file. Nothing of it is looked at before its digest is the one that its header names, and the header's is right.
///
/// # Errors
///
/// As [`PrefixCache::restore`](crate::PrefixCache::restore) has them.
pub(super) fn read(path: &Path, binding: &Binding, layout: &Layout, bounds: Bounds) -> Result<(Vec<SavedPrefix>, u64)> {
    let io = |e| Error::io(path.display(), e);
    let corrupt = |what: String| Error::corrupt(format!("{}: {what}", path.display()));
    let mut file = disk::open(path, Access::Read).map_err(io)?;
    let mut header = [0; HEADER];
    let len = file.metadata().map_err(io)?.len();
    if len < HEADER as u64 {
        return Err(corrupt(format!("expected saved prefixes, at least {HEADER} bytes, got {len}")));
    }
    file.read_exact(&mut header).map_err(io)?;
    let bytes = check_header(&header, binding).map_err(|e| e.during(format!("reading {}", path.display())))?;
    let most = bounds.prefixes as u64 * (PREFIX + bounds.tokens * 4 + bounds.adapters * ADAPTER) as u64;
    let most = most.saturating_add(layout.bytes(bounds.tokens) as u64);
    if bytes != len - HEADER as u64 || bytes > most {
        return Err(corrupt(format!(
            "expected {bytes} bytes after the header, at most {most}, got {}",
            len - HEADER as u64
        )));
    }
    let body = body_of(file, bytes, path)?;
    if digest(&body).0 != header[120..152] {
        return Err(corrupt("its bytes are not those that were written".into()));
    }
    let count = number(&header[12..16]);
    let prefixes = prefixes_of(&body, count as usize, binding, layout, bounds).map_err(corrupt)?;
    Ok((prefixes, len))
}

/// Bytes of the body.
fn check_header(header: &[u8; HEADER], binding: &Binding) -> Result<u64> {
    if header[..8] != MAGIC {
        return Err(Error::corrupt("expected saved prefixes, got another kind of file"));
    }
    if digest(&header[..152]).0 != header[152..] {
        return Err(Error::corrupt("the header is damaged"));
    }
    let version = number(&header[8..12]);
    if version != VERSION {
        return Err(Error::unsupported(format!("expected saved prefixes of version {VERSION}, got version {version}")));
    }
    let parts = [("model", binding.model, 24), ("build", binding.build, 56), ("context", binding.context, 88)];
    for (name, expected, at) in parts {
        if header[at..at + 32] != expected.0 {
            let mut got = Digest::default();
            got.0.copy_from_slice(&header[at..at + 32]);
            return Err(Error::invalid(format!("saved prefixes: expected those of the {name} {expected}, got {got}")));
        }
    }
    Ok(u64::from(number(&header[16..20])) | u64::from(number(&header[20..24])) << 32)
}

fn body_of(file: File, bytes: u64, path: &Path) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    body.try_reserve_exact(size)
        .map_err(|e| Error::new(Code::OutOfMemory, format!("no {bytes} bytes for saved prefixes")).because(e))?;
    file.take(bytes).read_to_end(&mut body).map_err(|e| Error::io(path.display(), e))?;
    Ok(body)
}

fn prefixes_of(
    body: &[u8],
    count: usize,
    binding: &Binding,
    layout: &Layout,
    bounds: Bounds,
) -> Result<Vec<SavedPrefix>, String> {
    if count > bounds.prefixes {
        return Err(format!("expected at most {} prefixes, got {count}", bounds.prefixes));
    }
    let (mut rest, mut prefixes) = (body, Vec::new());
    let mut take = |len: usize| {
        let (taken, after) = rest.split_at_checked(len).ok_or("it ends within a prefix")?;
        rest = after;
        Ok::<_, String>(taken)
    };
    for _ in 0..count {
        let head = take(PREFIX)?;
        let [tokens, exact, flags, adapters] = [0, 4, 8, 12].map(|at| number(&head[at..at + 4]));
        let rows = u64::from(number(&head[16..20])) | u64::from(number(&head[20..24])) << 32;
        let tokens = tokens as usize;
        if exact as usize > tokens || flags > SETTLES || adapters as usize > bounds.adapters {
            return Err("a prefix contradicts itself".into());
        }
        if tokens == 0 || tokens > bounds.tokens || rows != layout.bytes(tokens) as u64 {
            return Err(format!("a prefix of {tokens} tokens and {rows} bytes does not fit the context"));
        }
        let adapters = take(ADAPTER * adapters as usize)?.chunks_exact(ADAPTER);
        check_adapters(adapters.clone())?;
        let adapters: Option<Vec<(u32, f32)>> = adapters.map(|one| number_of(one, binding)).collect();
        let tokens: Vec<u32> = take(4 * tokens)?.chunks_exact(4).map(number).collect();
        if let Some(token) = tokens.iter().find(|token| **token as usize >= bounds.vocabulary) {
            return Err(format!("expected tokens below {}, got {token}", bounds.vocabulary));
        }
        let rows = take(rows as usize)?.to_vec();
        let (exact, settles) = (exact as usize, flags == SETTLES);
        if let Some(adapters) = adapters {
            prefixes.push(SavedPrefix { prefix: Prefix::new(AdapterSet::new(adapters), tokens), exact, settles, rows });
        }
    }
    if rest.is_empty() { Ok(prefixes) } else { Err(format!("{} bytes are left after the prefixes", rest.len())) }
}

/// Adapters as a request may ask for them, with scales that change something, in the order of their digests.
fn check_adapters<'a>(adapters: impl Iterator<Item = &'a [u8]>) -> Result<(), String> {
    let mut before: Option<&[u8]> = None;
    for (digest, scale) in adapters.map(|saved| saved.split_at(32)) {
        let scale = f32::from_bits(number(scale));
        if scale == 0.0 || !scale.is_finite() || before.is_some_and(|before| before > digest) {
            return Err("the adapters of a prefix contradict each other".into());
        }
        before = Some(digest);
    }
    Ok(())
}

/// The number and the scale of an adapter, if the engine has it.
fn number_of(saved: &[u8], binding: &Binding) -> Option<(u32, f32)> {
    let (digest, scale) = saved.split_at_checked(32)?;
    let number = binding.adapters.iter().position(|known| known.0 == *digest)?;
    Some((number as u32, f32::from_bits(self::number(scale))))
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().unwrap_or_default())
}

pub(super) fn digest(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.digest()
}

// The drawing above.
const _: () = assert!(HEADER == 8 + 4 + 4 + 8 + 5 * 32 && PREFIX == 4 * 4 + 8 && ADAPTER == 32 + 4);
