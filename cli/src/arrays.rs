//! Arrays of NumPy as tensors, and back: `.npy` and `.npz` files.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;

use half::bf16;
use npyz::npz::{NpzArchive, NpzWriter};
use npyz::{DType as Descr, Endianness, NpyFile, Order, TypeChar};
use selvedge::{DType, Shape, Tensor};

type Failure = Box<dyn Error>;

/// What a file of arrays holds, by its content and not by its name.
pub(crate) enum Arrays {
    /// One array, without a name.
    One(Tensor),
    /// Arrays by name.
    Named(BTreeMap<String, Tensor>),
}

/// Reads an `.npy` or `.npz` file.
pub(crate) fn read(path: &Path) -> Result<Arrays, Failure> {
    let read = || -> Result<Arrays, Failure> {
        let mut file = BufReader::new(File::open(path)?);
        let mut magic = Vec::new();
        (&mut file).take(6).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        match &magic[..] {
            b"\x93NUMPY" => Ok(Arrays::One(tensor(NpyFile::new(file)?)?)),
            [b'P', b'K', ..] => Ok(Arrays::Named(archive(file)?)),
            _ => Err("expected arrays of NumPy, .npy or .npz, got neither".into()),
        }
    };
    read().map_err(|e| format!("{}: {e}", path.display()).into())
}

/// The arrays of an npz file by name.
pub(crate) fn npz(path: &Path) -> Result<BTreeMap<String, Tensor>, Failure> {
    match read(path)? {
        Arrays::Named(arrays) => Ok(arrays),
        Arrays::One(_) => Err(format!("{}: expected named arrays, .npz, got one array, .npy", path.display()).into()),
    }
}

fn archive(file: BufReader<File>) -> Result<BTreeMap<String, Tensor>, Failure> {
    let mut archive = NpzArchive::new(file)?;
    let names: Vec<String> = archive.array_names().map(String::from).collect();
    let mut arrays = BTreeMap::new();
    for name in names {
        let during = |e: &dyn std::fmt::Display| format!("array '{name}': {e}");
        let Some(array) = archive.by_name(&name).map_err(|e| during(&e))? else { continue };
        let tensor = tensor(array).map_err(|e| during(&e))?;
        arrays.insert(name, tensor);
    }
    Ok(arrays)
}

fn tensor<R: Read>(array: NpyFile<R>) -> Result<Tensor, Failure> {
    let dims = array.shape().iter().map(|d| usize::try_from(*d)).collect::<Result<Vec<_>, _>>()?;
    let (order, descr) = (array.order(), array.dtype());
    let shape = Shape::new(&dims)?;
    let (kind, width, swapped) = element(&descr)?;
    let expected = shape.elements().checked_mul(width).ok_or("more bytes than the machine can address")?;
    // The header may promise more than the file holds: memory follows what is read.
    let mut bytes = Vec::new();
    array.into_inner().take(expected as u64).read_to_end(&mut bytes)?;
    if bytes.len() != expected {
        return Err(format!("expected {expected} bytes of elements, got {}", bytes.len()).into());
    }
    if order == Order::Fortran && dims.len() > 1 {
        bytes = row_major(&bytes, &dims, width);
    }
    match kind {
        Some(dtype) => {
            if swapped {
                bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
            }
            Ok(Tensor::copy_from(dtype, shape, &bytes)?)
        }
        None => Ok(Tensor::strings(&dims, texts(&bytes, &descr, shape.elements(), width, swapped)?)?),
    }
}

/// The type of an array's elements (`None` for texts), the bytes of each, and whether these are in the other order.
fn element(descr: &Descr) -> Result<(Option<DType>, usize, bool), Failure> {
    let unknown = || format!("expected numbers, booleans or texts, got {}", descr.descr());
    let Descr::Plain(plain) = descr else { return Err(unknown().into()) };
    let width = descr.num_bytes().ok_or_else(unknown)?;
    let dtype = match (plain.type_char(), width) {
        (TypeChar::Float, 2) => DType::F16,
        (TypeChar::Float, 4) => DType::F32,
        (TypeChar::Float, 8) => DType::F64,
        (TypeChar::Int, 1) => DType::I8,
        (TypeChar::Int, 2) => DType::I16,
        (TypeChar::Int, 4) => DType::I32,
        (TypeChar::Int, 8) => DType::I64,
        (TypeChar::Uint, 1) => DType::U8,
        (TypeChar::Uint, 2) => DType::U16,
        (TypeChar::Uint, 4) => DType::U32,
        (TypeChar::Uint, 8) => DType::U64,
        (TypeChar::Bool, 1) => DType::Bool,
        (TypeChar::UnicodeStr | TypeChar::ByteStr, _) => {
            return Ok((None, width, plain.endianness() == Endianness::Big));
        }
        _ => return Err(unknown().into()),
    };
    Ok((Some(dtype), width, plain.endianness() == Endianness::Big))
}

/// Elements in Fortran order, whose first index runs fastest, in C order.
fn row_major(bytes: &[u8], dims: &[usize], width: usize) -> Vec<u8> {
    let mut ordered = Vec::with_capacity(bytes.len());
    let mut index = vec![0; dims.len()];
    for _ in 0..bytes.len() / width.max(1) {
        let from = index.iter().zip(dims).rev().fold(0, |at, (i, d)| at * d + i) * width;
        ordered.extend_from_slice(&bytes[from..from + width]);
        for (i, dim) in index.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < *dim {
                break;
            }
            *i = 0;
        }
    }
    ordered
}

/// Texts of one length, with zeros behind them: bytes in UTF-8, or code points of four bytes.
fn texts(bytes: &[u8], descr: &Descr, count: usize, width: usize, swapped: bool) -> Result<Vec<String>, Failure> {
    let wide = matches!(descr, Descr::Plain(plain) if plain.type_char() == TypeChar::UnicodeStr);
    let text = |one: &[u8]| -> Result<String, Failure> {
        if !wide {
            let end = one.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
            return Ok(String::from_utf8(one[..end].to_vec())?);
        }
        let points = one.chunks_exact(4).map(|four| {
            let four = [four[0], four[1], four[2], four[3]];
            if swapped { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
        });
        let text: Option<String> = points.map(char::from_u32).collect();
        Ok(text.ok_or("expected text, got what is no code point")?.trim_end_matches('\0').into())
    };
    if width == 0 {
        return Ok(vec![String::new(); count]);
    }
    bytes.chunks_exact(width).map(text).collect()
}

/// Tensors as an npz file. NumPy has no bf16: such a tensor is written as f32, which holds it exactly.
pub(crate) fn to_npz(arrays: &[(String, Tensor)]) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut npz = NpzWriter::new(Cursor::new(&mut bytes));
    for (name, tensor) in arrays {
        let zip = npz.zip_writer();
        zip.start_file(npyz::npz::file_name_from_array_name(name), npyz::zip::write::FileOptions::default())?;
        write(zip, tensor).map_err(|e| format!("output '{name}': {e}"))?;
    }
    npz.zip_writer().finish()?;
    drop(npz);
    Ok(bytes)
}

/// One tensor as an npy file of version 1.0.
fn write(out: &mut dyn Write, tensor: &Tensor) -> Result<(), Failure> {
    let (descr, bytes) = raw(tensor)?;
    let dims: String = tensor.shape().iter().map(|d| format!("{d},")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}");
    // Magic, version and length take 10 bytes, and the elements begin at a multiple of 64.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| "expected fewer dimensions")?;
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    Ok(out.write_all(&bytes)?)
}

/// The type of a tensor's elements in NumPy's words, and the elements.
fn raw(tensor: &Tensor) -> Result<(String, Vec<u8>), Failure> {
    let descr = match tensor.dtype() {
        DType::F16 => "<f2",
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::Bool => "|b1",
        DType::BF16 => {
            let wide = tensor.as_slice::<bf16>()?.iter().flat_map(|v| v.to_f32().to_le_bytes());
            return Ok(("<f4".into(), wide.collect()));
        }
        DType::String => {
            let texts = tensor.as_strings()?;
            let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
            let padded = texts.iter().flat_map(|text| text.chars().chain(std::iter::repeat('\0')).take(longest));
            return Ok((format!("<U{longest}"), padded.flat_map(|c| u32::from(c).to_le_bytes()).collect()));
        }
        other => return Err(io::Error::other(format!("NumPy has no {other}")).into()),
    };
    Ok((descr.into(), tensor.bytes()?.to_vec()))
}

#[cfg(test)]
mod tests;
