//! Tensors of a file in the form that tract reads: raw bytes, in a type that tract has.

use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};

use super::file::OnnxFile;
use crate::kernel::BlockFormat;
use crate::pack::{ARENA, floats_into};
use crate::{Code, Error, Result};

/// ONNX numbers that tract's copy of the format may not have.
const UINT4: i32 = 21;
const INT4: i32 = 22;

/// Brings the data in from another file, and turns types and typed fields that tract does not read, or
/// reads wrongly, into raw bytes of a type that it does. Everything else stays as it is.
pub(super) fn rewrite(tensor: &mut TensorProto, file: &OnnxFile) -> Result<()> {
    if tensor.data_location == Some(DataLocation::External as i32) {
        bring_in(tensor, file)?;
    }
    match tensor.data_type {
        t if t == DataType::Float16 as i32 && !file.native_half => floats(tensor, BlockFormat::F16)?,
        t if t == DataType::Bfloat16 as i32 => floats(tensor, BlockFormat::Bf16)?,
        // tract looks for these two in the fields of the signed types.
        t if t == DataType::Uint32 as i32 => unsigned(tensor, |v| (v as u32).to_le_bytes()),
        t if t == DataType::Uint64 as i32 => unsigned(tensor, u64::to_le_bytes),
        UINT4 => nibbles(tensor, DataType::Uint8, |nibble| nibble),
        INT4 => nibbles(tensor, DataType::Int8, |nibble| ((nibble << 4) as i8 >> 4) as u8),
        _ => {}
    }
    Ok(())
}

fn bring_in(tensor: &mut TensorProto, file: &OnnxFile) -> Result<()> {
    let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| &*e.value);
    let location = entry("location").unwrap_or_default();
    let offset = entry("offset").map_or(Some(0), |v| v.parse::<usize>().ok());
    let length = elements(tensor).and_then(|n| n.checked_mul(bits(tensor.data_type)?)).map(|bits| bits.div_ceil(8));
    if let (Some(packed), ARENA, Some(offset), Some(length)) = (&file.packed, location, offset, length) {
        let mut data = room(length)?;
        packed.fill(offset as u64, &mut data)?;
        put(tensor, data);
        return Ok(());
    }
    let data = file
        .external
        .get(location)
        .zip(offset)
        .zip(length)
        .and_then(|((data, offset), length)| data.as_slice().get(offset..offset.checked_add(length)?));
    let Some(data) = data else {
        return Err(Error::corrupt(format!("external data of '{}': not within '{location}'", tensor.name)));
    };
    put(tensor, data.to_vec());
    Ok(())
}

fn put(tensor: &mut TensorProto, data: Vec<u8>) {
    tensor.raw_data = data;
    tensor.external_data.clear();
    tensor.data_location = None;
}

/// Memory for so many bytes.
fn room(bytes: usize) -> Result<Vec<u8>> {
    let mut room = Vec::new();
    room.try_reserve_exact(bytes)
        .map_err(|_| Error::new(Code::OutOfMemory, format!("a tensor of {bytes} bytes exceeds the memory")))?;
    room.resize(bytes, 0);
    Ok(room)
}

fn elements(tensor: &TensorProto) -> Option<usize> {
    tensor.dims.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?))
}

fn bits(data_type: i32) -> Option<usize> {
    Some(match data_type {
        UINT4 | INT4 => 4,
        other => match DataType::try_from(other).ok()? {
            DataType::Bool | DataType::Uint8 | DataType::Int8 => 8,
            DataType::Uint16 | DataType::Int16 | DataType::Float16 | DataType::Bfloat16 => 16,
            DataType::Float | DataType::Int32 | DataType::Uint32 => 32,
            DataType::Double | DataType::Int64 | DataType::Uint64 => 64,
            _ => return None,
        },
    })
}

fn floats(tensor: &mut TensorProto, format: BlockFormat) -> Result<()> {
    let halves: Vec<u8> = match tensor.raw_data.is_empty() {
        true => tensor.int32_data.drain(..).flat_map(|bits| (bits as u16).to_le_bytes()).collect(),
        false => std::mem::take(&mut tensor.raw_data),
    };
    let mut wide = room(halves.len() / 2 * 4)?;
    floats_into(format, &halves[..halves.len() / 2 * 2], &mut wide)?;
    tensor.raw_data = wide;
    tensor.data_type = DataType::Float as i32;
    Ok(())
}

fn unsigned<const N: usize>(tensor: &mut TensorProto, bytes: impl Fn(u64) -> [u8; N]) {
    if tensor.raw_data.is_empty() {
        tensor.raw_data = tensor.uint64_data.drain(..).flat_map(bytes).collect();
    }
}

/// Two to a byte, the lower half first.
fn nibbles(tensor: &mut TensorProto, to: DataType, widen: impl Fn(u8) -> u8) {
    let packed: Vec<u8> = if tensor.raw_data.is_empty() {
        tensor.int32_data.drain(..).map(|v| v as u8).collect()
    } else {
        std::mem::take(&mut tensor.raw_data)
    };
    let count = elements(tensor).unwrap_or(0);
    tensor.raw_data = packed.iter().flat_map(|byte| [byte & 15, byte >> 4]).take(count).map(widen).collect();
    tensor.data_type = to as i32;
}
