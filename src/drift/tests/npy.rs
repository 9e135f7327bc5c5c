use npyz::WriterBuilder;

use super::super::Profile;
use crate::Code;

fn array<T: npyz::Serialize + npyz::AutoSerialize + Copy>(shape: &[u64], values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

#[test]
fn an_npy_of_any_number_type_is_read() {
    let npy = |bytes: &[u8]| Profile::fit().of_npy(|| Ok(bytes));
    let f32s = npy(&array(&[3, 2], &[1.0f32, 10.0, 2.0, 20.0, f32::NAN, 30.0])).unwrap();
    assert_eq!(f32s.features[0].counts, [0, 1, 1, 0, 1]);
    assert_eq!((&*f32s.features[1].name, f32s.rows), ("x1", 3));
    let i64s = npy(&array(&[3], &[1i64, 2, 2])).unwrap();
    assert_eq!(i64s.features[0].counts, [0, 1, 2, 0, 0]);
    assert_eq!(npy(&array(&[2, 1], &[1.0f64, 2.0])).unwrap().rows, 2);
    assert_eq!(npy(&array(&[2, 1], &[1u8, 2])).unwrap().rows, 2);
    let embedded =
        Profile::fit().embedding(2).of_npy(|| Ok(std::io::Cursor::new(array(&[2, 2], &[1.0f32, 2.0, 3.0, 4.0]))));
    assert_eq!(embedded.unwrap().embedding.unwrap().rows, 2);
}

/// One element of a type that NumPy calls so, all zeros.
fn foreign(descr: &str, bytes: usize) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}");
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(vec![0; bytes]);
    file
}

#[test]
fn truths_and_halves_are_numbers() {
    let npy = |bytes: &[u8]| Profile::fit().of_npy(|| Ok(bytes)).unwrap();
    let truths = npy(&array(&[3], &[true, false, true]));
    assert_eq!(truths.features[0].counts, [0, 1, 2, 0, 0]);
    assert_eq!([0.0, 1.0].map(|v| truths.features[0].bin(v)), [1, 2]);
    let values = [0.1f64, 0.2, 0.2, 0.3];
    let halves = npy(&array(&[4], &values.map(half::f16::from_f64)));
    let doubles = npy(&array(&[4], &values));
    assert_eq!(halves.features[0].counts, doubles.features[0].counts);
    assert_eq!([0.1, 0.2, 0.3].map(|v| halves.features[0].bin(v)), [1, 2, 3]);
}

#[test]
fn a_bad_npy_is_told() {
    let code = |bytes: &[u8]| Profile::fit().of_npy(|| Ok(bytes)).unwrap_err().code();
    let good = array(&[3, 2], &[1.0f32; 6]);
    assert_eq!(code(&good[..good.len() - 1]), Code::Corrupt);
    assert_eq!(code(&good[..20]), Code::Corrupt);
    assert_eq!(code(b"no array"), Code::Corrupt);
    assert_eq!(code(&array(&[1, 1, 1], &[1.0f32])), Code::Unsupported);
    assert_eq!(code(&foreign("<c8", 8)), Code::Unsupported);
    assert_eq!(code(&foreign("<U1", 4)), Code::Unsupported);
    let wide = Profile::fit().number("a").of_npy(|| Ok(&good[..])).unwrap_err();
    assert!(wide.to_string().contains("expected 1 values, got 2"), "{wide}");
}
