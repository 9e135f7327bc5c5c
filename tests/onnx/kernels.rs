//! The integer kernels against ONNX Runtime's own operators, bit for bit, on small graphs written here.

use selvedge::kernel::BlockFormat;
use selvedge::kernel::ints::{Ints, Linear, NBits, Order, Per, dequantize_linear_into};
use selvedge::{Ask, Backend, Options, Tensor, Tensors, open};

use crate::random::splitmix64;

/// Types of `TensorProto.DataType`.
const FLOAT: u64 = 1;
const UINT8: u64 = 2;
const INT8: u64 = 3;
const INT64: u64 = 7;
const UINT4: u64 = 21;
const INT4: u64 = 22;

#[test]
fn dequantize_linear() {
    let mut random = Random(1);
    for (ints, kind) in [(Ints::I8, INT8), (Ints::U8, UINT8), (Ints::I4, INT4), (Ints::U4, UINT4)] {
        for shape in [&[96][..], &[7, 33], &[5, 64], &[3, 4, 10]] {
            let mut ways = vec![(Per::Tensor, vec![])];
            for (axis, length) in shape.iter().enumerate() {
                ways.push((Per::Axis(axis), vec![("axis", axis)]));
                let blocks = [16, 32, 5].into_iter().filter(|size| size <= length);
                ways.extend(blocks.map(|size| (Per::Block { axis, size }, vec![("axis", axis), ("block_size", size)])));
            }
            for (per, attributes) in ways {
                for with_zero_points in [false, true] {
                    let scale_shape = match per {
                        Per::Tensor => vec![],
                        Per::Axis(axis) => vec![shape[axis]],
                        Per::Block { axis, size } => {
                            let mut dims = shape.to_vec();
                            dims[axis] = dims[axis].div_ceil(size);
                            dims
                        }
                        other => panic!("{other:?} is not tried"),
                    };
                    let (elements, count) = (shape.iter().product(), scale_shape.iter().product());
                    let data = random.bytes(ints.bytes(elements));
                    let scales = random.scales(count);
                    let mut zeros = random.bytes(ints.bytes(count));
                    if matches!(ints, Ints::I4 | Ints::U4) && count % 2 == 1 {
                        // What pads a half byte must be 0.
                        *zeros.last_mut().unwrap() &= 15;
                    }
                    let zero_points = with_zero_points.then_some(&zeros[..]);
                    let mut node = Node::new("DequantizeLinear", "", &attributes);
                    node.add("x", kind, shape, &data);
                    node.add("scale", FLOAT, &scale_shape, &floats(&scales));
                    if let Some(zeros) = zero_points {
                        node.add("zero", kind, &scale_shape, zeros);
                    }
                    let expected = node.run();
                    let mut out = vec![0.0; elements];
                    let how = Linear { per, scales: &scales, zero_points };
                    dequantize_linear_into(ints, &data, shape, &how, &mut out).unwrap();
                    same(&out, &expected, &format!("{} {shape:?} {per:?} {with_zero_points}", ints.name()));
                }
            }
        }
    }
}

/// The identity times a matrix is the matrix.
#[test]
fn matmul_nbits() {
    let mut random = Random(2);
    for bits in [4, 8] {
        for (block, rows, columns) in [(16, 3, 48), (32, 8, 64), (32, 5, 96), (128, 2, 256), (64, 4, 200)] {
            for with_zero_points in [false, true] {
                let shape = NBits::new(bits, block, rows, columns).unwrap();
                let (values, scales) = (random.bytes(shape.value_bytes()), random.scales(shape.scales()));
                let zeros = random.bytes(shape.zero_point_bytes());
                let zero_points = with_zero_points.then_some(&zeros[..]);
                let expected = matmul(&shape, bits, block, rows, columns, &values, &scales, zero_points);
                let mut out = vec![0.0; rows * columns];
                shape.dequantize_into(&values, &scales, zero_points, &mut out).unwrap();
                same(&out, &expected, &format!("{bits} bits, {rows} x {columns} by {block}, {with_zero_points}"));
            }
        }
    }
}

/// What ggml's blocks become gives ONNX Runtime the weights of ggml's blocks.
#[test]
fn repacked_blocks() {
    let mut random = Random(3);
    for (format, bits) in [(BlockFormat::Q4_0, 4), (BlockFormat::Q8_0, 8)] {
        let (rows, columns) = (6, 128);
        let weights: Vec<f32> = (0..rows * columns).map(|_| random.unit()).collect();
        let mut blocks = vec![0; format.bytes(weights.len()).unwrap()];
        selvedge::kernel::quantize_into(format, &weights, &mut blocks).unwrap();
        let mut expected = vec![0.0; weights.len()];
        selvedge::kernel::dequantize_into(format, &blocks, &mut expected).unwrap();
        let shape = NBits::new(bits, 32, rows, columns).unwrap();
        let (mut values, mut scales) = (vec![0; shape.value_bytes()], vec![0.0; shape.scales()]);
        shape.repack_into(format, &blocks, &mut values, &mut scales).unwrap();
        let out = matmul(&shape, bits, 32, rows, columns, &values, &scales, None);
        assert_eq!(out, expected, "{format}");
    }
}

#[test]
fn gather_block_quantized() {
    let mut random = Random(4);
    for bits in [4, 8] {
        let (block, rows, columns) = (32, 9, 96);
        let shape = NBits::new(bits, block, rows, columns).unwrap();
        let weights: Vec<f32> = (0..rows * columns).map(|_| random.unit()).collect();
        let (mut values, mut scales) = (vec![0; shape.value_bytes()], vec![0.0; shape.scales()]);
        shape.quantize_into(&weights, Order::Rows, &mut values, &mut scales, None).unwrap();
        let attributes = [("bits", bits), ("block_size", block), ("gather_axis", 0), ("quantize_axis", 1)];
        let mut node = Node::new("GatherBlockQuantized", "com.microsoft", &attributes);
        node.add("data", UINT8, &[rows, columns * bits / 8], &values);
        let all: Vec<u8> = (0..rows as i64).flat_map(i64::to_le_bytes).collect();
        node.add("indices", INT64, &[rows], &all);
        node.add("scales", FLOAT, &[rows, columns / block], &floats(&scales));
        let mut out = vec![0.0; rows * columns];
        shape.dequantize_into(&values, &scales, None, &mut out).unwrap();
        assert_eq!(node.run(), out, "{bits} bits");
    }
}

#[expect(clippy::too_many_arguments, reason = "the shape does not tell its parts")]
fn matmul(
    shape: &NBits,
    bits: usize,
    block: usize,
    rows: usize,
    columns: usize,
    values: &[u8],
    scales: &[f32],
    zero_points: Option<&[u8]>,
) -> Vec<f32> {
    let attributes = [("K", columns), ("N", rows), ("bits", bits), ("block_size", block)];
    let mut node = Node::new("MatMulNBits", "com.microsoft", &attributes);
    let identity: Vec<f32> = (0..columns * columns).map(|i| if i % (columns + 1) == 0 { 1.0 } else { 0.0 }).collect();
    let blocks = columns.div_ceil(block);
    node.add("a", FLOAT, &[columns, columns], &floats(&identity));
    node.add("b", UINT8, &[rows, blocks, block * bits / 8], values);
    node.add("scales", FLOAT, &[rows * blocks], &floats(scales));
    if let Some(zero_points) = zero_points {
        node.add("zero", UINT8, &[shape.zero_point_bytes()], zero_points);
    }
    // [K, N], to be turned.
    let product = node.run();
    (0..rows * columns).map(|i| product[i % columns * rows + i / columns]).collect()
}

fn same(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        // A product with the identity loses the sign of 0.
        assert!(g == e || g.to_bits() == e.to_bits(), "{what}: element {i}: expected {e}, got {g}");
    }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Numbers from a SplitMix64 sequence.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        splitmix64(&mut self.0)
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }

    /// Between -1 and 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn scales(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.unit() / 64.0).collect()
    }
}

// --- A graph of one operator, whose inputs are constants, in the wire format of onnx.proto3 -----------------------------

struct Node {
    message: Vec<u8>,
    initializers: Vec<Vec<u8>>,
    rank: usize,
}

impl Node {
    fn new(op: &str, domain: &str, attributes: &[(&str, usize)]) -> Self {
        let mut message = Vec::new();
        bytes(&mut message, 2, b"made");
        bytes(&mut message, 4, op.as_bytes());
        bytes(&mut message, 7, domain.as_bytes());
        for (name, value) in attributes {
            let mut attribute = Vec::new();
            bytes(&mut attribute, 1, name.as_bytes());
            number(&mut attribute, 3, *value as u64);
            number(&mut attribute, 20, 2);
            bytes(&mut message, 5, &attribute);
        }
        Self { message, initializers: Vec::new(), rank: 0 }
    }

    /// An input; the first one has as many axes as the output.
    fn add(&mut self, name: &str, kind: u64, shape: &[usize], data: &[u8]) {
        if self.initializers.is_empty() {
            self.rank = shape.len();
        }
        bytes(&mut self.message, 1, name.as_bytes());
        self.initializers.push(tensor(name, kind, shape, data));
    }

    /// What ONNX Runtime makes of it.
    fn run(&self) -> Vec<f32> {
        // A graph has an input: the result times 1.
        let mut times = Vec::new();
        bytes(&mut times, 1, b"made");
        bytes(&mut times, 1, b"one");
        bytes(&mut times, 2, b"y");
        bytes(&mut times, 4, b"Mul");
        let mut graph = Vec::new();
        bytes(&mut graph, 1, &self.message);
        bytes(&mut graph, 1, &times);
        bytes(&mut graph, 2, b"oracle");
        self.initializers.iter().for_each(|i| bytes(&mut graph, 5, i));
        bytes(&mut graph, 11, &port("one", 0));
        bytes(&mut graph, 12, &port("y", self.rank));
        let mut model = Vec::new();
        number(&mut model, 1, 10);
        bytes(&mut model, 7, &graph);
        for (domain, version) in [("", 21), ("com.microsoft", 1)] {
            let mut opset = Vec::new();
            bytes(&mut opset, 1, domain.as_bytes());
            number(&mut opset, 2, version);
            bytes(&mut model, 8, &opset);
        }
        // As written: where processors lack VNNI, ONNX Runtime makes `i8` into `u8` first, and a list of one zero point with it
        // into what it then refuses.
        let options = Options::new().backend(Backend::Ort).session_entry("session.disable_quant_qdq", "1");
        let engine = open(model, options).unwrap();
        let answer = engine.run(Tensors::from([("one", Tensor::scalar(1.0f32))])).unwrap();
        answer.output("y").unwrap().as_slice::<f32>().unwrap().to_vec()
    }
}

fn tensor(name: &str, kind: u64, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    shape.iter().for_each(|dim| number(&mut message, 1, *dim as u64));
    number(&mut message, 2, kind);
    bytes(&mut message, 8, name.as_bytes());
    bytes(&mut message, 9, data);
    message
}

/// A value of `f32` with axes of any length.
fn port(name: &str, rank: usize) -> Vec<u8> {
    let (mut shape, mut tensor, mut kind, mut message) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    (0..rank).for_each(|_| bytes(&mut shape, 1, &[]));
    number(&mut tensor, 1, FLOAT);
    bytes(&mut tensor, 2, &shape);
    bytes(&mut kind, 1, &tensor);
    bytes(&mut message, 1, name.as_bytes());
    bytes(&mut message, 2, &kind);
    message
}

fn number(message: &mut Vec<u8>, field: u64, value: u64) {
    varint(message, field << 3);
    varint(message, value);
}

fn bytes(message: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(message, field << 3 | 2);
    varint(message, value.len() as u64);
    message.extend_from_slice(value);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}
