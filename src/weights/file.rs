//! Weight files: one, or several that are opened as one.

use std::fmt;
use std::path::PathBuf;

use super::gguf::{self, check_part, check_same_model, is_part, siblings};
use super::metadata::{Entries, Metadata, owned, push, sorted};
use super::safetensors::{self, Index};
use super::tensors::{Info, MAX_PARTS, MAX_TENSORS, TensorEntry};
use crate::source::{Access, OpenedFile, Source};
use crate::tensor::Bytes;
use crate::{Code, Error, Result};

/// Format of a weight file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileFormat {
    /// GGUF, version 2 or 3, little-endian.
    Gguf,
    /// safetensors.
    Safetensors,
}

impl FileFormat {
    /// Its name: `gguf` or `safetensors`.
    pub const fn name(self) -> &'static str {
        match self {
            FileFormat::Gguf => "gguf",
            FileFormat::Safetensors => "safetensors",
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Weight file, open, whose header has been checked.
///
/// Opening touches the header, and in GGUF the padding behind tensors that do not end at a multiple of the alignment; the
/// tensors stay where they are until someone reads them. Every place that a view gives out was checked against the
/// file's size at opening, and every byte of the file is one of the header, of a tensor, or padding: zeros, or blanks
/// after the header of safetensors. What a tensor's own bytes are is not looked at: NaN and infinite weights and scales
/// open, and are dequantized to what they are. A tensor of safetensors may have no elements, and one of either format no
/// dimensions, which makes it a scalar. Limits: 65,536 keys and 65,536 tensors; GGUF: 4 dimensions, all from 1, names of 63
/// bytes, arrays nested 4 deep, alignment up to 4096; safetensors: a header of 16 MiB, texts of 2 MiB, 8
/// dimensions, names of 256 characters of any script that can be seen, without `..` and `\`; 1,024 files that are opened as
/// one.
///
/// A file that is truncated while it is mapped ends the process when a page that is gone is touched ([`Loading`](crate::Loading)):
/// open with `Loading::Read` what others may write to. A file that is changed in place gives changed numbers, and no worse.
///
/// # Examples
///
/// ```
/// # use selvedge::{Loading, weights::{GgufWriter, TensorType, WeightFile}};
/// # let folder = std::env::temp_dir().join(format!("selvedge-doc-file-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("m.gguf");
/// # let mut writer = GgufWriter::new();
/// # writer.tensor("w", &[2, 3], TensorType::F32)?;
/// # let mut data = writer.create(&path)?;
/// # data.write(&[0; 24])?;
/// # data.finish()?;
/// let file = WeightFile::open(&path, Loading::Mapped)?;
/// for tensor in file.tensors() {
///     println!("{} {} {}", tensor.name(), tensor.tensor_type(), tensor.shape());
/// }
/// let tensor = file.tensor("w")?;
/// let mut row = vec![0.0; tensor.row_len()];
/// tensor.dequantize_rows_into(1..2, &mut row)?;
/// assert_eq!(row, [0.0; 3]);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WeightFile {
    format: FileFormat,
    files: Vec<Bytes>,
    /// Of the first file.
    entries: Entries,
    tensors: Vec<Info>,
    /// Places in `tensors`, by name.
    order: Vec<u32>,
    alignment: u64,
    data_start: u64,
}

impl WeightFile {
    /// Opens a weight file; the format is known by the content.
    ///
    /// A path to one part of a split GGUF model, or to a `.safetensors.index.json`, opens all parts as one; they lie
    /// in the same folder.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Io`; `InvalidArgument` for what is no regular file, for a symbolic link where [`Access`]
    /// refuses them, and for a range that is not within its file; `Busy` for a file that was replaced while it was opened,
    /// where links are refused; `Corrupt` for bytes that break the format's rules, among them a name that is there twice,
    /// a gap, an overlap, a tail, or padding that is none; `Unsupported` for another format or version, for what exceeds
    /// the limits, and for a part of a model whose other parts cannot be found, since no path was given; `OutOfMemory`.
    pub fn open(source: impl Into<Source>, access: impl Into<Access>) -> Result<Self> {
        let access = access.into();
        let opened = OpenedFile::open(source.into(), access)?;
        let name = owned(opened.file_name.as_deref().unwrap_or(&opened.name))?;
        Self::of_opened(opened, access, &mut drop).map_err(|e| e.during(format!("opening weights '{name}'")))
    }

    /// What was opened, with the further files that it is one with. `keep` is given each file of a GGUF model in order,
    /// as it was opened.
    pub(crate) fn of_opened(opened: OpenedFile, access: Access, keep: &mut dyn FnMut(OpenedFile)) -> Result<Self> {
        let beside = opened.file_name.clone().zip(opened.folder.clone());
        let beside = beside.map(|(name, folder)| Beside { name, folder, access });
        let bytes = opened.bytes.clone();
        if Beginning::of(bytes.as_slice()) == Beginning::Index {
            let index = Index::read(bytes.as_slice())?;
            let beside = beside.ok_or_else(|| {
                Error::unsupported("it is the index of several safetensors files: expected the path to it")
            })?;
            return beside.indexed(&index);
        }
        let file = Self::of_bytes(bytes)?;
        match (file.part()?, beside) {
            (None, _) => {
                keep(opened);
                Ok(file)
            }
            (Some(place), Some(beside)) => beside.split((file, opened), place, keep),
            (Some((number, count)), None) => {
                Err(Error::unsupported(format!("it is part {} of {count}: expected the path to it", number + 1)))
            }
        }
    }

    /// One file by itself, whatever it says of others.
    pub(crate) fn of_bytes(bytes: Bytes) -> Result<Self> {
        let file = bytes.as_slice();
        let (format, entries, tensors, alignment, data_start) = match format(file)? {
            FileFormat::Gguf => {
                let h = gguf::Header::read(file)?;
                (FileFormat::Gguf, h.entries, h.tensors, h.alignment, h.data_start)
            }
            FileFormat::Safetensors => {
                let h = safetensors::Header::read(file)?;
                (FileFormat::Safetensors, h.entries, h.tensors, 1, h.data_start)
            }
        };
        let mut files = Vec::new();
        push(&mut files, bytes)?;
        Self { format, files, entries, tensors, order: Vec::new(), alignment, data_start }.in_order()
    }

    fn in_order(mut self) -> Result<Self> {
        self.order = sorted(&self.tensors, |tensor| &tensor.name)?
            .map_err(|name| Error::corrupt(format!("tensor '{name}' is there twice")))?;
        Ok(self)
    }

    /// Takes the tensors of a further file.
    fn add(&mut self, other: Self) -> Result<()> {
        if (self.tensors.len() + other.tensors.len()) as u64 > MAX_TENSORS {
            return Err(Error::unsupported(format!("expected at most {} tensors in all files", MAX_TENSORS)));
        }
        let part = self.files.len();
        for mut tensor in other.tensors {
            tensor.part = part;
            push(&mut self.tensors, tensor)?;
        }
        other.files.into_iter().try_for_each(|file| push(&mut self.files, file))
    }

    /// The format.
    pub fn format(&self) -> FileFormat {
        self.format
    }

    /// Keys and values; those of the first file where there are several.
    pub fn metadata(&self) -> Metadata<'_> {
        Metadata::new(&self.entries, self.files[0].as_slice())
    }

    /// All tensors, in the order of the files.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = TensorEntry<'_>> {
        self.tensors.iter().map(|info| self.entry(info))
    }

    /// A tensor by its name.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none.
    pub fn tensor(&self, name: &str) -> Result<TensorEntry<'_>> {
        self.get(name).ok_or_else(|| {
            let what = format!("tensor '{name}': expected one of the {} in the file", self.tensors.len());
            Error::new(Code::NotFound, what)
        })
    }

    /// A tensor by its name, if there is one.
    pub fn get(&self, name: &str) -> Option<TensorEntry<'_>> {
        let found = self.order.binary_search_by(|&i| (*self.tensors[i as usize].name).cmp(name)).ok()?;
        Some(self.entry(&self.tensors[self.order[found] as usize]))
    }

    fn entry<'a>(&'a self, info: &'a Info) -> TensorEntry<'a> {
        TensorEntry::new(info, &self.files[info.part])
    }

    /// Which part of how many the first file is, by its metadata; `None` for a whole model. The parts are all here if
    /// [`WeightFile::files`] are as many.
    pub(crate) fn part(&self) -> Result<Option<(u64, u64)>> {
        is_part(self.metadata())
    }

    /// The bytes of the files, in order: one, unless several were opened as one.
    pub fn files(&self) -> &[Bytes] {
        &self.files
    }

    /// The alignment of the tensors within a GGUF file, in bytes; 1 for safetensors.
    pub fn alignment(&self) -> u64 {
        self.alignment
    }

    /// The offset of the tensor data of the first file.
    pub fn data_start(&self) -> u64 {
        self.data_start
    }

    /// Bytes of all tensors together.
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().map(|info| info.place().len() as u64).sum()
    }
}

impl fmt::Debug for WeightFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (format, files, tensors) = (self.format, self.files.len(), self.tensors.len());
        write!(f, "WeightFile({format}, {files} files, {tensors} tensors)")
    }
}

/// Where further parts are found.
struct Beside {
    name: String,
    folder: PathBuf,
    access: Access,
}

impl Beside {
    fn open(&self, name: &str) -> Result<(WeightFile, OpenedFile)> {
        let opened = OpenedFile::open(Source::Path(self.folder.join(name)), self.access)?;
        let file = WeightFile::of_bytes(opened.bytes.clone()).map_err(|e| e.during(format!("opening '{name}'")))?;
        Ok((file, opened))
    }

    /// All parts of a split model, one of which is open.
    fn split(
        &self,
        one: (WeightFile, OpenedFile),
        (number, count): (u64, u64),
        keep: &mut dyn FnMut(OpenedFile),
    ) -> Result<WeightFile> {
        let (mut one, mut whole) = (Some(one), None::<WeightFile>);
        for (i, name) in (0..count).zip(siblings(&self.name, number, count)?) {
            let (part, opened) = match one.take_if(|_| i == number) {
                Some(one) => one,
                None => self.open(&name)?,
            };
            let during = |e: Error| e.during(format!("opening '{name}'"));
            check_part(part.metadata(), i, count).map_err(during)?;
            match &mut whole {
                None => whole = Some(part),
                Some(whole) => {
                    check_same_model(whole.metadata(), part.metadata()).map_err(during)?;
                    whole.add(part)?;
                }
            }
            keep(opened);
        }
        let whole = whole.ok_or_else(|| Error::corrupt("split.count: expected at least 1, got 0"))?.in_order()?;
        let expected = whole.metadata().number("split.tensors.count")?;
        if expected != Some(whole.tensors.len() as u64) {
            let got = whole.tensors.len();
            return Err(Error::corrupt(format!("split.tensors.count: it says {expected:?}, the parts have {got}")));
        }
        Ok(whole)
    }

    fn indexed(&self, index: &Index<'_>) -> Result<WeightFile> {
        let files = index.files()?;
        if files.len() as u64 > MAX_PARTS {
            return Err(Error::unsupported(format!("expected at most {} files, got {}", MAX_PARTS, files.len())));
        }
        let mut whole: Option<WeightFile> = None;
        for name in files {
            let (part, _) = self.open(name)?;
            if part.format != FileFormat::Safetensors {
                return Err(Error::corrupt(format!("'{name}': expected a safetensors file, got {}", part.format)));
            }
            if let Some(stray) = part.tensors().find(|t| index.file_of(t.name()) != Some(name)) {
                return Err(Error::corrupt(format!("'{name}': its tensor '{}' is not in the index", stray.name())));
            }
            match &mut whole {
                None => whole = Some(part),
                Some(whole) => whole.add(part)?,
            }
        }
        let whole = whole.ok_or_else(|| Error::corrupt("safetensors index: it names no files"))?.in_order()?;
        match index.tensors().find(|name| whole.get(name).is_none()) {
            Some(lost) => Err(Error::corrupt(format!("tensor '{lost}': its file does not have it"))),
            None => Ok(whole),
        }
    }
}

/// What a file is by its first bytes, for all who ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    Empty,
    Gguf,
    BigEndianGguf,
    Safetensors,
    /// JSON by itself: a safetensors file has a length before it.
    Index,
    Other,
}

impl Beginning {
    pub(crate) fn of(file: &[u8]) -> Self {
        match file {
            [] => Beginning::Empty,
            _ if b"GGUF".starts_with(&file[..file.len().min(4)]) => Beginning::Gguf,
            [b'F', b'U', b'G', b'G', ..] => Beginning::BigEndianGguf,
            // A length and a brace. Both are not asked for, so that the reader can tell which is wrong.
            _ if file.get(4..8) == Some(&[0; 4]) => Beginning::Safetensors,
            [b'{', ..] => Beginning::Index,
            _ if file.get(8) == Some(&b'{') => Beginning::Safetensors,
            // Too short for either, it may still be the beginning of one.
            _ if file.len() < 9 => Beginning::Safetensors,
            _ => Beginning::Other,
        }
    }
}

fn format(file: &[u8]) -> Result<FileFormat> {
    match Beginning::of(file) {
        Beginning::Empty => Err(Error::corrupt("expected a GGUF or safetensors file, got an empty one")),
        Beginning::Gguf => Ok(FileFormat::Gguf),
        Beginning::BigEndianGguf => {
            Err(Error::unsupported("expected a GGUF or safetensors file, got a big-endian GGUF file"))
        }
        Beginning::Safetensors => Ok(FileFormat::Safetensors),
        Beginning::Index | Beginning::Other => {
            Err(Error::unsupported("expected a GGUF or safetensors file, got neither"))
        }
    }
}

/// The name of a format that is neither GGUF, ONNX nor safetensors, by a file's first bytes.
pub(crate) fn foreign_format(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'l', b'm', b'g', b'g', ..] | [b't', b'j', b'g', b'g', ..] | [b'f', b'm', b'g', b'g', ..] => {
            Some("a GGML file from before GGUF")
        }
        [b'P', b'K', 3, 4, ..] => Some("a ZIP archive"),
        [_, _, _, _, b'O', b'R', b'T', b'M', ..] => Some("an ORT FlatBuffer file"),
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => Some("a TensorFlow Lite file"),
        _ => None,
    }
}
