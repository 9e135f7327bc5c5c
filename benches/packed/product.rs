//! x (1 by 4096) · W (4096 by 16384), one thread: a packed matrix under ONNX Runtime against the same one in an f32 file.
//! Every weight that the runtime multiplies with is first checked to be what the blocks say.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use selvedge::kernel::dequantize_into;
use selvedge::pack::{Packing, Scheme, pack};
use selvedge::weights::WeightFile;
use selvedge::{Ask, Backend, Engine, Loading, Options, Tensor, Tensors};

use crate::craft::{field, input, int, model, node, noise, output};
use crate::memory::{Bars, compare};

pub(crate) const MODEL: &str = "product";
const K: usize = 4096;
const N: usize = 16384;

pub(crate) fn bench() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = f32_model(folder.path());
    let int4 = folder.path().join("int4");
    let int8 = folder.path().join("int8");
    for (path, scheme) in [(&int4, Scheme::Int4), (&int8, Scheme::Int8)] {
        let begun = Instant::now();
        let report = pack(&whole, path, &Packing::new(scheme), |_| {}).expect("packs");
        let (before, after) = (report.before >> 20, report.after >> 20);
        println!("packed in {:.2} s: {before} MiB f32, {after} MiB {}", begun.elapsed().as_secs_f64(), scheme.name());
    }
    let bars = |cosine, memory| Bars { cosine, memory };
    let packed = [(Scheme::Int4, int4.clone(), bars(0.99, 0.25)), (Scheme::Int8, int8.clone(), bars(0.9999, 0.40))];
    compare(MODEL, Backend::Ort, &whole, &packed);
    let engines = [&whole, &int4, &int8].map(|path| open(path));
    assert_blocks(&*engines[1], &int4);
    let x = Tensor::new(&[1, K], noise(K, 7)).expect("a row");
    let mut times = [(); 3].map(|()| Vec::new());
    for _ in 0..21 {
        for (engine, times) in engines.iter().zip(&mut times) {
            let begun = Instant::now();
            product(&**engine, x.clone());
            times.push(begun.elapsed().as_secs_f64());
        }
    }
    let [f32, int4, int8] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    println!("M=1, one thread: f32 {:.2} ms, int4 {:.2} ms, int8 {:.2} ms", f32 * 1e3, int4 * 1e3, int8 * 1e3);
    println!("RATIO packed_int4_vs_f32_file_m1 {:.2} >=4", f32 / int4);
    println!("RATIO packed_int8_vs_f32_file_m1 {:.2} >=1", f32 / int8);
}

/// What the memory's processes ask this model.
pub(crate) fn answer(engine: &dyn Engine) -> Vec<f32> {
    product(engine, Tensor::new(&[1, K], noise(K, 7)).expect("a row"))
}

fn open(model: &Path) -> Arc<dyn Engine> {
    selvedge::open(model, Options::new().backend(Backend::Ort).threads(1)).unwrap_or_else(|e| panic!("{e}"))
}

fn product(engine: &dyn Engine, x: Tensor) -> Vec<f32> {
    let answer = engine.run(Tensors::from([("x", x)])).unwrap_or_else(|e| panic!("{e}"));
    answer.output("y").and_then(|y| y.as_slice::<f32>()).map(<[f32]>::to_vec).unwrap_or_else(|e| panic!("{e}"))
}

/// Each row of x has a single 127, which is exact in the 8 bits that the runtime gives it: y is 127 times a row of W.
fn assert_blocks(engine: &dyn Engine, folder: &Path) {
    const ROWS: usize = 128;
    let file = WeightFile::open(folder.join("weights.gguf"), Loading::Mapped).expect("opens");
    let tensor = file.tensor("W").expect("is there");
    assert_eq!(tensor.shape()[..], [N, K]);
    let mut columns = vec![0.0f32; N * K];
    dequantize_into(tensor.format().expect("has kernels"), tensor.bytes(), &mut columns).expect("fits");
    for first in (0..K).step_by(ROWS) {
        let mut x = vec![0.0f32; ROWS * K];
        (0..ROWS).for_each(|i| x[i * K + first + i] = 127.0);
        let y = product(engine, Tensor::new(&[ROWS, K], x).expect("rows"));
        for (i, row) in y.chunks(N).enumerate() {
            let right = row.iter().enumerate().all(|(n, y)| *y == 127.0 * columns[n * K + first + i]);
            assert!(right, "row {} of W is not that of the blocks", first + i);
        }
    }
    println!("all {} weights are those of the blocks", N * K);
}

/// The model, with its weights in a file beside it.
fn f32_model(folder: &Path) -> PathBuf {
    let data = std::fs::File::create(folder.join("weights.bin")).expect("a file");
    let mut data = std::io::BufWriter::new(data);
    for w in noise(K * N, 1) {
        data.write_all(&(w * 0.05).to_le_bytes()).expect("room");
    }
    data.flush().expect("room");
    let path = folder.join("f32.onnx");
    let entry = |key: &str, value: &str| field(13, [field(1, key), field(2, value)].concat());
    let (k, n) = (K as i64, N as i64);
    let weight = [int(1, k), int(1, n), int(2, 1), field(8, "W"), entry("location", "weights.bin"), int(14, 1)];
    let graph = [
        node("MatMul", &["x", "W"], "y", &[]),
        field(5, weight.concat()),
        input("x", 1, &[0, k]),
        output("y", &[0, n]),
    ];
    std::fs::write(&path, model(&graph)).expect("room");
    path
}
