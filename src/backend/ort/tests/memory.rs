//! What an engine holds after its runs, and what was estimated of it before it was loaded.

use std::path::PathBuf;
use std::process::Command;

use super::craft::{field, input, int, model, node, output};
use super::fixture::{data, inputs, open, options};
use crate::engine::{Dim, Kind};
use crate::onnx::{NewNode, inline_tensor};
use crate::source::trim_heap;
use crate::{Ask, Engine, Source, Tensor, Tensors};

/// Names the case in the process that measures.
const CASE: &str = "SELVEDGE_MEMORY_CASE";
/// Names the file of the case.
const FILE: &str = "SELVEDGE_MEMORY_FILE";

/// The part of the growth by which an estimate may be off, in percent.
const OFF: u64 = 15;

/// Bytes that the allocator keeps or a page rounds up, whatever the model.
const SLACK: u64 = 128 << 10;

/// Processes in which a model is measured until one holds what was estimated; none may hold more. The runtime's arena takes
/// parts of one size by their addresses, so that the runs of one model touch other pages in each process (basic-pitch: 8.1 MB in
/// two of five, 9.1 in the others).
const PROCESSES: usize = 16;

/// Models of the corpus. The others do not run with the sizes that an estimate takes where the file leaves them open: the
/// spectrogram of `livekit` and three of `silero` want longer sounds or a batch of one in the second dimension, the reader of
/// `ppocr` pictures of 48 rows.
const CORPUS: [&str; 13] = [
    "mobilenetv2/mobilenetv2-7.onnx",
    "minilm-onnx/all-MiniLM-L6-v2.onnx",
    "minilm-int8/model.onnx",
    "yunet/yunet.onnx",
    "basic-pitch/nmp.onnx",
    "ppocr/det.onnx",
    "ppocr/cls.onnx",
    "magika/model.onnx",
    "livekit/embedding.onnx",
    "silero/silero_vad_openvino_16k.onnx",
    "silero/silero_vad_16k_sequence.onnx",
    "extratrees/extratrees.onnx",
    "mnist-conv/model.onnx",
];

#[test]
fn models_of_the_corpus_are_estimated() {
    let Some(corpus) = std::env::var_os("SELVEDGE_CORPUS") else { return };
    let off = CORPUS.iter().filter_map(|model| {
        let path = PathBuf::from(&corpus).join(model);
        measure("models_of_the_corpus_are_estimated", model, || path.clone().into()).err()
    });
    let off: Vec<String> = off.collect();
    assert!(off.is_empty(), "{off:#?}");
}

type Make = fn() -> Vec<u8>;

#[test]
fn models_of_every_kind_are_estimated() {
    let kinds: [(&str, Make); 8] = [
        ("pictures", pictures),
        ("nested", nested),
        ("products", products),
        ("quantized", quantized),
        ("quantized pictures", || quantized_pictures(0)),
        ("activations in floats", || quantized_pictures(128)),
        ("dequantized", dequantized),
        ("sentences", sentences),
    ];
    let folder = tempfile::tempdir().unwrap();
    let is_child = std::env::var_os(CASE).is_some();
    let off = kinds.iter().filter_map(|(kind, make)| {
        // Made by the parent: what making it takes is not there where it is measured.
        let path = std::env::var_os(FILE).map_or_else(|| folder.path().join(kind), PathBuf::from);
        if !is_child {
            std::fs::write(&path, make()).unwrap();
        }
        let file = || Source::from(path.clone());
        measure("models_of_every_kind_are_estimated", kind, file).err()
    });
    let off: Vec<String> = off.collect();
    assert!(off.is_empty(), "{off:#?}");
}

/// The bytes of the file are not among what an engine holds, wherever they came from.
#[test]
fn bytes_of_the_app_are_let_go() {
    measure("bytes_of_the_app_are_let_go", "bytes", || quantized().into()).unwrap();
}

/// Opens and runs a model in a process of its own, where nothing else allocates; tells an estimate that is off.
fn measure(test: &str, case: &str, source: impl Fn() -> Source) -> Result<(), String> {
    if !cfg!(target_os = "linux") || options().is_none() {
        return Ok(());
    }
    if let Some(wanted) = std::env::var_os(CASE) {
        if wanted == case {
            child(source());
        }
        return Ok(());
    }
    let path = if let Source::Path(path) = source() { Some(path) } else { None };
    let mut most = 0;
    for _ in 0..PROCESSES {
        let (said, grew) = in_a_process(test, case, path.as_ref());
        most = most.max(grew);
        let near = said.abs_diff(grew) <= grew * OFF / 100 + SLACK;
        if near {
            return Ok(());
        }
        if said < grew {
            return Err(format!("{case}: said {said}, grew {grew}"));
        }
    }
    Err(format!("{case}: less than was said in each of {PROCESSES} processes, at most {most}"))
}

/// What was estimated of a case and what a process of its own held of it, in bytes.
fn in_a_process(test: &str, case: &str, path: Option<&PathBuf>) -> (u64, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    // What is held is measured, not the holes that glibc keeps between: ONNX Runtime walks tables hashed by address while it
    // loads, so that they are others in each process (silero: 0.1 to 2.2 MB).
    child.env("MALLOC_MMAP_THRESHOLD_", "16384");
    let test = format!("backend::ort::tests::memory::{test}");
    if let Some(path) = path {
        child.env(FILE, path);
    }
    let out = child.args([&*test, "--exact", "--nocapture"]).env(CASE, case).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{case}: {text}{}", String::from_utf8_lossy(&out.stderr));
    let line = text.lines().find_map(|line| line.split_once("measured ")).expect("a measure").1;
    let numbers: Vec<u64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
    let [said, grew] = numbers[..] else { panic!("{line}") };
    println!("{case}: said {said}, grew {grew}");
    (said, grew)
}

fn child(source: Source) {
    // The library, its environment and its threads are there once for all models.
    let first = open(data("linear.onnx")).unwrap().unwrap();
    first.run(inputs("linear.onnx")).unwrap();
    let given = if let Source::Bytes(bytes) = &source { bytes.as_slice().len() as u64 } else { 0 };
    trim_heap();
    let before = resident() - given;
    let engine = crate::open(source, options().unwrap().threads(1)).unwrap();
    let loaded = resident().saturating_sub(before);
    let asked = zeros(&*engine);
    // The inputs are the app's.
    let given = resident();
    for _ in 0..3 {
        drop(engine.run(asked.clone()).unwrap());
    }
    let memory = engine.spec().memory;
    println!("{memory:?}, loaded {loaded}");
    println!("measured {} {}", memory.total(), loaded + resident().saturating_sub(given));
}

/// Bytes of memory that are this process's own and in use.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Inputs as long as the estimate takes them to be where the model leaves it open.
fn zeros(engine: &dyn Engine) -> Tensors {
    let of = |port: &crate::Port| {
        let Kind::Tensor { dtype, shape: Some(dims) } = &port.kind else { panic!("{port}") };
        let open = |i: usize| {
            if i == 0 {
                1
            } else if dims.len() > 3 {
                224
            } else {
                128
            }
        };
        let size = |(i, dim): (usize, &Dim)| if let Dim::Fixed(n) = dim { *n } else { open(i) };
        let dims: Vec<usize> = dims.iter().enumerate().map(size).collect();
        (port.name.clone(), Tensor::zeros(*dtype, &dims).unwrap())
    };
    Tensors::new(engine.spec().inputs.iter().map(of))
}

/// A graph that is written node by node.
#[derive(Default)]
struct Sketch {
    graph: Vec<u8>,
    names: usize,
    random: u32,
}

impl Sketch {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    fn put(&mut self, op: &str, inputs: &[&str], ints: &[(&str, i64)], lists: &[(&str, &[i64])]) -> String {
        let output = self.name();
        NewNode { op, inputs, output: &output, ints, lists, ..NewNode::default() }.put(&mut self.graph);
        output
    }

    fn weights(&mut self, element: i64, dims: &[i64], data: &[u8]) -> String {
        let name = self.name();
        self.graph.extend(field(5, inline_tensor(&name, element, dims, data)));
        name
    }

    fn bytes(&mut self, rows: usize, columns: usize) -> String {
        let data = self.noise(rows * columns);
        self.weights(3, &[rows as i64, columns as i64], &data)
    }

    /// Bytes that are no others: the runtime keeps weights that are the same once.
    fn noise(&mut self, count: usize) -> Vec<u8> {
        let mut next = || {
            self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.random >> 24) as u8
        };
        (0..count).map(|_| next()).collect()
    }

    fn scale(&mut self) -> String {
        self.weights(1, &[], &0.01f32.to_le_bytes())
    }

    /// A convolution of 3 by 3 and an activation.
    fn conv(&mut self, x: &str, from: usize, to: usize) -> String {
        let data = self.noise(to * from * 9);
        let data: Vec<u8> = data.iter().flat_map(|n| (f32::from(*n) * 1e-4).to_le_bytes()).collect();
        let w = self.weights(1, &[to as i64, from as i64, 3, 3], &data);
        let y = self.put("Conv", &[x, &w], &[], &[("kernel_shape", &[3, 3]), ("pads", &[1; 4])]);
        self.put("Relu", &[&y], &[], &[])
    }

    fn quantize(&mut self, x: &str) -> String {
        self.quantize_at(x, 0)
    }

    fn quantize_at(&mut self, x: &str, zero: u8) -> String {
        let (scale, zero) = (self.scale(), self.weights(2, &[], &[zero]));
        let q = self.put("QuantizeLinear", &[x, &scale, &zero], &[], &[]);
        self.put("DequantizeLinear", &[&q, &scale, &zero], &[], &[])
    }

    fn dequantized(&mut self, rows: usize, columns: usize) -> String {
        let (w, scale, zero) = (self.bytes(rows, columns), self.scale(), self.weights(3, &[], &[0]));
        self.put("DequantizeLinear", &[&w, &scale, &zero], &[], &[])
    }

    fn pool(&mut self, x: &str) -> String {
        self.put("MaxPool", &[x], &[], &[("kernel_shape", &[2, 2]), ("strides", &[2, 2])])
    }

    /// Enlarges a map: by its neighbours' mean, or by the nearest.
    fn resize(&mut self, x: &str, channels: usize, side: i64, mode: &str) -> String {
        let sizes: Vec<u8> = [1, channels as i64, side, side].iter().flat_map(|n| n.to_le_bytes()).collect();
        let (sizes, output) = (self.weights(7, &[4], &sizes), self.name());
        let mode = [field(1, "mode"), field(4, mode), int(20, 3)].concat();
        self.graph.extend(node("Resize", &[x, "", "", &sizes], &[&output], &[mode]));
        output
    }

    /// A small encoder and decoder, added to what it began with.
    fn nest(&mut self, x: &str, from: usize, depth: usize, side: i64) -> String {
        let first = self.conv(x, from, 64);
        let mut scales = vec![self.conv(&first, 64, 16)];
        for _ in 1..depth {
            let x = self.pool(&scales[scales.len() - 1]);
            scales.push(self.conv(&x, 16, 16));
        }
        let mut x = self.conv(&scales[depth - 1], 16, 16);
        for (i, scale) in scales.iter().enumerate().rev() {
            x = self.put("Concat", &[&x, scale], &[("axis", 1)], &[]);
            x = self.conv(&x, 32, if i == 0 { 64 } else { 16 });
            if i > 0 {
                x = self.resize(&x, 16, side >> (i - 1), "linear");
            }
        }
        self.put("Add", &[&x, &first], &[], &[])
    }

    /// A convolution of dequantized weights, an activation, and what quantizes it.
    fn quantized_conv(&mut self, x: &str, [from, to, kernel, stride]: [i64; 4], group: i64, zero: u8) -> String {
        let data = self.noise((to * from / group * kernel * kernel) as usize);
        let (w, scale) = (self.weights(3, &[to, from / group, kernel, kernel], &data), self.scale());
        let zeros = self.weights(3, &[], &[0]);
        let w = self.put("DequantizeLinear", &[&w, &scale, &zeros], &[], &[]);
        let lists: [(&str, &[i64]); 3] =
            [("kernel_shape", &[kernel; 2]), ("pads", &[kernel / 2; 4]), ("strides", &[stride; 2])];
        let y = self.put("Conv", &[x, &w], &[("group", group)], &lists);
        let y = self.put("Relu", &[&y], &[], &[]);
        self.quantize_at(&y, zero)
    }

    fn floats(&mut self, dims: &[i64]) -> String {
        let data = self.noise(dims.iter().product::<i64>() as usize);
        let data: Vec<u8> = data.iter().flat_map(|n| ((f32::from(*n) - 127.0) * 1e-3).to_le_bytes()).collect();
        self.weights(1, dims, &data)
    }

    /// A product with a bias.
    fn linear(&mut self, x: &str, from: i64, to: i64) -> String {
        let (w, bias) = (self.floats(&[from, to]), self.floats(&[to]));
        let y = self.put("MatMul", &[x, &w], &[], &[]);
        self.put("Add", &[&y, &bias], &[], &[])
    }

    fn reshape(&mut self, x: &str, to: &[i64]) -> String {
        let data: Vec<u8> = to.iter().flat_map(|n| n.to_le_bytes()).collect();
        let to = self.weights(7, &[to.len() as i64], &data);
        self.put("Reshape", &[x, &to], &[], &[])
    }

    /// An operator with one number.
    fn by(&mut self, op: &str, x: &str, number: f32) -> String {
        let number = self.weights(1, &[], &number.to_le_bytes());
        self.put(op, &[x, &number], &[], &[])
    }

    fn add_and_norm(&mut self, x: &str, y: &str, wide: i64) -> String {
        let sum = self.put("Add", &[x, y], &[], &[]);
        let (scale, bias) = (self.floats(&[wide]), self.floats(&[wide]));
        self.put("LayerNormalization", &[&sum, &scale, &bias], &[], &[])
    }

    /// Attention of 4 heads, and two layers with an error unit between them, as exporters write it.
    fn block(&mut self, x: &str, wide: i64) -> String {
        let [q, k, v] = [0, 1, 2].map(|_| {
            let y = self.linear(x, wide, wide);
            let y = self.reshape(&y, &[0, 0, 4, wide / 4]);
            self.put("Transpose", &[&y], &[], &[("perm", &[0, 2, 1, 3])])
        });
        let k = self.put("Transpose", &[&k], &[], &[("perm", &[0, 1, 3, 2])]);
        let scores = self.put("MatMul", &[&q, &k], &[], &[]);
        let scores = self.by("Div", &scores, 8.0);
        let weights = self.put("Softmax", &[&scores], &[("axis", -1)], &[]);
        let y = self.put("MatMul", &[&weights, &v], &[], &[]);
        let y = self.put("Transpose", &[&y], &[], &[("perm", &[0, 2, 1, 3])]);
        let y = self.reshape(&y, &[0, 0, wide]);
        let y = self.linear(&y, wide, wide);
        let x = self.add_and_norm(&y, x, wide);
        let y = self.linear(&x, wide, 4 * wide);
        let error = self.by("Div", &y, std::f32::consts::SQRT_2);
        let error = self.put("Erf", &[&error], &[], &[]);
        let error = self.by("Add", &error, 1.0);
        let y = self.put("Mul", &[&y, &error], &[], &[]);
        let y = self.by("Mul", &y, 0.5);
        let y = self.linear(&y, 4 * wide, wide);
        self.add_and_norm(&y, &x, wide)
    }

    fn finish(self, x: &[u64], last: &str, y: &[u64]) -> Vec<u8> {
        model(&[self.graph, input("x", x), output(last, y)])
    }
}

/// An encoder of 320 by 320 pixels and a decoder that reads each of its scales.
fn pictures() -> Vec<u8> {
    let mut s = Sketch::default();
    let (mut x, mut channels, mut side) = (String::from("x"), 3, 320i64);
    let mut scales = Vec::new();
    for to in [32, 64, 64, 64] {
        x = s.conv(&x, channels, to);
        x = s.conv(&x, to, to);
        scales.push((x.clone(), to, side));
        x = s.pool(&x);
        (channels, side) = (to, side / 2);
    }
    for (skip, to, side) in scales.into_iter().rev() {
        x = s.resize(&x, channels, side, "nearest");
        x = s.put("Concat", &[&x, &skip], &[("axis", 1)], &[]);
        x = s.conv(&x, channels + to, to);
        channels = to;
    }
    x = s.conv(&x, channels, 1);
    s.finish(&[1, 3, 320, 320], &x, &[1, 1, 320, 320])
}

/// Encoders and decoders within an encoder and decoder of 320 by 320 pixels, as models have it that cut out what is in front.
fn nested() -> Vec<u8> {
    let mut s = Sketch::default();
    let (mut x, mut from, mut side) = (String::from("x"), 3, 320i64);
    let mut scales = Vec::new();
    for depth in [6, 5, 4, 3] {
        x = s.nest(&x, from, depth, side);
        scales.push((x.clone(), depth, side));
        from = 64;
        if depth > 3 {
            x = s.pool(&x);
            side /= 2;
        }
    }
    for (scale, depth, side) in scales.into_iter().rev().skip(1) {
        x = s.resize(&x, 64, side, "linear");
        x = s.put("Concat", &[&x, &scale], &[("axis", 1)], &[]);
        x = s.nest(&x, 128, depth, side);
    }
    x = s.conv(&x, 64, 1);
    s.finish(&[1, 3, 320, 320], &x, &[1, 1, 320, 320])
}

/// Convolutions by channel and across them, between a quantization and the next; those of a file in which the activation is
/// not part of the quantization are computed in floats.
fn quantized_pictures(zero: u8) -> Vec<u8> {
    let mut s = Sketch::default();
    let mut x = s.quantize("x");
    x = s.quantized_conv(&x, [3, 32, 3, 2], 1, zero);
    let mut from = 32;
    for (to, stride) in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (1024, 2)] {
        x = s.quantized_conv(&x, [from, from, 3, stride], from, zero);
        x = s.quantized_conv(&x, [from, to, 1, 1], 1, zero);
        from = to;
    }
    s.finish(&[1, 3, 224, 224], &x, &[1, 1024, 7, 7])
}

/// A layer of 8-bit weights, of inputs that are quantized in each run.
fn products() -> Vec<u8> {
    let mut s = Sketch::default();
    let mut x = String::from("x");
    for _ in 0..6 {
        for (rows, columns) in [(512, 2048), (2048, 512)] {
            let (q, scale, zero) = (s.name(), s.name(), s.name());
            s.graph.extend(node("DynamicQuantizeLinear", &[&x], &[&q, &scale, &zero], &[]));
            let w = s.bytes(rows, columns);
            let y = s.put("MatMulInteger", &[&q, &w, &zero], &[], &[]);
            let y = s.put("Cast", &[&y], &[("to", 1)], &[]);
            let own = s.scale();
            let both = s.put("Mul", &[&scale, &own], &[], &[]);
            x = s.put("Mul", &[&y, &both], &[], &[]);
        }
    }
    s.finish(&[1, 64, 512], &x, &[1, 64, 512])
}

/// Products between a quantization and the next.
fn quantized() -> Vec<u8> {
    let mut s = Sketch::default();
    let mut x = s.quantize("x");
    for _ in 0..8 {
        let w = s.dequantized(1024, 1024);
        let y = s.put("MatMul", &[&x, &w], &[], &[]);
        x = s.quantize(&y);
    }
    s.finish(&[1, 64, 1024], &x, &[1, 64, 1024])
}

/// Products of floats by weights that are kept in 8 bits.
fn dequantized() -> Vec<u8> {
    let mut s = Sketch::default();
    let mut x = String::from("x");
    for _ in 0..6 {
        let w = s.dequantized(1024, 1024);
        x = s.put("MatMul", &[&x, &w], &[], &[]);
    }
    s.finish(&[1, 16, 1024], &x, &[1, 16, 1024])
}

/// An encoder of 512 words.
fn sentences() -> Vec<u8> {
    let mut s = Sketch::default();
    let mut x = String::from("x");
    for _ in 0..4 {
        x = s.block(&x, 256);
    }
    s.finish(&[1, 512, 256], &x, &[1, 512, 256])
}
