use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use half::{bf16, f16};

use super::{Bytes, DType, Element, Shape, Tensor, TensorView};
use crate::{Code, Error};

fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    error.to_string()
}

#[test]
fn dtypes_keep_their_numbers_names_and_sizes() {
    let published = [
        (DType::F32, 1, "f32", Some(4)),
        (DType::F16, 2, "f16", Some(2)),
        (DType::BF16, 3, "bf16", Some(2)),
        (DType::I8, 4, "i8", Some(1)),
        (DType::U8, 5, "u8", Some(1)),
        (DType::I32, 6, "i32", Some(4)),
        (DType::I64, 7, "i64", Some(8)),
        (DType::Bool, 8, "bool", Some(1)),
        (DType::F64, 9, "f64", Some(8)),
        (DType::I16, 10, "i16", Some(2)),
        (DType::U16, 11, "u16", Some(2)),
        (DType::U32, 12, "u32", Some(4)),
        (DType::U64, 13, "u64", Some(8)),
        (DType::String, 14, "string", None),
    ];
    assert_eq!(published.map(|(dtype, ..)| dtype), DType::ALL);
    for (dtype, number, name, size) in published {
        assert_eq!((dtype as u8, dtype.name(), dtype.size()), (number, name, size));
        assert_eq!(name.parse::<DType>().unwrap(), dtype);
    }
    assert_eq!(message("F32".parse::<DType>()), "unknown dtype 'F32'");
}

#[test]
fn shapes_are_checked_in_any_order() {
    let big = 1usize << 62;
    for dims in [
        &[usize::MAX][..],
        &[1 << 63],
        &[isize::MAX as usize, 2],
        &[big, 2],
        &[big, 0, 2],
        &[0, big, 2],
        &[big, 2, 0],
        &[1 << 32, 1 << 32],
        &[1 << 32, 0, 1 << 32],
    ] {
        let expected = format!("shape {dims:?} has more than {} elements", isize::MAX);
        assert_eq!(message(Shape::new(dims)), expected);
    }
    for (dims, elements) in [
        (&[][..], 1),
        (&[0], 0),
        (&[isize::MAX as usize], isize::MAX as usize),
        (&[big, 0, 1], 0),
        (&[0, 0], 0),
        (&[2, 3, 5], 30),
        (&[1; 64], 1),
    ] {
        let shape = Shape::new(dims).unwrap();
        assert_eq!((shape.rank(), shape.elements(), &*shape), (dims.len(), elements, dims));
    }
    assert_eq!(message(Shape::new(&[1; 65])), "shape: expected rank <= 64, got 65");
    assert_eq!(Shape::new(&[2, 3]).unwrap().to_string(), "[2, 3]");
}

#[test]
fn memory_that_cannot_be_had_is_an_error() {
    // More bytes than any address space, but a valid shape; then bytes that do not fit an isize.
    let error = Tensor::zeros(DType::U8, &[isize::MAX as usize - 64]).unwrap_err();
    assert_eq!(error.code(), Code::OutOfMemory);
    assert_eq!(Tensor::zeros(DType::U8, &[isize::MAX as usize]).unwrap_err().code(), Code::OutOfMemory);
    let dims = [isize::MAX as usize];
    let expected = format!("tensor [{}] of f64 exceeds the address space", isize::MAX);
    assert_eq!(message(Tensor::zeros(DType::F64, &dims)), expected);
    assert_eq!(message(Tensor::copy_from(DType::F64, Shape::new(&dims).unwrap(), &[])), expected);
}

#[test]
fn a_compact_copy_is_whole_and_aligned_for_every_dtype() {
    for len in [0, 1, 7, 8, 63, 64, 65, 1000] {
        let bytes: Vec<u8> = (0..len).map(|i| i as u8 | 1).collect();
        let copy = Bytes::compact(&bytes).unwrap();
        assert_eq!((copy.as_slice(), copy.as_slice().as_ptr() as usize % 8), (&bytes[..], 0), "{len}");
    }
}

#[test]
fn own_memory_is_aligned_to_64() {
    for len in [0, 1, 3, 63, 64, 65, 4097] {
        let zeros = Tensor::zeros(DType::U8, &[len]).unwrap();
        assert_eq!(zeros.bytes().unwrap(), vec![0; len]);
        let copy = Bytes::copy_from(&vec![7; len]).unwrap();
        assert_eq!(copy.as_slice(), vec![7; len]);
        for bytes in [zeros.bytes().unwrap(), copy.as_slice()] {
            assert_eq!(bytes.as_ptr() as usize % Bytes::ALIGN, 0, "{len} bytes");
        }
    }
}

#[test]
fn a_vector_is_taken_over_without_a_copy() {
    let elements = vec![1.5f32, -2.0, 3.0];
    let at = elements.as_ptr();
    let tensor = Tensor::new(&[3], elements).unwrap();
    assert_eq!(tensor.as_slice::<f32>().unwrap().as_ptr(), at);
    assert_eq!(tensor.clone().bytes().unwrap().as_ptr(), at.cast());
    assert_eq!(tensor.view().unwrap().bytes().as_ptr(), at.cast());
    assert_eq!(tensor.reshape(&[3, 1]).unwrap().bytes().unwrap().as_ptr(), at.cast());

    let shared: Arc<[u8]> = Arc::from([1, 2, 3, 4].as_slice());
    let bytes = Bytes::shared(shared.clone());
    assert_eq!(bytes.as_slice().as_ptr(), shared.as_ptr());
}

/// Counts how often it is dropped.
struct Release(Arc<AtomicUsize>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
#[expect(unsafe_code, reason = "foreign memory is what is tested")]
fn foreign_memory_is_released_once_after_the_last_clone() {
    let released = Arc::new(AtomicUsize::new(0));
    let memory = vec![1i64, 2, 3];
    let ptr = std::ptr::NonNull::from(memory.as_slice()).cast();
    // SAFETY: `memory` outlives every tensor of this test and is not written.
    let bytes = unsafe { Bytes::foreign(ptr, 24, Release(released.clone())) };
    let mut tensor = Tensor::from_bytes(DType::I64, Shape::new(&[3]).unwrap(), bytes).unwrap();
    assert_eq!(tensor.as_slice::<i64>().unwrap(), memory);
    assert_eq!(tensor.bytes().unwrap().as_ptr(), memory.as_ptr().cast());

    let clone = tensor.clone();
    let elsewhere = std::thread::spawn(move || clone.reshape(&[1, 3]).unwrap()).join().unwrap();
    // Foreign memory is never written: the last handle but one moves to a copy.
    tensor.bytes_mut().unwrap()[0] = 9;
    assert_eq!(tensor.as_slice::<i64>().unwrap(), [9, 2, 3]);
    assert_eq!((memory[0], released.load(Ordering::SeqCst)), (1, 0));
    drop(tensor);
    assert_eq!(released.load(Ordering::SeqCst), 0);
    drop(elsewhere);
    assert_eq!(released.load(Ordering::SeqCst), 1);
}

#[test]
fn a_refused_tensor_releases_its_bytes() {
    struct Owner(Vec<u8>, #[expect(dead_code, reason = "it is dropped")] Release);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let released = Arc::new(AtomicUsize::new(0));
    let bytes = Bytes::shared(Owner(vec![0; 5], Release(released.clone())));
    let refused = Tensor::from_bytes(DType::F32, Shape::new(&[1]).unwrap(), bytes);
    assert_eq!(message(refused), "tensor [1] of f32: expected 4 bytes, got 5");
    assert_eq!(released.load(Ordering::SeqCst), 1);
}

/// Bytes at an odd address.
struct Odd(Vec<u8>);

impl AsRef<[u8]> for Odd {
    fn as_ref(&self) -> &[u8] {
        let skip = 1 + self.0.as_ptr() as usize % 2;
        &self.0[skip..skip + 8]
    }
}

#[test]
fn bytes_that_are_not_aligned_are_not_elements() {
    let bytes = Bytes::shared(Odd((0..11).collect()));
    assert_eq!(bytes.as_slice().as_ptr() as usize % 2, 1);
    let tensor = Tensor::from_bytes(DType::F32, Shape::new(&[2]).unwrap(), bytes).unwrap();
    let off = tensor.bytes().unwrap().as_ptr() as usize % 4;
    let expected = format!("tensor elements as f32: expected bytes aligned to 4, got an address off by {off}");
    assert_eq!(message(tensor.as_slice::<f32>()), expected);
    assert!(tensor.view().unwrap().as_slice::<f32>().is_err());
    // A copy of ours is aligned.
    let copy = tensor.view().unwrap().to_tensor().unwrap();
    assert_eq!(copy.as_slice::<f32>().unwrap().len(), 2);
    assert_eq!(copy, tensor);
}

#[test]
fn a_bool_is_0_or_1() {
    let shape = || Shape::new(&[3]).unwrap();
    let good = Tensor::copy_from(DType::Bool, shape(), &[0, 1, 1]).unwrap();
    assert_eq!(good.as_slice::<bool>().unwrap(), [false, true, true]);
    let bad = Tensor::copy_from(DType::Bool, shape(), &[0, 1, 7]).unwrap();
    assert_eq!(
        message(bad.as_slice::<bool>()),
        "tensor elements as bool: expected 0 or 1 in every byte: InvalidBitPattern"
    );
    assert_eq!(bad.bytes().unwrap(), [0, 1, 7]);
}

#[test]
fn writing_copies_what_is_shared_or_not_ours() {
    let mut own = Tensor::zeros(DType::U8, &[4]).unwrap();
    let at = own.bytes().unwrap().as_ptr();
    own.bytes_mut().unwrap()[0] = 1;
    assert_eq!(own.bytes().unwrap().as_ptr(), at, "an unshared tensor is written in place");

    let before = own.clone();
    own.bytes_mut().unwrap()[1] = 2;
    assert_eq!((own.bytes().unwrap(), before.bytes().unwrap()), (&[1, 2, 0, 0][..], &[1, 0, 0, 0][..]));
    assert_eq!(before.bytes().unwrap().as_ptr(), at);

    let vector = vec![1u16, 2];
    let at = vector.as_ptr();
    let mut taken = Tensor::new(&[2], vector).unwrap();
    taken.bytes_mut().unwrap().fill(0xff);
    assert_ne!(taken.bytes().unwrap().as_ptr(), at.cast());
    assert_eq!(taken.as_slice::<u16>().unwrap(), [0xffff; 2]);
}

#[test]
fn strings_are_not_bytes() {
    let words = || vec!["".to_string(), "Zürich".into(), "雨\0".into()];
    let mut tensor = Tensor::strings(&[3], words()).unwrap();
    assert_eq!((tensor.dtype(), tensor.as_strings().unwrap()), (DType::String, &*words()));
    assert_eq!(message(Tensor::strings(&[2], words())), "string tensor [2]: expected 2 elements, got 3");
    let no_bytes = "tensor bytes: expected a numeric dtype, got string";
    assert_eq!(message(tensor.bytes()), no_bytes);
    assert_eq!(message(tensor.bytes_mut()), no_bytes);
    assert_eq!(message(tensor.view()), no_bytes);
    assert_eq!(message(Tensor::zeros(DType::String, &[0])), no_bytes);
    assert_eq!(message(Tensor::copy_from(DType::String, Shape::default(), &[])), no_bytes);
    assert_eq!(message(tensor.as_slice::<u8>()), "tensor elements: expected u8, got string");
    assert_eq!(message(Tensor::scalar(1u8).as_strings()), "tensor elements: expected string, got u8");
    assert_eq!(tensor.clone().reshape(&[1, 3]).unwrap().as_strings().unwrap(), words());
    assert_ne!(tensor, tensor.clone().reshape(&[1, 3]).unwrap());
}

#[test]
fn reshape_keeps_the_elements() {
    let tensor = Tensor::new(&[2, 3], (0i32..6).collect()).unwrap();
    let turned = tensor.clone().reshape(&[3, 1, 2]).unwrap();
    assert_eq!((&**turned.shape(), turned.bytes().unwrap()), (&[3, 1, 2][..], tensor.bytes().unwrap()));
    assert_eq!(message(tensor.reshape(&[4])), "reshape [2, 3] to [4]: expected 6 elements, got 4");
    assert!(Tensor::scalar(1u8).reshape(&[]).is_ok());
}

#[test]
fn counts_and_dtypes_must_agree() {
    assert_eq!(message(Tensor::new(&[2, 2], vec![0f32; 3])), "tensor [2, 2] of f32: expected 16 bytes, got 12");
    assert_eq!(message(Tensor::new(&[0], vec![0u8])), "tensor [0] of u8: expected 0 bytes, got 1");
    let shape = Shape::new(&[3]).unwrap();
    let view = TensorView::new(&shape, &[1u8, 2]);
    assert_eq!(message(view), "tensor [3] of u8: expected 3 bytes, got 2");
    let tensor = Tensor::new(&[1], vec![1i8]).unwrap();
    assert_eq!(message(tensor.as_slice::<u8>()), "tensor elements: expected u8, got i8");
    assert!(Tensor::zeros(DType::F64, &[0, 4]).unwrap().as_slice::<f64>().unwrap().is_empty());
}

#[test]
fn every_element_type_goes_in_and_out() {
    fn round<T: Element + PartialEq + std::fmt::Debug>(dtype: DType, values: Vec<T>) {
        let tensor = Tensor::new(&[values.len()], values.clone()).unwrap();
        assert_eq!((tensor.dtype(), tensor.as_slice::<T>().unwrap()), (dtype, &*values));
        assert_eq!(tensor.bytes().unwrap().len(), values.len() * dtype.size().unwrap());
        let scalar = Tensor::scalar(values[0]);
        assert_eq!((scalar.shape().rank(), scalar.as_slice::<T>().unwrap()), (0, &values[..1]));
    }
    round(DType::F32, vec![f32::MIN_POSITIVE, f32::INFINITY]);
    round(DType::F64, vec![f64::MAX, -0.0]);
    round(DType::F16, vec![f16::MAX, f16::NEG_ONE]);
    round(DType::BF16, vec![bf16::MAX, bf16::NEG_ONE]);
    round(DType::Bool, vec![true, false]);
    round(DType::I8, vec![i8::MIN, i8::MAX]);
    round(DType::I16, vec![i16::MIN, i16::MAX]);
    round(DType::I32, vec![i32::MIN, i32::MAX]);
    round(DType::I64, vec![i64::MIN, i64::MAX]);
    round(DType::U8, vec![u8::MAX, 1]);
    round(DType::U16, vec![u16::MAX, 1]);
    round(DType::U32, vec![u32::MAX, 1]);
    round(DType::U64, vec![u64::MAX, 1]);
}

#[test]
fn floats_compare_by_their_bits() {
    assert_eq!(Tensor::scalar(f32::NAN), Tensor::scalar(f32::NAN));
    assert_ne!(Tensor::scalar(0.0f32), Tensor::scalar(-0.0f32));
    assert_ne!(Tensor::scalar(0u32), Tensor::scalar(0i32));
    assert_ne!(Tensor::zeros(DType::U8, &[1, 2]).unwrap(), Tensor::zeros(DType::U8, &[2]).unwrap());
}

#[test]
fn raw_bytes_are_a_tensor_in_one_call() {
    let odd: Vec<u8> = (0..65).collect();
    for dtype in DType::ALL.into_iter().filter(|d| !matches!(d, DType::String | DType::Bool)) {
        let size = dtype.size().unwrap();
        // From an address that is aligned for no dtype but those of a byte.
        let bytes = &odd[1 - odd.as_ptr() as usize % 2..][..6 * size];
        let tensor = Tensor::from_raw_bytes(dtype, &[2, 3], bytes).unwrap();
        assert_eq!((tensor.dtype(), &**tensor.shape(), tensor.bytes().unwrap()), (dtype, &[2, 3][..], bytes));
        assert_eq!(tensor.bytes().unwrap().as_ptr() as usize % Bytes::ALIGN, 0);
        for wrong in [0, 1, 6 * size - 1, 6 * size + 1] {
            let expected = format!("tensor [2, 3] of {dtype}: expected {} bytes, got {wrong}", 6 * size);
            assert_eq!(message(Tensor::from_raw_bytes(dtype, &[2, 3], &odd[..wrong])), expected);
        }
        assert_eq!(Tensor::from_raw_bytes(dtype, &[], &odd[..size]).unwrap().shape().rank(), 0);
        assert!(Tensor::from_raw_bytes(dtype, &[0, 4], &[]).unwrap().bytes().unwrap().is_empty());
        assert!(Tensor::from_raw_bytes(dtype, &[usize::MAX, 2], &[]).is_err());
    }
    let numbers = Tensor::from_raw_bytes(DType::I32, &[2], &[1, 2, 0, 0, 0xfe, 0xff, 0xff, 0xff]).unwrap();
    assert_eq!(numbers.as_slice::<i32>().unwrap(), [513, -2]);
    let floats = Tensor::from_raw_bytes(DType::F64, &[1], &f64::NAN.to_le_bytes()).unwrap();
    assert!(floats.as_slice::<f64>().unwrap()[0].is_nan());
    let flags = Tensor::from_raw_bytes(DType::Bool, &[3], &[0, 1, 1]).unwrap();
    assert_eq!(flags.as_slice::<bool>().unwrap(), [false, true, true]);
    let refused = message(Tensor::from_raw_bytes(DType::Bool, &[3], &[0, 1, 0xff]));
    assert_eq!(refused, "tensor [3] of bool: expected 0 or 1 in every byte, got 255 at byte 2");
    assert!(message(Tensor::from_raw_bytes(DType::Bool, &[3], &[2])).contains("expected 3 bytes, got 1"));
}

#[test]
fn raw_bytes_of_strings_are_lengths_and_texts() {
    let raw = |words: &[&[u8]]| -> Vec<u8> {
        words.iter().flat_map(|word| [&(word.len() as u32).to_le_bytes()[..], word].concat()).collect()
    };
    let words = raw(&["Zürich".as_bytes(), b"", "雨\0".as_bytes()]);
    let tensor = Tensor::from_raw_bytes(DType::String, &[3, 1], &words).unwrap();
    assert_eq!(
        (&**tensor.shape(), tensor.as_strings().unwrap()),
        (&[3, 1][..], &["Zürich", "", "雨\0"].map(String::from)[..])
    );
    assert!(Tensor::from_raw_bytes(DType::String, &[0], &[]).unwrap().as_strings().unwrap().is_empty());
    let refused = |dims: &[usize], bytes: &[u8]| message(Tensor::from_raw_bytes(DType::String, dims, bytes));
    for end in 0..words.len() {
        assert!(refused(&[3], &words[..end]).starts_with("string tensor [3]: "), "{end}");
    }
    assert_eq!(refused(&[2], &words), "string tensor [2]: expected 2 elements, got 8 bytes after them");
    assert_eq!(refused(&[1], &raw(&[b"\xff"])), "string tensor [1]: element 0: expected UTF-8");
    assert_eq!(refused(&[1], &[0xff; 8]), "string tensor [1]: element 0: expected 4294967295 bytes, got 4");
    // A count that no bytes are there for takes no memory.
    assert!(refused(&[isize::MAX as usize], &words).contains("expected at least"));
}

#[cfg(feature = "ndarray")]
mod nd {
    use ndarray::{Array, ArrayD, Axis, IxDyn, ShapeBuilder, s};

    use super::*;

    fn same(array: ArrayD<i32>) {
        let (shape, elements): (Vec<usize>, Vec<i32>) = (array.shape().to_vec(), array.iter().copied().collect());
        let tensor = Tensor::from_ndarray(array.clone()).unwrap();
        assert_eq!((&**tensor.shape(), tensor.as_slice::<i32>().unwrap()), (&*shape, &*elements));
        assert_eq!(tensor.to_ndarray::<i32>().unwrap(), array);
    }

    #[test]
    fn arrays_of_every_layout_come_over() {
        let square = || Array::from_shape_vec((3, 4), (0..12).collect()).unwrap();
        same(square().into_dyn());
        same(square().reversed_axes().into_dyn());
        same(Array::from_shape_vec((3, 4).f(), (0..12).collect()).unwrap().into_dyn());
        same(square().slice_move(s![1.., ..]).into_dyn());
        same(square().slice_move(s![..2, ..]).into_dyn());
        same(square().slice_move(s![1..2, 1..3]).into_dyn());
        same(square().slice_move(s![.., ..;2]).into_dyn());
        same(square().slice_move(s![..;-1, ..]).into_dyn());
        same(square().slice_move(s![1..1, ..]).into_dyn());
        same(square().index_axis_move(Axis(0), 2).into_dyn());
        same(Array::from_elem(IxDyn(&[]), 7));
        same(Array::from_shape_vec(IxDyn(&[0, 3]), vec![]).unwrap());
    }

    #[test]
    fn a_whole_standard_array_is_not_copied() {
        let array = Array::from_shape_vec(IxDyn(&[2, 3]), (0..6).collect::<Vec<i64>>()).unwrap();
        let at = array.as_ptr();
        let tensor = Tensor::from_ndarray(array).unwrap();
        assert_eq!(tensor.as_slice::<i64>().unwrap().as_ptr(), at);
        assert_eq!(tensor.to_ndarray::<i64>().unwrap().as_ptr(), at);
    }

    #[test]
    fn an_array_of_another_dtype_is_refused() {
        let tensor = Tensor::scalar(1.0f32);
        assert_eq!(message(tensor.to_ndarray::<f64>()), "tensor elements: expected f64, got f32");
    }
}
