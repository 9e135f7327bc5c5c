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

#[test]
fn a_bad_npy_is_told() {
    let code = |bytes: &[u8]| Profile::fit().of_npy(|| Ok(bytes)).unwrap_err().code();
    let good = array(&[3, 2], &[1.0f32; 6]);
    assert_eq!(code(&good[..good.len() - 1]), Code::Corrupt);
    assert_eq!(code(&good[..20]), Code::Corrupt);
    assert_eq!(code(b"no array"), Code::Corrupt);
    assert_eq!(code(&array(&[1, 1, 1], &[1.0f32])), Code::Unsupported);
    assert_eq!(code(&array(&[2], &[true, false])), Code::Unsupported);
    let wide = Profile::fit().number("a").of_npy(|| Ok(&good[..])).unwrap_err();
    assert!(wide.to_string().contains("expected 1 values, got 2"), "{wide}");
}
