//! LSTM, GRU and RNN: what blocks give is what a model of their numbers gives.

use selvedge::pack::{Packing, Scheme};
use selvedge::{Backend, Tensor};

use crate::craft::{field, input, int, model, noise, output, weight};
use crate::{Packed, SCHEMES, apart, ask, backends, f32s, open, packed, stored};

const HIDDEN: usize = 32;
/// With a part of a block.
const WIDTH: usize = 40;
const LAYERS: [(&str, usize); 3] = [("LSTM", 4), ("GRU", 3), ("RNN", 1)];

#[derive(Clone, Copy)]
struct Layer {
    op: &'static str,
    gates: usize,
    ways: usize,
    size: f32,
}

impl Layer {
    fn rows(self) -> usize {
        self.ways * self.gates * HIDDEN
    }

    fn values(self) -> [Vec<f32>; 2] {
        let of = |seed, width| noise(self.rows() * width, seed).iter().map(|w| w * self.size).collect();
        [of(1, WIDTH), of(2, HIDDEN)]
    }

    /// Of these weights. Attributes: hidden_size, and the direction as text.
    fn model(self, w: &[f32], r: &[f32]) -> Vec<u8> {
        let (ways, rows) = (self.ways as i64, (self.gates * HIDDEN) as i64);
        let attribute =
            |name: &str, value: Vec<u8>, kind: i64| field(5, [field(1, name), value, int(20, kind)].concat());
        let direction = if self.ways == 2 { "bidirectional" } else { "forward" };
        let inputs = ["x", "W", "R", "B"].map(|name| field(1, name)).concat();
        let attributes =
            [attribute("hidden_size", int(3, HIDDEN as i64), 2), attribute("direction", field(4, direction), 3)]
                .concat();
        model(&[
            field(1, [inputs, field(2, "y"), field(3, "layer"), field(4, self.op), attributes].concat()),
            weight("W", &[ways, rows, WIDTH as i64], w),
            weight("R", &[ways, rows, HIDDEN as i64], r),
            weight("B", &[ways, 2 * rows], &noise(2 * self.rows(), 3)),
            input("x", 1, &[6, 2, WIDTH as i64]),
            output("y", &[6, ways, 2, HIDDEN as i64]),
        ])
    }

    fn ask(self, source: &std::path::Path, backend: Backend) -> Vec<f32> {
        let x = noise(6 * 2 * WIDTH, 7).iter().map(|x| x / self.size).collect();
        let answer = ask(&*open(source, backend), &[("x", Tensor::new(&[6, 2, WIDTH], x).unwrap())]);
        assert_eq!(answer.output("y").unwrap().shape()[..], [6, self.ways, 2, HIDDEN]);
        f32s(&answer, "y").to_vec()
    }

    fn of_blocks(self, packed: &Packed) -> Vec<u8> {
        self.model(&stored(packed, "W", WIDTH).concat(), &stored(packed, "R", HIDDEN).concat())
    }
}

#[test]
fn gates_are_those_of_the_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    for (op, gates) in LAYERS {
        for (ways, size) in [(1, 0.3), (2, 0.3), (1, 3e-9)] {
            let layer = Layer { op, gates, ways, size };
            let [w, r] = layer.values();
            for (scheme, backend) in SCHEMES.into_iter().flat_map(|s| backends().into_iter().map(move |b| (s, b))) {
                // Of the three it has LSTM, and a GRU that is not the one by default.
                if backend == Backend::Rten && op != "LSTM" {
                    continue;
                }
                let what = format!("{} {op} {ways} {size:e} {}", backend.name(), scheme.name());
                let packed = packed(layer.model(&w, &r), &Packing::new(scheme).mean_bits(4.5));
                let names: Vec<&str> = packed.report.packed.iter().map(|t| &*t.name).collect();
                assert_eq!(names, ["W", "R"], "{what}: {:?}", packed.report.kept);
                assert!(!packed.report.keeps_most(), "{what}");
                let got = layer.ask(&packed.path, backend);
                std::fs::write(&path, layer.of_blocks(&packed)).unwrap();
                let off = apart(&layer.ask(&path, backend), &got);
                assert!(off <= 1e-6, "{what}: off by {off}");
                std::fs::write(&path, layer.model(&w, &r)).unwrap();
                let off = apart(&layer.ask(&path, backend), &got);
                let most = if scheme == Scheme::Int4 { 0.25 } else { 0.03 };
                assert!(off > 0.0 && off <= most, "{what}: off by {off}");
            }
        }
    }
}
