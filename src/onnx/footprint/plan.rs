//! Which buffer each value of a run is in, and from when to when; then the run itself, in an arena.

use std::collections::HashMap;

use super::super::graph::{Graph, Node};
use super::arena::Arena;
use super::known::Known;
use super::layout;

/// A buffer that one value after another is in.
struct Buffer {
    bytes: u64,
    /// Reads that are to come; an output is never let go.
    reads: usize,
    is_output: bool,
    /// The step that takes it, and the one after which nobody reads it.
    first: usize,
    last: usize,
}

/// What a value has to be like to take the place of another: its dimensions and bytes.
type Form = (Vec<u64>, u64);

pub(super) struct Plan<'g, 'a> {
    graph: &'g Graph<'a>,
    known: &'g Known<'a>,
    buffers: Vec<Buffer>,
    /// The buffer of a value.
    of: HashMap<&'a str, usize>,
    /// Values in blocks of channels.
    blocked: HashMap<&'a str, bool>,
    /// Values of which there is a copy in the other form.
    copied: HashMap<&'a str, usize>,
    /// Buffers that nobody reads any more.
    free: HashMap<Form, Vec<usize>>,
    forms: Vec<Form>,
    steps: usize,
}

impl<'g, 'a> Plan<'g, 'a> {
    pub(super) fn new(graph: &'g Graph<'a>, known: &'g Known<'a>) -> Self {
        let mut plan = Self {
            graph,
            known,
            buffers: Vec::new(),
            of: HashMap::new(),
            blocked: HashMap::new(),
            copied: HashMap::new(),
            free: HashMap::new(),
            forms: Vec::new(),
            steps: 0,
        };
        let running = graph.nodes.iter().zip(&known.live).filter(|(_, live)| **live).map(|(node, _)| node);
        // What reads only constants runs first: it waits for nothing.
        let is_root = |node: &&Node<'_>| node.inputs.iter().all(|x| known.values.get(x).is_some_and(|v| v.constant));
        let (roots, rest): (Vec<_>, Vec<_>) = running.partition(is_root);
        roots.into_iter().chain(rest).for_each(|node| plan.step(node));
        plan
    }

    /// Bytes of the arena after a run. What a step no longer needs goes after the next one has what it needs.
    pub(super) fn run(self) -> u64 {
        let mut ends: Vec<Vec<usize>> = vec![Vec::new(); self.steps];
        let mut begins = ends.clone();
        for (i, buffer) in self.buffers.iter().enumerate() {
            begins[buffer.first].push(i);
            if buffer.reads == 0 && !buffer.is_output {
                ends[buffer.last].push(i);
            }
        }
        let (mut arena, mut places, mut leaving) = (Arena::new(), vec![None; self.buffers.len()], Vec::new());
        for (begins, ends) in begins.iter().zip(&ends) {
            for i in begins {
                places[*i] = Some(arena.take(self.buffers[*i].bytes));
            }
            if !begins.is_empty() {
                leaving.drain(..).filter_map(|i: usize| places[i].take()).for_each(|place| arena.give_back(place));
            }
            leaving.extend(ends);
        }
        arena.touched()
    }

    fn step(&mut self, node: &'g Node<'a>) {
        let blocked = self.known.is_blocked(node, |x| self.blocked.get(x).copied().unwrap_or(false));
        for x in &node.inputs {
            let as_it_is = node.op == "Conv" && !self.known.wants_blocks(node);
            if !as_it_is {
                self.convert(node, x, blocked);
            }
        }
        for (slot, name) in node.outputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            self.blocked.insert(name, blocked);
            self.output(node, slot, name, blocked);
        }
        for x in &node.inputs {
            if let Some(i) = self.of.get(x).copied() {
                self.read(i);
            }
        }
        for name in &node.outputs {
            if let Some(i) = self.of.get(name).copied().filter(|i| self.buffers[*i].reads == 0) {
                self.retire(i);
            }
        }
        self.steps += 1;
    }

    /// Copies an input into the form that a node computes in, once for all that do so.
    fn convert(&mut self, node: &Node<'_>, x: &'a str, blocks: bool) {
        let is = self.blocked.get(x).copied().unwrap_or(false);
        let is_map = self.known.values.dims(x).is_some_and(|dims| dims.len() == 4);
        let constant = self.known.values.get(x).is_none_or(|value| value.constant);
        if is == blocks
            || constant
            || !is_map
            || (blocks && node.inputs.first() != Some(&x))
            || self.copied.contains_key(x)
        {
            return;
        }
        let bytes = if blocks { self.known.blocked_bytes(x) } else { self.known.values.bytes(x) };
        let copy = self.take(Vec::new(), bytes, 1);
        self.copied.insert(x, copy);
        self.read(copy);
    }

    fn output(&mut self, node: &Node<'a>, slot: usize, name: &'a str, blocked: bool) {
        let (known, graph) = (self.known, self.graph);
        let is_output = graph.outputs.contains(name);
        let reads = known.readers(name).len() + usize::from(graph.inner.contains(name));
        let value = known.values.get(name);
        let mut bytes = if blocked { known.blocked_bytes(name) } else { known.values.bytes(name) };
        if known.takes_bytes(graph, node) && known.becomes_bytes(graph, name) {
            bytes /= 4;
        }
        let folded = |x: &str| known.values.get(x).is_some_and(|value| value.constant);
        if node.is("DequantizeLinear")
            && node.inputs.first().is_some_and(|x| folded(x))
            && known.is_read_as_bytes(graph, name)
        {
            bytes = 0;
        }
        let same = if slot == 0 { self.in_place(node, name, bytes, is_output) } else { None };
        let i = match same {
            Some(i) => {
                self.buffers[i].reads += reads;
                i
            }
            None => {
                let dims = value.and_then(|value| value.dims.clone()).unwrap_or_default();
                self.take(if is_output { Vec::new() } else { dims }, bytes, reads)
            }
        };
        self.buffers[i].is_output |= is_output;
        self.of.insert(name, i);
    }

    /// The buffer of an input that the output is computed in.
    fn in_place(&self, node: &Node<'_>, name: &str, bytes: u64, is_output: bool) -> Option<usize> {
        let (known, graph) = (self.known, self.graph);
        let x = *node.inputs.first()?;
        let views = matches!(node.op, "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity");
        let fused = match node.op {
            "DequantizeLinear" => known.is_read_as_bytes(graph, name),
            "QuantizeLinear" => {
                known.becomes_bytes(graph, x)
                    && known.maker(x).is_some_and(|at| {
                        known.takes_bytes(graph, &graph.nodes[at]) || layout::is_activation(&graph.nodes[at])
                    })
            }
            _ => false,
        };
        if views && !is_output || fused {
            return self.of.get(x).copied();
        }
        if !computes_in_place(node.op) {
            return None;
        }
        let last =
            |i: &usize| self.buffers[*i].reads == 1 && !self.buffers[*i].is_output && self.buffers[*i].bytes == bytes;
        node.inputs.iter().filter_map(|x| self.of.get(x).copied()).find(last)
    }

    /// A buffer of one that is free and of this form, else a new one.
    fn take(&mut self, dims: Vec<u64>, bytes: u64, reads: usize) -> usize {
        let form = (dims, bytes);
        if let Some(i) = self.free.get_mut(&form).filter(|_| !form.0.is_empty()).and_then(Vec::pop) {
            self.buffers[i].reads = reads;
            return i;
        }
        self.buffers.push(Buffer { bytes, reads, is_output: false, first: self.steps, last: self.steps });
        self.forms.push(form);
        self.buffers.len() - 1
    }

    fn read(&mut self, i: usize) {
        let buffer = &mut self.buffers[i];
        buffer.last = self.steps;
        buffer.reads = buffer.reads.saturating_sub(1);
        if buffer.reads == 0 {
            self.retire(i);
        }
    }

    fn retire(&mut self, i: usize) {
        let buffer = &mut self.buffers[i];
        buffer.last = self.steps;
        let free = self.free.entry(self.forms[i].clone()).or_default();
        if !buffer.is_output && free.last() != Some(&i) {
            free.push(i);
        }
    }
}

fn computes_in_place(op: &str) -> bool {
    const OPS: &[&str] = &[
        "Relu",
        "Clip",
        "Sigmoid",
        "Tanh",
        "LeakyRelu",
        "HardSigmoid",
        "Add",
        "Sub",
        "Mul",
        "Div",
        "BatchNormalization",
        "Sqrt",
        "Pow",
        "Exp",
        "Log",
        "Erf",
        "Neg",
        "Max",
        "Softmax",
        "LayerNormalization",
        "Where",
        "Cast",
        "Sum",
    ];
    OPS.contains(&op)
}
