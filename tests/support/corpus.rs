//! The corpus of real models and inputs, from a test's side: where a file is, and how to read the plain formats.
//!
//! `tests/run` fills the folder (what is in it: `tests/tools/corpus.lock`). Without it a test that asks for a file gets
//! `None` and is expected to return, so that `cargo test` alone passes on a machine that has nothing but cargo.
//! `tests/run` sets `SELVEDGE_CORPUS`, and then nothing may be skipped: a missing file is a panic.
#![allow(dead_code, reason = "each test binary uses a part of this module")]

use std::fs;
use std::path::{Path, PathBuf};

/// A file or folder of the corpus, such as `"mnist-conv/model.onnx"`.
pub(crate) fn path(rel: &str) -> Option<PathBuf> {
    if let Some(root) = std::env::var_os("SELVEDGE_CORPUS") {
        let path = PathBuf::from(root).join(rel);
        assert!(path.exists(), "{} is not in the corpus; run tests/run --setup", path.display());
        return Some(path);
    }
    // The package that runs this may lie in a folder of the repository.
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let path = folders.map(|folder| folder.join("target/corpus").join(rel)).find(|path| path.exists());
    if path.is_none() {
        println!("skipped: {rel} is not in target/corpus, run tests/run");
    }
    path
}

/// A picture: rows of pixels from top to bottom, three bytes (red, green, blue) each.
pub(crate) struct Rgb {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) data: Vec<u8>,
}

impl Rgb {
    /// The colours of one pixel.
    pub(crate) fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let start = (y * self.width + x) * 3;
        [self.data[start], self.data[start + 1], self.data[start + 2]]
    }
}

/// Reads a binary PPM (`P6`, 8 bits), the form `tests/tools/make_ppm.py` writes.
pub(crate) fn ppm(path: &Path) -> Rgb {
    let file = read(path);
    let mut rest = file.as_slice();
    let mut words = [""; 4];
    for word in &mut words {
        let end = rest.iter().position(u8::is_ascii_whitespace).expect("a header of four words");
        *word = std::str::from_utf8(&rest[..end]).expect("an ASCII header");
        rest = &rest[end + 1..];
    }
    let [magic, width, height, most] = words;
    assert_eq!((magic, most), ("P6", "255"), "{}: kind of picture", path.display());
    let (width, height) = (number(width), number(height));
    assert_eq!(rest.len(), width * height * 3, "{}: bytes of pixels", path.display());
    Rgb { width, height, data: rest.to_vec() }
}

/// Sound with one channel.
pub(crate) struct Wav {
    /// Samples per second.
    pub(crate) rate: u32,
    /// In -1 to 1.
    pub(crate) samples: Vec<f32>,
}

/// Reads a WAV file with one channel of 16-bit PCM.
pub(crate) fn wav(path: &Path) -> Wav {
    let file = read(path);
    assert!(file.starts_with(b"RIFF") && &file[8..12] == b"WAVE", "{}: not a WAV file", path.display());
    let mut rate = None;
    let mut rest = &file[12..];
    while rest.len() >= 8 {
        let size = u32::from_le_bytes(array(&rest[4..8])) as usize;
        let (kind, body) = (&rest[..4], &rest[8..8 + size]);
        match kind {
            b"fmt " => {
                let field = |at: usize| u16::from_le_bytes(array(&body[at..at + 2]));
                let found = (field(0), field(2), field(14));
                assert_eq!(found, (1, 1, 16), "{}: (PCM, channels, bits)", path.display());
                rate = Some(u32::from_le_bytes(array(&body[4..8])));
            }
            b"data" => {
                let sample = |two: &[u8]| f32::from(i16::from_le_bytes(array(two))) / 32768.0;
                let samples = body.chunks_exact(2).map(sample).collect();
                return Wav { rate: rate.expect("the format stands before the data"), samples };
            }
            _ => {}
        }
        // Chunks start at even offsets.
        rest = &rest[(8 + size + size % 2).min(rest.len())..];
    }
    panic!("{}: no data chunk", path.display());
}

/// Numbers with a shape; the last dimension is contiguous.
pub(crate) struct Array<T> {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<T>,
}

impl<T> Array<T> {
    /// The `index`th entry of the first dimension.
    pub(crate) fn row(&self, index: usize) -> &[T] {
        let size = self.shape[1..].iter().product::<usize>();
        &self.data[index * size..][..size]
    }
}

/// Reads an IDX file of bytes: MNIST's digits (`[n, 28, 28]`) and labels (`[n]`).
pub(crate) fn idx(path: &Path) -> Array<u8> {
    let file = read(path);
    assert_eq!(file[..3], [0, 0, 8], "{}: not an IDX file of bytes", path.display());
    let header = 4 + 4 * usize::from(file[3]);
    let shape: Vec<usize> = file[4..header].chunks(4).map(|size| u32::from_be_bytes(array(size)) as usize).collect();
    let data = file[header..].to_vec();
    assert_eq!(data.len(), shape.iter().product::<usize>(), "{}: bytes of {shape:?}", path.display());
    Array { shape, data }
}

/// Reads a NumPy file of f32 in C order, as `numpy.save` writes it.
pub(crate) fn npy(path: &Path) -> Array<f32> {
    let file = read(path);
    assert_eq!(file[..7], *b"\x93NUMPY\x01", "{}: not a NumPy file of version 1", path.display());
    let data_at = 10 + usize::from(u16::from_le_bytes(array(&file[8..10])));
    let header = std::str::from_utf8(&file[10..data_at]).expect("an ASCII header");
    let plain = header.contains("'<f4'") && header.contains("'fortran_order': False");
    assert!(plain, "{}: expected f32 in C order, got {header}", path.display());
    let (_, after) = header.split_once("'shape': (").expect("a shape");
    let (sizes, _) = after.split_once(')').expect("the end of the shape");
    let shape: Vec<usize> = sizes.split(',').map(str::trim).filter(|size| !size.is_empty()).map(number).collect();
    let data: Vec<f32> = file[data_at..].chunks_exact(4).map(|four| f32::from_le_bytes(array(four))).collect();
    assert_eq!(data.len(), shape.iter().product::<usize>(), "{}: numbers of {shape:?}", path.display());
    Array { shape, data }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|_| panic!("expected a number, got {text:?}"))
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("as many bytes as the number has")
}
