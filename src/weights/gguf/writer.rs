//! Writer of GGUF files, version 3.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::metadata::MAX_KEYS;
use super::super::tensor_type::TensorType;
use super::super::tensors::MAX_TENSORS;
use super::super::value::{ValueRef, ValueType};
use super::header::{DEFAULT_ALIGNMENT, MAX_ALIGNMENT, MAX_KEY, MAX_RANK, MAX_TENSOR_NAME};
use crate::disk::{Disk, Folder, NewFile};
use crate::tensor::Shape;
use crate::{Code, Error, Result};

/// Writer of a GGUF file: keys and tensors first, their data after [`GgufWriter::create`].
///
/// It writes what [`WeightFile`](crate::weights::WeightFile) reads, and nothing else: what breaks a rule of the format
/// is `InvalidArgument` here.
///
/// # Examples
///
/// ```
/// use selvedge::weights::{GgufWriter, TensorType};
/// # let folder = std::env::temp_dir().join(format!("selvedge-doc-writer-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("model.gguf");
/// let mut writer = GgufWriter::new();
/// writer.set("general.architecture", "llama")?.set("tokenizer.ggml.tokens", &["<s>", "</s>"][..])?;
/// writer.tensor("token_embd.weight", &[2, 32], TensorType::Q8_0)?;
/// let mut data = writer.create(&path)?;
/// data.write(&[0; 34])?;
/// data.write(&[0; 34])?;
/// data.finish()?;
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GgufWriter {
    alignment: u64,
    keys: Vec<(String, Vec<u8>)>,
    tensors: Vec<Tensor>,
    names: HashSet<String>,
}

#[derive(Debug)]
struct Tensor {
    name: String,
    shape: Shape,
    number: u32,
    bytes: u64,
}

impl Default for GgufWriter {
    fn default() -> Self {
        Self { alignment: DEFAULT_ALIGNMENT, keys: Vec::new(), tensors: Vec::new(), names: HashSet::new() }
    }
}

impl GgufWriter {
    /// A file with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key, in the place of an earlier value if there is one.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a key that is empty, longer than 65,535 bytes or holds a NUL, and for a
    /// `general.alignment` that is no power of two up to 4096 as u32.
    pub fn set(&mut self, key: &str, value: impl ToGguf) -> Result<&mut Self> {
        if key.is_empty() || key.len() as u64 > MAX_KEY || key.contains('\0') {
            return Err(Error::invalid(format!(
                "key '{}': expected 1 to {MAX_KEY} bytes without NUL",
                key.chars().take(64).collect::<String>().escape_debug()
            )));
        }
        let mut encoded = Vec::new();
        (value.value_type() as u32).write_to(&mut encoded);
        value.write_to(&mut encoded);
        if key == "general.alignment" {
            self.alignment = alignment(&encoded)?;
        }
        let count = self.keys.len() as u64;
        match self.keys.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = encoded,
            None if count < MAX_KEYS => self.keys.push((key.to_owned(), encoded)),
            None => return Err(Error::invalid(format!("key '{key}': expected at most {MAX_KEYS} keys"))),
        }
        Ok(self)
    }

    /// Adds a tensor; its bytes follow in the same order. The shape is row-major, outermost first.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a name that is there already, is empty, longer than 63 bytes or holds a NUL, for a
    /// rank beyond 1 to 4, for a dimension of 0, for rows that are no whole blocks; `Unsupported` for a type that GGUF
    /// does not have.
    pub fn tensor(&mut self, name: &str, shape: &[usize], tensor_type: TensorType) -> Result<&mut Self> {
        let broken = |what: String| Err(Error::invalid(format!("tensor '{}': {what}", name.escape_debug())));
        if name.is_empty() || name.len() as u64 > MAX_TENSOR_NAME || name.contains('\0') {
            return broken(format!("expected a name of 1 to {MAX_TENSOR_NAME} bytes without NUL"));
        }
        if shape.is_empty() || shape.len() > MAX_RANK as usize || shape.contains(&0) {
            return broken(format!("expected 1 to {MAX_RANK} dimensions from 1, got {shape:?}"));
        }
        let shape = Shape::new(shape).map_err(|e| e.during(format!("adding tensor '{name}'")))?;
        let known = tensor_type.gguf_number().zip(tensor_type.block_elements().zip(tensor_type.block_bytes()));
        let Some((number, (block, block_bytes))) = known else {
            return Err(Error::unsupported(format!("tensor '{name}': GGUF has no elements of {tensor_type}")));
        };
        let row = shape.last().map_or(0, |&n| n as u64);
        if !row.is_multiple_of(block) {
            return broken(format!("expected rows of a multiple of {block} elements, got {row}"));
        }
        let Some(bytes) = (shape.elements() as u64 / block).checked_mul(block_bytes) else {
            return broken("it has more bytes than can be counted".into());
        };
        if self.tensors.len() as u64 >= MAX_TENSORS {
            return broken(format!("expected at most {MAX_TENSORS} tensors"));
        }
        if !self.names.insert(name.to_owned()) {
            return broken("it is there already".into());
        }
        self.tensors.push(Tensor { name: name.to_owned(), shape, number, bytes });
        Ok(self)
    }

    /// Writes the header beside `path`, under a name of its own; the file takes its place with [`GgufData::finish`]. It is
    /// readable and writable for its owner alone (0600). A link that has the name gives way to it, and what it leads to
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a path that has no file name, and for tensors of more bytes than can be counted;
    /// `NotFound` for a folder that is not there; `Busy` if a file has the name that it would have beside `path`, as a
    /// process of the same number may have left it; `Io`, also for a name that a folder, a pipe or a device has.
    pub fn create(self, path: impl AsRef<Path>) -> Result<GgufData> {
        let path = path.as_ref();
        let Some((folder, name)) = Folder::around(path) else {
            return Err(Error::invalid(format!("{}: expected the path of a file", path.display())));
        };
        let part = hidden(&name);
        let hidden = path.with_file_name(&part);
        let file = NewFile::create(folder, &name, &part).map_err(|e| {
            let exists = e.kind() == std::io::ErrorKind::AlreadyExists;
            let error = Error::io(hidden.display(), e);
            if exists { error.with_code(Code::Busy) } else { error }
        })?;
        Ok(GgufData(self.write_into(file, path)?))
    }

    /// Writes the header; `path` is for errors.
    pub(crate) fn write_into<W: Write>(self, out: W, path: &Path) -> Result<Content<W>> {
        let header = self.header()?;
        let lengths = self.tensors.iter().map(|tensor| tensor.bytes).collect::<Vec<_>>().into_iter();
        let names = self.tensors.into_iter().map(|tensor| tensor.name).collect::<Vec<_>>().into_iter();
        let mut content = Content {
            out,
            path: path.into(),
            written: 0,
            alignment: self.alignment,
            lengths,
            names,
            current: String::new(),
            left: 0,
        };
        content.put(&header)?;
        content.next_tensor()?;
        Ok(content)
    }

    fn header(&self) -> Result<Vec<u8>> {
        let mut out = b"GGUF".to_vec();
        3u32.write_to(&mut out);
        (self.tensors.len() as u64).write_to(&mut out);
        (self.keys.len() as u64).write_to(&mut out);
        for (key, value) in &self.keys {
            key.as_str().write_to(&mut out);
            out.extend(value);
        }
        let mut offset = 0u64;
        for tensor in &self.tensors {
            tensor.name.as_str().write_to(&mut out);
            (tensor.shape.rank() as u32).write_to(&mut out);
            tensor.shape.iter().rev().for_each(|&dim| (dim as u64).write_to(&mut out));
            tensor.number.write_to(&mut out);
            offset.write_to(&mut out);
            offset = offset
                .checked_add(tensor.bytes)
                .and_then(|end| end.checked_next_multiple_of(self.alignment))
                .ok_or_else(|| Error::invalid("the tensors have more bytes than can be counted"))?;
        }
        Ok(out)
    }
}

fn alignment(encoded: &[u8]) -> Result<u64> {
    let number = match encoded {
        [4, 0, 0, 0, number @ ..] => number.try_into().ok().map(u32::from_le_bytes).map(u64::from),
        _ => None,
    };
    number.filter(|n| n.is_power_of_two() && *n <= MAX_ALIGNMENT).ok_or_else(|| {
        Error::invalid(format!("general.alignment: expected a power of two up to {MAX_ALIGNMENT} as u32"))
    })
}

/// A name beside the file, of this process alone.
fn hidden(name: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!(".{name}.{}-{}.part", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A GGUF file that is being written. Dropped before [`GgufData::finish`] it leaves nothing behind.
#[derive(Debug)]
pub struct GgufData(Content<NewFile<Folder>>);

impl GgufData {
    /// Appends bytes of the tensors, which come in the order in which they were added, in pieces of any length that do
    /// not reach from one into the next.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for more bytes than the tensor has left; `Io`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write(bytes)
    }

    /// The tensor whose bytes come next, and how many of them; `None` once all are there.
    pub fn expects(&self) -> Option<(&str, u64)> {
        self.0.expects()
    }

    /// Makes the file durable and gives it its name, in the place of an earlier file: after a crash the one or the
    /// other is there, whole.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` while bytes are missing; `Io`.
    pub fn finish(self) -> Result<()> {
        self.0.publish()
    }
}

/// What follows the header, into whatever takes it.
#[derive(Debug)]
pub(crate) struct Content<W> {
    out: W,
    path: PathBuf,
    written: u64,
    alignment: u64,
    /// Of the tensors that have not begun.
    lengths: std::vec::IntoIter<u64>,
    names: std::vec::IntoIter<String>,
    current: String,
    left: u64,
}

impl<D: Disk> Content<NewFile<D>> {
    fn publish(self) -> Result<()> {
        let path = self.path.clone();
        self.end()?.0.publish().map_err(|e| Error::io(path.display(), e))
    }
}

impl<W: Write> Content<W> {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 > self.left {
            let (left, got) = (self.left, bytes.len());
            return Err(match &*self.current {
                "" => Error::invalid(format!("expected no more bytes, got {got}")),
                name => Error::invalid(format!("tensor '{name}': expected at most {left} more bytes, got {got}")),
            });
        }
        self.put(bytes)?;
        self.left -= bytes.len() as u64;
        if self.left == 0 { self.next_tensor() } else { Ok(()) }
    }

    fn expects(&self) -> Option<(&str, u64)> {
        (self.left > 0).then_some((&*self.current, self.left))
    }

    /// How many bytes of the file there are: between two tensors, where the next one begins.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Pads what is complete, and gives back what took it, with how many bytes it took.
    pub(crate) fn end(mut self) -> Result<(W, u64)> {
        if let Some((name, left)) = self.expects() {
            return Err(Error::invalid(format!("tensor '{name}': expected {left} more bytes")));
        }
        self.pad()?;
        Ok((self.out, self.written))
    }

    fn next_tensor(&mut self) -> Result<()> {
        self.pad()?;
        self.left = self.lengths.next().unwrap_or(0);
        self.current = self.names.next().unwrap_or_default();
        Ok(())
    }

    fn pad(&mut self) -> Result<()> {
        let padding = self.written.next_multiple_of(self.alignment) - self.written;
        self.put(&[0; MAX_ALIGNMENT as usize][..padding as usize])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|e| Error::io(self.path.display(), e))?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// Value that a key of a GGUF file can be set to: numbers, booleans, texts, slices and `Vec`s of those, and a
/// [`ValueRef`] from another file.
pub trait ToGguf: sealed::Encode {}

impl<T: sealed::Encode> ToGguf for T {}

mod sealed {
    use crate::weights::value::ValueType;

    pub trait Encode {
        fn value_type(&self) -> ValueType;
        /// Appends the value, without its type.
        fn write_to(&self, out: &mut Vec<u8>);
    }
}

use sealed::Encode;

/// A type whose values all have the same GGUF type, so that they can be elements.
macro_rules! element {
    ($($t:ty => $value_type:ident, |$value:ident, $out:ident| $write:expr;)*) => {$(
        impl Encode for $t {
            fn value_type(&self) -> ValueType {
                ValueType::$value_type
            }

            fn write_to(&self, $out: &mut Vec<u8>) {
                let $value = self;
                $write
            }
        }

        impl Encode for &[$t] {
            fn value_type(&self) -> ValueType {
                ValueType::Array
            }

            fn write_to(&self, out: &mut Vec<u8>) {
                (ValueType::$value_type as u32).write_to(out);
                (self.len() as u64).write_to(out);
                self.iter().for_each(|element| element.write_to(out));
            }
        }

        impl Encode for Vec<$t> {
            fn value_type(&self) -> ValueType {
                ValueType::Array
            }

            fn write_to(&self, out: &mut Vec<u8>) {
                self.as_slice().write_to(out);
            }
        }
    )*};
}

element! {
    u8 => U8, |value, out| out.push(*value);
    i8 => I8, |value, out| out.extend(value.to_le_bytes());
    u16 => U16, |value, out| out.extend(value.to_le_bytes());
    i16 => I16, |value, out| out.extend(value.to_le_bytes());
    u32 => U32, |value, out| out.extend(value.to_le_bytes());
    i32 => I32, |value, out| out.extend(value.to_le_bytes());
    u64 => U64, |value, out| out.extend(value.to_le_bytes());
    i64 => I64, |value, out| out.extend(value.to_le_bytes());
    f32 => F32, |value, out| out.extend(value.to_le_bytes());
    f64 => F64, |value, out| out.extend(value.to_le_bytes());
    bool => Bool, |value, out| out.push(u8::from(*value));
    &str => Text, |value, out| text(value.as_bytes(), out);
    String => Text, |value, out| text(value.as_bytes(), out);
}

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    (bytes.len() as u64).write_to(out);
    out.extend(bytes);
}

impl Encode for ValueRef<'_> {
    fn value_type(&self) -> ValueType {
        ValueRef::value_type(self)
    }

    fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            ValueRef::U8(n) => n.write_to(out),
            ValueRef::I8(n) => n.write_to(out),
            ValueRef::U16(n) => n.write_to(out),
            ValueRef::I16(n) => n.write_to(out),
            ValueRef::U32(n) => n.write_to(out),
            ValueRef::I32(n) => n.write_to(out),
            ValueRef::F32(x) => x.write_to(out),
            ValueRef::Bool(b) => b.write_to(out),
            ValueRef::Text(bytes) => text(bytes, out),
            ValueRef::Array(array) => {
                (array.element_type() as u32).write_to(out);
                array.len().write_to(out);
                out.extend(array.bytes());
            }
            ValueRef::U64(n) => n.write_to(out),
            ValueRef::I64(n) => n.write_to(out),
            ValueRef::F64(x) => x.write_to(out),
        }
    }
}
