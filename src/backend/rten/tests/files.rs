//! Weights in files beside the model.

use super::craft::{self, F32, node, port};
use super::{ask, f32s, options};
use crate::Loading;
use crate::onnx::external_tensor;

#[test]
fn weights_lie_where_they_like_in_files_of_any_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let data = craft::le(&[1.0f32, 2.0, 3.0, 4.0], f32::to_le_bytes);
    for (case, (name, offset)) in [("w.bin", 0), ("sub/weights", 4096), ("odd.safetensors", 1)].into_iter().enumerate()
    {
        std::fs::write(folder.path().join(name), [&vec![0xA5; offset], &*data].concat()).unwrap();
        let begin = offset.to_string();
        let mut entries = vec![("location", name)];
        if offset > 0 {
            entries.push(("offset", &*begin));
        }
        let weight = external_tensor("w", F32, &[4], &entries);
        let ports = (port("x", F32, &[4]), port("y", F32, &[4]));
        let model = craft::model(&[node("Mul", &["x", "w"], "y")], &[weight], &[ports.0], &[ports.1]);
        let path = folder.path().join(format!("{case}.onnx"));
        std::fs::write(&path, model).unwrap();
        for loading in [Loading::Mapped, Loading::Read] {
            let engine = crate::open(&*path, options().loading(loading)).unwrap_or_else(|e| panic!("{name}: {e:#}"));
            let got = ask(&*engine, [("x", f32s(&[4], &[1.0, 10.0, 100.0, 1000.0]))]).unwrap();
            assert_eq!(got, f32s(&[4], &[1.0, 20.0, 300.0, 4000.0]), "{name}");
        }
    }
}
