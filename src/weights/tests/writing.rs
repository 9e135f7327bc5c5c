//! Writing of files: what is written is what is read.

use super::read;
use crate::Code;
use crate::disk::NewFile;
use crate::disk::sim::{Image, SimDisk};
use crate::source::Loading;
use crate::weights::{GgufWriter, TensorType, ValueRef, WeightFile};

fn folder_has(folder: &std::path::Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    let mut writer = GgufWriter::new();
    writer.set("k.u8", 1u8).unwrap().set("k.i8", -1i8).unwrap().set("k.u16", 2u16).unwrap();
    writer.set("k.i16", -2i16).unwrap().set("k.u32", 3u32).unwrap().set("k.i32", -3i32).unwrap();
    writer.set("k.u64", 4u64).unwrap().set("k.i64", -4i64).unwrap().set("k.f32", 0.5f32).unwrap();
    writer.set("k.f64", 0.25f64).unwrap().set("k.bool", true).unwrap().set("k.text", "text").unwrap();
    writer.set("k.numbers", vec![1u32, 2, 3]).unwrap().set("k.texts", &["a", ""][..]).unwrap();
    writer.set("k.u8", 5u8).unwrap();
    writer.set("general.alignment", 64u32).unwrap();
    writer.tensor("a", &[3, 5], TensorType::F32).unwrap().tensor("b", &[2, 2, 32], TensorType::Q4_0).unwrap();
    writer.tensor("c", &[7], TensorType::I8).unwrap().tensor("\u{3c3}", &[], TensorType::F32).unwrap();
    let mut data = writer.create(&path).unwrap();
    assert_eq!(data.expects(), Some(("a", 60)));
    let bytes = |seed: u8, len: u8| (0..len).map(|i| i.wrapping_mul(seed)).collect::<Vec<u8>>();
    bytes(3, 60).chunks(7).for_each(|piece| data.write(piece).unwrap());
    data.write(&bytes(5, 72)).unwrap();
    data.write(&[]).unwrap();
    data.write(&bytes(7, 7)).unwrap();
    data.write(&0.5f32.to_le_bytes()).unwrap();
    assert_eq!(data.expects(), None);
    data.finish().unwrap();
    assert_eq!(folder_has(folder.path()), ["m.gguf"]);

    let file = WeightFile::open(&path, Loading::Mapped).unwrap();
    let expected = [
        ValueRef::U8(5),
        ValueRef::I8(-1),
        ValueRef::U16(2),
        ValueRef::I16(-2),
        ValueRef::U32(3),
        ValueRef::I32(-3),
        ValueRef::U64(4),
        ValueRef::I64(-4),
        ValueRef::F32(0.5),
        ValueRef::F64(0.25),
        ValueRef::Bool(true),
        ValueRef::Text(b"text"),
    ];
    let metadata = file.metadata();
    assert_eq!(metadata.iter().map(|(_, value)| value).take(12).collect::<Vec<_>>(), expected);
    let numbers: Vec<_> = metadata.array("k.numbers").unwrap().unwrap().numbers().collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    assert_eq!(metadata.array("k.texts").unwrap().unwrap().texts().collect::<Vec<_>>(), [&b"a"[..], b""]);
    let tensors: Vec<_> = file.tensors().map(|t| (t.name(), t.tensor_type(), t.shape().to_vec())).collect();
    let (f32, q4, i8) = (TensorType::F32, TensorType::Q4_0, TensorType::I8);
    let expected = [("a", f32, vec![3, 5]), ("b", q4, vec![2, 2, 32]), ("c", i8, vec![7]), ("\u{3c3}", f32, vec![])];
    assert_eq!(tensors, expected);
    for (name, content) in [("a", bytes(3, 60)), ("b", bytes(5, 72)), ("c", bytes(7, 7))] {
        assert_eq!(file.tensor(name).unwrap().bytes(), content);
        assert_eq!(file.tensor(name).unwrap().place().start % 64, 0);
    }

    // Copied key by key and tensor by tensor, it is the same file.
    let copy = folder.path().join("copy.gguf");
    let mut writer = GgufWriter::new();
    for (key, value) in metadata.iter() {
        writer.set(key, value).unwrap();
    }
    for tensor in file.tensors() {
        writer.tensor(tensor.name(), tensor.shape(), tensor.tensor_type()).unwrap();
    }
    let mut data = writer.create(&copy).unwrap();
    file.tensors().for_each(|t| data.write(t.bytes()).unwrap());
    data.finish().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&copy).unwrap());
}

#[test]
fn an_empty_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    GgufWriter::new().create(&path).unwrap().finish().unwrap();
    let file = read(&std::fs::read(&path).unwrap()).unwrap();
    assert!(file.metadata().is_empty() && file.tensors().len() == 0);
}

#[test]
fn what_is_not_finished_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    std::fs::write(&path, "before").unwrap();
    let begun = || {
        let mut writer = GgufWriter::new();
        writer.tensor("a", &[4], TensorType::F32).unwrap();
        writer.create(&path).unwrap()
    };
    let mut data = begun();
    data.write(&[0; 15]).unwrap();
    let over = data.write(&[0; 2]).unwrap_err();
    assert!(over.code() == Code::InvalidArgument && over.message().contains("at most 1 more"), "{over}");
    assert_eq!(folder_has(folder.path()).len(), 2);
    let early = data.finish().unwrap_err();
    assert!(early.code() == Code::InvalidArgument && early.message().contains("1 more bytes"), "{early}");
    drop(begun());
    let mut data = begun();
    data.write(&[0; 16]).unwrap();
    assert_eq!(data.write(&[0]).unwrap_err().code(), Code::InvalidArgument);
    drop(data);
    assert_eq!(folder_has(folder.path()), ["m.gguf"]);
    assert_eq!(std::fs::read(&path).unwrap(), b"before");
    let nowhere = GgufWriter::new().create(folder.path().join("none/m.gguf")).unwrap_err();
    assert_eq!(nowhere.code(), Code::NotFound);
    assert_eq!(GgufWriter::new().create("/").unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn what_breaks_a_rule_is_not_written() {
    let long = |n| "n".repeat(n);
    for key in [String::new(), "a\0b".into(), long(65_536)] {
        assert_eq!(GgufWriter::new().set(&key, 1u8).unwrap_err().code(), Code::InvalidArgument);
    }
    assert!(GgufWriter::new().set(&long(65_535), 1u8).is_ok());
    for alignment in [0u32, 3, 8192] {
        let error = GgufWriter::new().set("general.alignment", alignment).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
    }
    assert!(GgufWriter::new().set("general.alignment", 32i32).is_err());
    let tensor = |name: &str, shape: &[usize], tensor_type| {
        GgufWriter::new().tensor(name, shape, tensor_type).map(|_| ()).map_err(|e| e.code())
    };
    let invalid = Err(Code::InvalidArgument);
    assert_eq!(tensor(&long(63), &[1], TensorType::F32), Ok(()));
    for name in [String::new(), "a\0".into(), long(64)] {
        assert_eq!(tensor(&name, &[1], TensorType::F32), invalid);
    }
    assert_eq!(tensor("t", &[], TensorType::F64), Ok(()), "a scalar");
    assert_eq!(tensor("t", &[], TensorType::Q8_0), invalid);
    for shape in [&[1; 5][..], &[0], &[2, 0], &[usize::MAX, 2], &[1 << 62]] {
        assert_eq!(tensor("t", shape, TensorType::F64), invalid, "{shape:?}");
    }
    assert_eq!(tensor("t", &[32, 33], TensorType::Q4_0), invalid);
    assert_eq!(tensor("t", &[8], TensorType::U8), Err(Code::Unsupported));
    assert_eq!(tensor("t", &[8], TensorType::Unknown(99)), Err(Code::Unsupported));
    let mut writer = GgufWriter::new();
    writer.tensor("t", &[1], TensorType::F32).unwrap();
    assert_eq!(writer.tensor("t", &[1], TensorType::F32).unwrap_err().code(), Code::InvalidArgument);
}

/// What crashes leave of a file that is written over an old one: how often nothing, and how often neither whole.
fn crashes(before: &Image, ignores_sync: bool) -> (usize, usize) {
    let disk = SimDisk::holding(before.clone());
    disk.sim().ignores_sync = ignores_sync;
    let written = || {
        let mut writer = GgufWriter::new();
        writer.set("general.architecture", "llama").unwrap();
        writer.tensor("a", &[700], TensorType::F32).unwrap().tensor("b", &[500], TensorType::F32).unwrap();
        writer
    };
    let write = |data: &mut dyn FnMut(&[u8])| (0..1200u32).for_each(|i| data(&(i + 1).to_le_bytes()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    let mut data = written().create(&path).unwrap();
    write(&mut |bytes| data.write(bytes).unwrap());
    data.finish().unwrap();
    let whole = std::fs::read(&path).unwrap();

    let file = NewFile::create(disk.clone(), "m.gguf", ".m.gguf.part").unwrap();
    let mut data = written().write_into(file, &path).unwrap();
    write(&mut |bytes| data.write(bytes).unwrap());
    data.end().unwrap().0.publish().unwrap();
    let moments = std::mem::take(&mut disk.sim().moments);
    let old = before.get("m.gguf");
    let (mut nothing, mut broken) = (0, 0);
    for image in moments.iter().flat_map(|moment| moment.crashes()) {
        match image.get("m.gguf") {
            None => nothing += 1,
            found => broken += usize::from(found != old && found != Some(&whole)),
        }
    }
    (nothing, broken)
}

#[test]
fn a_crash_leaves_the_old_file_or_the_whole_new_one() {
    let before = Image::from([("m.gguf".into(), b"before".to_vec())]);
    assert_eq!(crashes(&before, false), (0, 0));
    let (nothing, broken) = crashes(&Image::new(), false);
    assert!(nothing > 0 && broken == 0, "{broken}");
    assert!(crashes(&before, true).1 > 0, "syncs that do nothing are not noticed");
}
