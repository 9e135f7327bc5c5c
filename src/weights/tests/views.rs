//! Views of a tensor.

use super::craft::{File, Tensor};
use super::read;
use crate::kernel::{BlockFormat, quantize_into};
use crate::weights::{TensorType, WeightFile};
use crate::{Code, DType};

/// Three rows of 64 in Q8_0, whose values are a line.
fn quantized() -> (WeightFile, Vec<f32>) {
    let values: Vec<f32> = (0..192).map(|i| i as f32 - 90.0).collect();
    let mut blocks = vec![0; 204];
    quantize_into(BlockFormat::Q8_0, &values, &mut blocks).unwrap();
    let tensor =
        Tensor { name: b"t".into(), dims: vec![64, 3], kind: 8, offset: None, fill: blocks.clone(), bytes: 204 };
    let mut exact = vec![0.0; 192];
    crate::kernel::dequantize_into(BlockFormat::Q8_0, &blocks, &mut exact).unwrap();
    (read(&File::new().any_tensor(tensor).bytes()).unwrap(), exact)
}

#[test]
fn rows_and_tiles_are_parts_of_the_whole() {
    let (file, exact) = quantized();
    let tensor = file.tensor("t").unwrap();
    assert_eq!((tensor.row_len(), tensor.row_count(), tensor.format()), (64, 3, Some(BlockFormat::Q8_0)));
    let mut all = vec![0.0; 192];
    tensor.dequantize_into(&mut all).unwrap();
    assert_eq!(all, exact);
    assert!(all.iter().enumerate().all(|(i, x)| (x - (i as f32 - 90.0)).abs() < 0.5));
    for rows in [0..0, 0..1, 1..3, 2..3, 3..3] {
        let mut part = vec![0.0; rows.len() * 64];
        tensor.dequantize_rows_into(rows.clone(), &mut part).unwrap();
        assert_eq!(part, exact[rows.start * 64..rows.end * 64]);
        assert_eq!(tensor.rows(rows.clone()).unwrap(), &tensor.bytes()[rows.start * 68..rows.end * 68]);
    }
    let (mut buffer, mut seen) = ([0.0; 96], Vec::new());
    let mut tiles = tensor.tiles(&mut buffer).unwrap();
    while let Some(tile) = tiles.next() {
        seen.extend_from_slice(tile.values);
    }
    assert_eq!(seen, exact);
}

#[test]
fn wrong_rows_and_rooms_are_refused() {
    let (file, _) = quantized();
    let tensor = file.tensor("t").unwrap();
    #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
    let wrong = [0..4, 4..4, 2..1, usize::MAX..usize::MAX];
    for rows in wrong {
        assert_eq!(tensor.rows(rows.clone()).unwrap_err().code(), Code::InvalidArgument, "{rows:?}");
        let result = tensor.dequantize_rows_into(rows, &mut [0.0; 64]);
        assert_eq!(result.unwrap_err().code(), Code::InvalidArgument);
    }
    for room in [0, 191, 193] {
        let result = tensor.dequantize_into(&mut vec![0.0; room]);
        assert_eq!(result.unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(tensor.dequantize_rows_into(0..1, &mut [0.0; 63]).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(tensor.tiles(&mut [0.0; 31]).err().unwrap().code(), Code::InvalidArgument);
    assert_eq!(file.tensor("u").unwrap_err().code(), Code::NotFound);
    assert!(file.get("u").is_none());
}

#[test]
fn plain_numbers_are_views() {
    let (file, _) = quantized();
    assert_eq!(file.tensor("t").unwrap().view().unwrap_err().code(), Code::Unsupported);
    let bytes = File::new().tensor("i", &[4, 2], 26, 32).tensor("scalar", &[1], 0, 4).bytes();
    let file = read(&bytes).unwrap();
    let view = file.tensor("i").unwrap().view().unwrap();
    assert_eq!((view.dtype(), &**view.shape(), view.bytes()), (DType::I32, &[2, 4][..], &[7; 32][..]));
    let scalar = file.tensor("scalar").unwrap();
    assert_eq!((scalar.row_len(), scalar.row_count()), (1, 1));
    assert_eq!(file.tensor("i").unwrap().dequantize_into(&mut [0.0; 8]).unwrap_err().code(), Code::Unsupported);
}

/// A share outlives the file: it holds the map.
#[test]
fn a_share_outlives_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    std::fs::write(&path, File::model().bytes()).unwrap();
    let file = WeightFile::open(&path, crate::Loading::Mapped).unwrap();
    let (place, share) = {
        let tensor = file.tensor("token_embd.weight").unwrap();
        (tensor.bytes().as_ptr(), tensor.share())
    };
    assert_eq!(place, share.as_slice().as_ptr());
    drop(file);
    std::fs::remove_file(path).unwrap();
    assert_eq!(share.as_slice(), [7; 64 * 300 * 4]);
}

#[test]
fn tensor_types_are_what_kernels_and_tensors_say() {
    for &known in TensorType::ALL {
        let (block, bytes) = (known.block_elements().unwrap(), known.block_bytes().unwrap());
        if let Some(format) = known.format() {
            assert_eq!((block, bytes), (format.block_elements() as u64, format.block_bytes() as u64), "{known}");
            assert_eq!(known, TensorType::from(format));
            assert!(known.name().eq_ignore_ascii_case(format.name()), "{known}");
        }
        if let Some(dtype) = known.dtype() {
            assert_eq!((block, Some(bytes as usize)), (1, dtype.size()), "{known}");
            assert!(known.name().eq_ignore_ascii_case(dtype.name()), "{known}");
        }
    }
    assert!(BlockFormat::ALL.iter().all(|&format| TensorType::from(format).format() == Some(format)));
}
