use half::f16;

use super::*;

fn named(name: &str, tensor: Tensor) -> (String, Tensor) {
    (name.into(), tensor)
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// An npy file of version 1 by its header and elements.
fn npy(header: &str, elements: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), elements].concat()
}

fn one(header: &str, elements: &[u8]) -> Result<Tensor, String> {
    let folder = tempfile::tempdir().unwrap();
    match read(&written(folder.path(), "x.npy", &npy(header, elements))) {
        Ok(Arrays::One(tensor)) => Ok(tensor),
        Ok(Arrays::Named(_)) => panic!("one array, not several"),
        Err(e) => Err(e.to_string()),
    }
}

#[test]
fn every_type_comes_back_as_it_went() {
    let tensors = [
        named("f16", Tensor::new(&[2], vec![f16::from_f32(0.5), f16::from_f32(-2.0)]).unwrap()),
        named("f32", Tensor::new(&[1, 2], vec![0.1f32, f32::NAN]).unwrap()),
        named("f64", Tensor::scalar(0.1f64)),
        named("i8", Tensor::new(&[2], vec![-1i8, 2]).unwrap()),
        named("i16", Tensor::new(&[2], vec![-1i16, 2]).unwrap()),
        named("i32", Tensor::new(&[2], vec![-1i32, 2]).unwrap()),
        named("i64", Tensor::new(&[0, 3], Vec::<i64>::new()).unwrap()),
        named("u8", Tensor::new(&[2], vec![255u8, 2]).unwrap()),
        named("u16", Tensor::new(&[2], vec![65_535u16, 2]).unwrap()),
        named("u32", Tensor::new(&[2], vec![u32::MAX, 2]).unwrap()),
        named("u64", Tensor::new(&[2], vec![u64::MAX, 2]).unwrap()),
        named("bool", Tensor::new(&[3], vec![true, false, true]).unwrap()),
        named("text", Tensor::strings(&[2], vec!["a".into(), "日本語".into()]).unwrap()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "all", &to_npz(&tensors).unwrap());
    let back = npz(&path).unwrap();
    assert_eq!(back.len(), tensors.len());
    for (name, tensor) in &tensors {
        let got = &back[name];
        assert_eq!((got.dtype(), got.shape()), (tensor.dtype(), tensor.shape()), "{name}");
        match tensor.dtype() {
            DType::String => assert_eq!(got.as_strings().unwrap(), tensor.as_strings().unwrap()),
            _ => assert_eq!(got.bytes().unwrap(), tensor.bytes().unwrap(), "{name}"),
        }
    }
    let wide = to_npz(&[named("b", Tensor::new(&[1], vec![bf16::from_f32(1.5)]).unwrap())]).unwrap();
    let back = npz(&written(folder.path(), "b", &wide)).unwrap();
    assert_eq!(back["b"].as_slice::<f32>().unwrap(), [1.5]);
}

#[test]
fn arrays_of_another_order_are_put_in_ours() {
    // [[1, 2, 3], [4, 5, 6]], column by column, as `numpy.asfortranarray` has it.
    let columns: Vec<u8> = [1.0f32, 4.0, 2.0, 5.0, 3.0, 6.0].iter().flat_map(|n| n.to_be_bytes()).collect();
    let tensor = one("{'descr': '>f4', 'fortran_order': True, 'shape': (2, 3), }\n", &columns).unwrap();
    assert_eq!(tensor.as_slice::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let cube: Vec<u8> = (0..24u8).collect();
    let tensor = one("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 4), }\n", &cube).unwrap();
    // Of [i, j, k] it has i + 2 j + 6 k.
    assert_eq!(tensor.as_slice::<u8>().unwrap()[..8], [0, 6, 12, 18, 2, 8, 14, 20]);
    let texts = one("{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }\n", b"ab\0cde").unwrap();
    assert_eq!(texts.as_strings().unwrap(), ["ab", "cde"]);
}

#[test]
fn what_is_no_array_is_told() {
    let header =
        |descr: &str, shape: &str| format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    for (descr, shape, elements, expected) in [
        ("<f4", "(2,)", 7, "expected 8 bytes of elements, got 7"),
        ("<f4", "(4611686018427387904, 4)", 0, ""),
        ("<f4", "(1099511627776,)", 4, "expected 4398046511104 bytes of elements, got 4"),
        ("<c8", "(1,)", 8, "expected numbers, booleans or texts"),
        ("<M8[s]", "(1,)", 8, "expected numbers, booleans or texts"),
        ("|O", "(1,)", 8, ""),
        ("<U1", "(1,)", 4, ""),
    ] {
        let got = one(&header(descr, shape), &vec![0xff; elements]).unwrap_err();
        assert!(got.contains(expected) && got.contains("x.npy"), "{descr} {shape}: {got}");
    }
    let folder = tempfile::tempdir().unwrap();
    let neither = written(folder.path(), "x", b"hello");
    assert!(npz(&neither).unwrap_err().to_string().contains("expected arrays of NumPy"));
    assert!(npz(&folder.path().join("none")).unwrap_err().to_string().contains("none: "));
    let alone = written(folder.path(), "y", &npy(&header("<f4", "(1,)"), &[0; 4]));
    assert!(npz(&alone).unwrap_err().to_string().contains("expected named arrays, .npz, got one array"));
}
