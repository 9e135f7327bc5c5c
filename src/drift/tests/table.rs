use npyz::WriterBuilder;

use super::super::{Bins, Fit, Profile};
use crate::{Code, Result};

const CSV: &str = "wind,sky,note\n1.5,sun,a\n,\"rain, heavy\",b\n2.5,NA,c\nNaN,sun,d\n";

fn csv(fit: Fit, text: &str) -> Result<Profile> {
    fit.of_csv(|| Ok(text.as_bytes()))
}

#[test]
fn a_csv_is_read_by_its_header() {
    let profile = csv(Profile::fit(), CSV).unwrap();
    let names: Vec<&str> = profile.features.iter().map(|f| &*f.name).collect();
    assert_eq!((names, profile.rows), (vec!["wind", "sky", "note"], 4));
    assert_eq!(profile.features[0].counts, [0, 1, 1, 0, 2]);
    assert_eq!(profile.features[1].counts, [2, 1, 0, 1]);
    let Bins::Categories(sky) = &profile.features[1].bins else { panic!() };
    assert_eq!(sky.names(), ["sun", "rain, heavy"]);
    let one = csv(Profile::fit().category("sky").number("wind"), CSV).unwrap();
    assert_eq!((&*one.features[0].name, one.features[0].counts.len()), ("sky", 4));
}

#[test]
fn a_bad_csv_is_refused_by_line_and_column() {
    let refused = |fit: Fit, text| {
        let error = csv(fit, text).unwrap_err();
        (error.code(), error.to_string())
    };
    let (code, text) = refused(Profile::fit().number("sky"), CSV);
    assert_eq!(code, Code::InvalidArgument);
    assert!(text.contains("line 2, column 'sky': expected a number, got 'sun'"), "{text}");
    let (code, text) = refused(Profile::fit().number("rain"), CSV);
    assert!(code == Code::NotFound && text.contains("'rain'") && text.contains("wind"), "{text}");
    let (code, text) = refused(Profile::fit(), "a,b\n1,2\n3\n");
    assert!(code == Code::Corrupt && text.contains("line: 3"), "{text}");
    assert_eq!(refused(Profile::fit(), "a,b\n").0, Code::InvalidArgument);
    assert_eq!(refused(Profile::fit(), "").0, Code::InvalidArgument);
    let latin = Profile::fit().of_csv(|| Ok(&b"a\n\xE9\n"[..])).unwrap_err();
    assert_eq!(latin.code(), Code::Corrupt);
}

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
fn a_bad_npy_is_refused() {
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
