//! The graph of a packed model for one runtime: its block tensors as inputs of operators that read blocks, or as
//! floats where the runtime has none.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::blocks::Blocks;
use super::form::{ARENA, BLOCK, Form, Piece, Runtime};
use crate::kernel::BlockFormat;
use crate::onnx::{Edit, FLOAT, FLOAT16, Graph, NewNode, Node, external_tensor, unique};
use crate::tensor::Bytes;
use crate::{Error, Result};

/// `TensorProto.DataType` of integers.
const UINT8: i64 = 2;
const INT32: i64 = 6;
/// `accuracy_level` of `MatMulNBits`: the activations stay in f32, or are quantized to 8 bits.
const FLOATS: i64 = 1;
const BYTES: i64 = 4;

/// What the graph of a runtime needs of the blocks.
pub(super) struct Rewritten {
    pub bytes: Vec<u8>,
    /// By where they begin in the arena.
    pub pieces: BTreeMap<u64, Piece>,
    /// Bytes of the arena.
    pub len: u64,
}

/// Rewrites `model`, whose graph is `graph` and whose block tensors are `tensors`.
pub(super) fn rewrite(model: &[u8], graph: &Graph<'_>, tensors: &[Blocks<'_>], runtime: Runtime) -> Result<Rewritten> {
    let mut readers: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        for (slot, input) in node.inputs.iter().enumerate() {
            readers.entry(*input).or_default().push((i, slot));
        }
    }
    let mut rewrite = Rewrite {
        graph,
        runtime,
        edit: Edit { opset: Some(("com.microsoft", 1)), ..Edit::default() },
        names: graph.names(),
        pieces: BTreeMap::new(),
        len: 0,
    };
    for (i, blocks) in tensors.iter().enumerate() {
        rewrite.tensor(i, blocks, readers.get(blocks.name).map_or(&[], Vec::as_slice))?;
    }
    let bytes = rewrite.edit.apply(model)?;
    Ok(Rewritten { bytes, pieces: rewrite.pieces, len: rewrite.len })
}

struct Rewrite<'a> {
    graph: &'a Graph<'a>,
    runtime: Runtime,
    edit: Edit<'a>,
    names: BTreeSet<String>,
    pieces: BTreeMap<u64, Piece>,
    len: u64,
}

impl<'a> Rewrite<'a> {
    fn tensor(&mut self, index: usize, blocks: &Blocks<'a>, readers: &[(usize, usize)]) -> Result<()> {
        let graph = self.graph;
        self.edit.without.insert(blocks.name);
        // Made when the first node asks for them.
        let (mut matrix, mut table, mut rows, mut as_floats) = (None, None, None, graph.inner.contains(blocks.name));
        for &(i, slot) in readers {
            let node = &graph.nodes[i];
            match self.operator(node, slot, blocks) {
                Operator::MatMul => {
                    let names = match matrix.take() {
                        Some(names) => names,
                        None => self.matrix(index, blocks)?,
                    };
                    self.edit.nodes.insert(i, mat_mul(node, blocks, &names, self.accuracy(), &mut self.names));
                    matrix = Some(names);
                }
                Operator::Gather => {
                    let names = match table.take() {
                        Some(names) => names,
                        None => self.table(index, blocks)?,
                    };
                    let rows = match self.runtime {
                        Runtime::Ort => Some(self.rows(index, blocks, &mut rows)?),
                        Runtime::Rten | Runtime::Tract => None,
                    };
                    self.edit.nodes.insert(i, gather(node, blocks, &names, rows.as_deref(), &mut self.names));
                    table = Some(names);
                }
                Operator::Same => as_floats = true,
            }
        }
        if as_floats || readers.is_empty() { self.floats(index, blocks) } else { Ok(()) }
    }

    /// The operator that takes a node's place and reads the blocks.
    fn operator(&self, node: &Node<'_>, slot: usize, blocks: &Blocks<'_>) -> Operator {
        // rten and tract have 4-bit operators only, tract with scales in f16; a matrix with a part of a block is floats to both.
        let is_nibbles = blocks.format == BlockFormat::Q4_0 && blocks.columns.is_multiple_of(BLOCK);
        let (here, has_tables) = match self.runtime {
            Runtime::Ort => (true, true),
            Runtime::Rten => (is_nibbles, false),
            Runtime::Tract => (is_nibbles && blocks.exponent == 0, true),
        };
        let is_matrix = blocks.dims.len() == 2;
        let plain = || node.float("alpha", 1.0) == 1.0 && node.float("beta", 1.0) == 1.0 && node.int("transA", 0) == 0;
        // Reading `x · W`, or the transposed of it.
        let fits = |transposed: bool| is_matrix && blocks.is_transposed() != transposed;
        let complete = match node.op {
            "Gemm" => matches!(node.inputs.len(), 2 | 3),
            _ => node.inputs.len() == 2,
        };
        match (node.op, slot) {
            _ if !here || !node.domain.is_empty() || !complete || node.outputs.len() != 1 => Operator::Same,
            ("MatMul", 1) if fits(false) => Operator::MatMul,
            ("Gemm", 1) if plain() && fits(node.int("transB", 0) != 0) => Operator::MatMul,
            ("Gather", 0) if has_tables && fits(true) && node.int("axis", 0) == 0 && blocks.is_table() => {
                Operator::Gather
            }
            _ => Operator::Same,
        }
    }

    /// What the activations of `MatMulNBits` may be quantized to: 8 bits per block, for which alone ONNX Runtime has fast
    /// kernels. rten does so for one row and not for more, so that an answer would hang on what is asked beside it.
    fn accuracy(&self) -> i64 {
        if self.runtime == Runtime::Rten { FLOATS } else { BYTES }
    }

    /// Initializers of `MatMulNBits`: `[rows, blocks, bytes of a block]`, and the scales.
    fn matrix(&mut self, index: usize, blocks: &Blocks<'_>) -> Result<[String; 2]> {
        let row = blocks.row_blocks() * blocks.quant_bytes();
        let dims = [blocks.rows, blocks.row_blocks(), blocks.quant_bytes()];
        self.quants(index, blocks, &dims, row)
    }

    /// Initializers of `GatherBlockQuantized`: `[rows, bytes of a row]`, and the scales.
    fn table(&mut self, index: usize, blocks: &Blocks<'_>) -> Result<[String; 2]> {
        let row = blocks.columns * blocks.bits() / 8;
        self.quants(index, blocks, &[blocks.rows, row], row)
    }

    /// The numbers of the rows, to pick from before the rows themselves: `GatherBlockQuantized` of ONNX Runtime gives
    /// zeros for a row that is not there, where `Gather` says so.
    fn rows(&mut self, index: usize, blocks: &Blocks<'_>, known: &mut Option<String>) -> Result<String> {
        if let Some(name) = known {
            return Ok(name.clone());
        }
        let name = self.initializer(&format!("{}.rows", blocks.name), index, Form::Numbers, INT32, &[blocks.rows])?;
        Ok(known.insert(name).clone())
    }

    fn quants(&mut self, index: usize, blocks: &Blocks<'_>, dims: &[u64], row: u64) -> Result<[String; 2]> {
        let scales = [blocks.rows, blocks.row_blocks()];
        let quants = self.initializer(&format!("{}.quants", blocks.name), index, Form::Quants { row }, UINT8, dims)?;
        let scales = self.initializer(&format!("{}.scales", blocks.name), index, Form::Scales, FLOAT, &scales)?;
        Ok([quants, scales])
    }

    /// The tensor itself, as floats.
    fn floats(&mut self, index: usize, blocks: &Blocks<'_>) -> Result<()> {
        let wide = blocks.is_half.then(|| unique(&mut self.names, &format!("{}.f32", blocks.name)));
        let name = wide.as_deref().unwrap_or(blocks.name);
        if blocks.is_transposed() {
            let dims = [blocks.rows, blocks.columns];
            let stored = self.initializer(&format!("{}.rows", blocks.name), index, Form::Floats, FLOAT, &dims)?;
            let transposed = unique(&mut self.names, &format!("{}.transposed", blocks.name));
            let (inputs, lists) = (&[&*stored], &[("perm", &[1, 0][..])]);
            NewNode { op: "Transpose", name: &transposed, inputs, output: name, lists, ..NewNode::default() }
                .put(&mut self.edit.first);
        } else {
            self.add(name, index, Form::Floats, FLOAT, &blocks.dims)?;
        }
        if blocks.is_half {
            cast(&mut self.edit.first, &mut self.names, name, blocks.name, FLOAT16);
        }
        Ok(())
    }

    fn initializer(&mut self, like: &str, index: usize, form: Form, element: i64, dims: &[u64]) -> Result<String> {
        let name = unique(&mut self.names, like);
        self.add(&name, index, form, element, dims)?;
        Ok(name)
    }

    fn add(&mut self, name: &str, tensor: usize, form: Form, element: i64, dims: &[u64]) -> Result<()> {
        let size = if element == UINT8 { 1 } else { 4 };
        let len = dims.iter().try_fold(size, |n: u64, d| n.checked_mul(*d));
        let begin = self.len.checked_next_multiple_of(Bytes::ALIGN as u64);
        let (Some(len), Some(begin)) = (len, begin) else {
            return Err(Error::corrupt(format!("tensor '{name}': {dims:?} exceeds the address space")));
        };
        // The same bytes serve every node that wants them in this form.
        let known = self.pieces.iter().find(|(_, p)| p.tensor == tensor && p.form == form && p.len == len);
        let begin = match known {
            Some((begin, _)) => *begin,
            None => {
                self.len = begin.checked_add(len).ok_or_else(|| Error::corrupt("packed model: its size overflows"))?;
                self.pieces.insert(begin, Piece { tensor, form, len });
                begin
            }
        };
        let (offset, length) = (begin.to_string(), len.to_string());
        let entries = [("location", ARENA), ("offset", &*offset), ("length", &*length)];
        self.edit.initializers.push(external_tensor(name, element, dims, &entries));
        Ok(())
    }
}

enum Operator {
    /// `com.microsoft:MatMulNBits`.
    MatMul,
    /// `com.microsoft:GatherBlockQuantized`.
    Gather,
    /// The node stays, and reads floats.
    Same,
}

/// `MatMulNBits` in place of MatMul or Gemm.
///
/// In a graph of f16 it is between two casts: what ONNX Runtime computes in f16 on a CPU, it computes so itself.
fn mat_mul(
    node: &Node<'_>,
    blocks: &Blocks<'_>,
    names: &[String; 2],
    accuracy: i64,
    taken: &mut BTreeSet<String>,
) -> Vec<u8> {
    let (mut out, output) = (Vec::new(), node.outputs[0]);
    let bias = node.inputs.get(2).filter(|name| node.op == "Gemm" && !name.is_empty());
    let product = bias.map(|_| unique(taken, &format!("{output}.product")));
    let result = product.as_deref().unwrap_or(output);
    let wide = blocks.is_half.then(|| ["x.f32", "f32"].map(|what| unique(taken, &format!("{output}.{what}"))));
    if let Some([x, _]) = &wide {
        cast(&mut out, taken, node.inputs[0], x, FLOAT);
    }
    let nbits = NewNode {
        domain: "com.microsoft",
        op: "MatMulNBits",
        name: node.name,
        inputs: &[wide.as_ref().map_or(node.inputs[0], |[x, _]| x), &names[0], &names[1]],
        output: wide.as_ref().map_or(result, |[_, y]| y),
        ints: &[
            ("K", blocks.columns as i64),
            ("N", blocks.rows as i64),
            ("bits", blocks.bits() as i64),
            ("block_size", BLOCK as i64),
            ("accuracy_level", accuracy),
        ],
        ..NewNode::default()
    };
    nbits.put(&mut out);
    if let Some([_, y]) = &wide {
        cast(&mut out, taken, y, result, FLOAT16);
    }
    if let (Some(bias), Some(product)) = (bias, &product) {
        let name = unique(taken, &format!("{output}.biased"));
        let add = NewNode { op: "Add", name: &name, inputs: &[product, bias], output, ..NewNode::default() };
        add.put(&mut out);
    }
    out
}

fn gather(
    node: &Node<'_>,
    blocks: &Blocks<'_>,
    names: &[String; 2],
    rows: Option<&str>,
    taken: &mut BTreeSet<String>,
) -> Vec<u8> {
    let (mut out, mut ids) = (Vec::new(), node.inputs[1].to_string());
    if let Some(rows) = rows {
        let row = unique(taken, &format!("{}.row", node.outputs[0]));
        let pick = NewNode { op: "Gather", name: &row, inputs: &[rows, &ids], output: &row, ..NewNode::default() };
        pick.put(&mut out);
        ids = row;
    }
    let output = node.outputs[0];
    let wide = blocks.is_half.then(|| unique(taken, &format!("{output}.f32")));
    let gather = NewNode {
        domain: "com.microsoft",
        op: "GatherBlockQuantized",
        name: node.name,
        inputs: &[&names[0], &ids, &names[1]],
        output: wide.as_deref().unwrap_or(output),
        ints: &[("gather_axis", 0), ("quantize_axis", 1), ("bits", blocks.bits() as i64), ("block_size", BLOCK as i64)],
        ..NewNode::default()
    };
    gather.put(&mut out);
    if let Some(wide) = &wide {
        cast(&mut out, taken, wide, output, FLOAT16);
    }
    out
}

/// Appends a `Cast` to another element type.
fn cast(graph: &mut Vec<u8>, taken: &mut BTreeSet<String>, from: &str, to: &str, element: i64) {
    // Of a node without a name, some runtimes take its output's, which another node may have.
    let name = unique(taken, &format!("{to}.cast"));
    let ints = &[("to", element)];
    NewNode { op: "Cast", name: &name, inputs: &[from], output: to, ints, ..NewNode::default() }.put(graph);
}
