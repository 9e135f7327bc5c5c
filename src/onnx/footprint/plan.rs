//! Which buffer each value of a run is in, and from when to when; then the run itself, in an arena.

use std::collections::HashMap;

use super::super::graph::{Graph, Node};
use super::arena::Arena;
use super::fused::Fused;
use super::known::Known;
use super::order::{Order, Step};

/// After so many runs an arena no longer grew where measured.
const RUNS: usize = 2;

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

/// What a value has to be like to take the place of another: its dimensions and bytes. `None` where a run alone tells.
type Form = Option<(Vec<u64>, u64)>;

pub(super) struct Plan<'g, 'a> {
    graph: &'g Graph<'a>,
    known: &'g Known<'a>,
    order: Order<'a>,
    fused: Fused<'a>,
    buffers: Vec<Buffer>,
    forms: Vec<Form>,
    /// The buffer of a value, by whether it is in blocks of channels.
    of: HashMap<(&'a str, bool), usize>,
    /// Buffers that nobody reads any more.
    free: HashMap<Form, Vec<usize>>,
    steps: usize,
}

impl<'g, 'a> Plan<'g, 'a> {
    pub(super) fn new(graph: &'g Graph<'a>, known: &'g Known<'a>) -> Self {
        let mut order = Order::new(graph, known);
        let steps = std::mem::take(&mut order.steps);
        let (buffers, forms, of, free) = (Vec::new(), Vec::new(), HashMap::new(), HashMap::new());
        let fused = Fused::new(graph, known);
        let mut plan = Self { graph, known, order, fused, buffers, forms, of, free, steps: 0 };
        for step in steps {
            match step {
                Step::Node(at) => plan.compute(&graph.nodes[at]),
                Step::Reorder { name, blocks } => plan.reorder(name, blocks),
            }
            plan.steps += 1;
        }
        plan
    }

    /// The arena after some runs: the chunks of the first lie otherwise than a later one finds them.
    pub(super) fn run(self) -> Arena {
        let mut ends: Vec<Vec<usize>> = vec![Vec::new(); self.steps];
        let mut begins = ends.clone();
        for (i, buffer) in self.buffers.iter().enumerate() {
            begins[buffer.first].push(i);
            if buffer.reads == 0 && !buffer.is_output {
                ends[buffer.last].push(i);
            }
        }
        let (mut arena, mut places) = (Arena::new(), vec![None; self.buffers.len()]);
        for _ in 0..RUNS {
            for (begins, ends) in begins.iter().zip(&ends) {
                for i in begins {
                    places[*i] = Some(arena.take(self.buffers[*i].bytes));
                }
                for i in ends {
                    if let Some(place) = places[*i].take() {
                        arena.give_back(place);
                    }
                }
            }
            // What is left are the outputs, which the app lets go.
            places.iter_mut().filter_map(Option::take).for_each(|place| arena.give_back(place));
        }
        arena
    }

    fn compute(&mut self, node: &Node<'a>) {
        let blocked = self.order.is_blocked(node);
        for (slot, name) in node.outputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            self.output(node, slot, name, blocked);
        }
        for bytes in self.known.temporary(self.graph, node) {
            self.take(None, bytes, 0);
        }
        for (slot, x) in node.inputs.iter().enumerate() {
            if let Some(i) = self.place(node, slot, x) {
                self.read(i);
            }
        }
        for name in &node.outputs {
            if let Some(i) = self.of.get(&(*name, blocked)).copied().filter(|i| self.buffers[*i].reads == 0) {
                self.retire(i);
            }
        }
    }

    /// The buffer that a node reads an input from.
    fn place(&self, node: &Node<'_>, slot: usize, x: &'a str) -> Option<usize> {
        self.of.get(&(x, self.order.wants_blocks(self.known, node, slot))).copied()
    }

    fn reorder(&mut self, name: &'a str, blocks: bool) {
        let (bytes, dims) = self.size(name, blocks);
        let is_output = !blocks && self.graph.outputs.contains(name);
        let copy = self.take(dims.filter(|_| !is_output), bytes, self.order.reads(name, blocks));
        self.buffers[copy].is_output |= is_output;
        if let Some(i) = self.of.get(&(name, !blocks)).copied() {
            self.read(i);
        }
        self.of.insert((name, blocks), copy);
    }

    /// Bytes of a value, and its shape where that is known before a run.
    fn size(&self, name: &str, blocks: bool) -> (u64, Option<Vec<u64>>) {
        let form = self.known.form(name);
        if blocks { (self.known.blocked_bytes(name), form) } else { (self.known.values.bytes(name), form) }
    }

    fn output(&mut self, node: &Node<'a>, slot: usize, name: &'a str, blocked: bool) {
        let (known, graph) = (self.known, self.graph);
        let other = usize::from(self.order.reads(name, !blocked) > 0);
        let is_output = !blocked && graph.outputs.contains(name);
        let reads = self.order.reads(name, blocked) + other;
        let (mut bytes, form) = self.size(name, blocked);
        if known.computes_bytes(graph, node) && known.becomes_bytes(graph, name) {
            bytes /= 4;
        }
        let folded = |x: &str| known.values.get(x).is_some_and(|value| value.constant);
        if node.is("DequantizeLinear")
            && node.inputs.first().is_some_and(|x| folded(x))
            && known.is_read_as_bytes(graph, name)
        {
            bytes = 0;
        }
        if self.fused.nowhere.contains(name) {
            bytes = 0;
        }
        let same = if slot == 0 { self.in_place(node, name, bytes, is_output, blocked) } else { None };
        let i = match same {
            Some(i) => {
                self.buffers[i].reads += reads;
                i
            }
            None => self.take(form.filter(|_| !is_output), bytes, reads),
        };
        self.buffers[i].is_output |= is_output;
        self.of.insert((name, blocked), i);
    }

    /// The buffer of an input that the output is computed in.
    fn in_place(&self, node: &Node<'a>, name: &'a str, bytes: u64, is_output: bool, blocked: bool) -> Option<usize> {
        let (known, graph) = (self.known, self.graph);
        let x = *node.inputs.first()?;
        let views = matches!(node.op, "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity");
        let fused = match node.op {
            "DequantizeLinear" => known.is_read_as_bytes(graph, name),
            "QuantizeLinear" => known.is_quantized_with(graph, x),
            _ => known.is_fused(graph, node),
        };
        if views && !is_output || fused {
            return self.place(node, 0, x);
        }
        if self.fused.same.contains(name) && !is_output {
            return node.inputs.iter().enumerate().find_map(|(slot, x)| self.place(node, slot, x));
        }
        if blocked && node.is("Conv") {
            return self.sum_of(name, bytes);
        }
        if let Some(conv) = known.summed(graph, node).filter(|_| blocked) {
            return self.of.get(&(conv, true)).copied();
        }
        if !computes_in_place(node.op) {
            return None;
        }
        let form = known.form(name)?;
        let places = node.inputs.iter().enumerate();
        let same = places.filter(|(_, x)| known.form(x).as_ref() == Some(&form));
        let last =
            |i: &usize| self.buffers[*i].reads == 1 && !self.buffers[*i].is_output && self.buffers[*i].bytes == bytes;
        same.filter_map(|(slot, x)| self.place(node, slot, x)).find(last)
    }

    /// The buffer that a convolution in blocks adds its output to, if nothing else reads it.
    fn sum_of(&self, name: &'a str, bytes: u64) -> Option<usize> {
        let mut name = name;
        let mut sum = self.only_reader(name)?;
        if sum.is("BatchNormalization") && self.known.is_fused(self.graph, sum) {
            name = sum.outputs.first()?;
            sum = self.only_reader(name)?;
        }
        let is_sum = self.order.is_blocked(sum) && self.known.summed(self.graph, sum) == Some(name);
        let other = sum.inputs.iter().find(|x| **x != name).filter(|_| is_sum)?;
        let i = self.of.get(&(*other, true)).copied()?;
        let buffer = &self.buffers[i];
        let alone = buffer.reads == 1 && !buffer.is_output && buffer.bytes == bytes;
        (alone && self.known.form(other).is_some() && self.known.form(other) == self.known.form(name)).then_some(i)
    }

    fn only_reader(&self, name: &str) -> Option<&'g Node<'a>> {
        let [reader] = self.known.readers(name) else { return None };
        Some(&self.graph.nodes[*reader])
    }

    /// A buffer of one that is free and of this form, else a new one.
    fn take(&mut self, dims: Option<Vec<u64>>, bytes: u64, reads: usize) -> usize {
        let form = dims.map(|dims| (dims, bytes));
        if let Some(i) = self.free.get_mut(&form).filter(|_| form.is_some()).and_then(Vec::pop) {
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

/// Operators whose kernel may write over what it reads.
fn computes_in_place(op: &str) -> bool {
    const OPS: &[&str] = &[
        "Relu",
        "Clip",
        "Sigmoid",
        "Tanh",
        "LeakyRelu",
        "HardSigmoid",
        "Elu",
        "Selu",
        "Softplus",
        "Softsign",
        "Softmax",
        "LogSoftmax",
        "Dropout",
        "Cast",
        "ScatterElements",
    ];
    OPS.contains(&op)
}
