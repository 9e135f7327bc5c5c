//! In which order the nodes of a graph run, and the copies between them: depth first from the last output, and of what a
//! node reads, the newest is computed first. A node that the runtime makes of others is newer than those of the file.

use std::collections::{BTreeSet, HashMap};

use super::super::graph::{Graph, Node};
use super::known::Known;

/// One step of a run.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step<'a> {
    /// The node of this position.
    Node(usize),
    /// A copy of a value into blocks of channels, or out of them.
    Reorder { name: &'a str, blocks: bool },
}

/// When a node was made: of the file, by a rewriting, at its end; then its place among those.
type Age = (u8, usize, bool);

/// The steps of a run, and which values are made and read in blocks of channels.
#[derive(Default)]
pub(super) struct Order<'a> {
    pub steps: Vec<Step<'a>>,
    /// Values that are made in blocks.
    blocked: BTreeSet<&'a str>,
    /// How often a value is read in blocks, or as it is.
    reads: HashMap<(&'a str, bool), usize>,
    ages: Vec<Age>,
    /// The steps that a step waits for.
    needs: Vec<Vec<usize>>,
    numbers: HashMap<Step<'a>, usize>,
}

impl<'a> Order<'a> {
    pub(super) fn new(graph: &Graph<'a>, known: &Known<'a>) -> Self {
        let mut order = Self::default();
        let running = || graph.nodes.iter().enumerate().filter(|(at, _)| known.live[*at]);
        for (_, node) in running() {
            if known.is_blocked(graph, node, |x| order.blocked.contains(x)) {
                order.blocked.extend(&node.outputs);
            }
        }
        for (at, node) in running() {
            order.add(graph, known, at, node);
        }
        for name in &graph.inner {
            *order.reads.entry((name, false)).or_default() += 1;
        }
        for name in &graph.outputs {
            // The app reads it as it is.
            *order.reads.entry((name, false)).or_default() += 1;
            if order.blocked.contains(name) {
                order.reorder(known, name, false, usize::MAX);
            }
        }
        order.sort();
        order
    }

    pub(super) fn is_blocked(&self, node: &Node<'_>) -> bool {
        node.outputs.first().is_some_and(|name| self.blocked.contains(name))
    }

    /// Whether a node reads this input in blocks.
    pub(super) fn wants_blocks(&self, known: &Known<'_>, node: &Node<'_>, slot: usize) -> bool {
        self.is_blocked(node) && known.wants_blocks(node, slot)
    }

    pub(super) fn reads(&self, name: &str, blocks: bool) -> usize {
        self.reads.get(&(name, blocks)).copied().unwrap_or(0)
    }

    fn add(&mut self, graph: &Graph<'a>, known: &Known<'a>, at: usize, node: &Node<'a>) {
        let is_new = self.is_blocked(node) && !matches!(node.op, "Add" | "Sum" | "Mul" | "Concat");
        let is_new = is_new || known.is_remade(graph, node);
        let mut needs = Vec::new();
        for (slot, x) in node.inputs.iter().enumerate() {
            let Some(maker) = known.maker(x).filter(|maker| known.live[*maker] && *maker < at) else { continue };
            let wanted = self.wants_blocks(known, node, slot);
            *self.reads.entry((x, wanted)).or_default() += 1;
            needs.push(if wanted == self.is_blocked(&graph.nodes[maker]) {
                self.numbers.get(&Step::Node(maker)).copied()
            } else {
                self.reorder(known, x, wanted, at)
            });
        }
        self.push(Step::Node(at), (u8::from(is_new), at, true), needs.into_iter().flatten().collect());
    }

    /// The copy of a value into another form, once for all that read it so.
    fn reorder(&mut self, known: &Known<'a>, name: &'a str, blocks: bool, reader: usize) -> Option<usize> {
        let step = Step::Reorder { name, blocks };
        if let Some(number) = self.numbers.get(&step) {
            return Some(*number);
        }
        let maker = known.maker(name)?;
        let age = if blocks { (1, reader, false) } else { (2, maker, true) };
        let needs = self.numbers.get(&Step::Node(maker)).copied();
        Some(self.push(step, age, needs.into_iter().collect()))
    }

    fn push(&mut self, step: Step<'a>, age: Age, needs: Vec<usize>) -> usize {
        let number = self.steps.len();
        self.steps.push(step);
        self.ages.push(age);
        self.needs.push(needs);
        self.numbers.insert(step, number);
        number
    }

    fn sort(&mut self) {
        let mut is_needed = vec![false; self.steps.len()];
        self.needs.iter().flatten().for_each(|step| is_needed[*step] = true);
        let mut last: Vec<usize> = (0..self.steps.len()).filter(|step| !is_needed[*step]).collect();
        last.sort_by_key(|step| self.ages[*step]);
        let mut stack: Vec<(usize, bool)> = last.into_iter().map(|step| (step, false)).collect();
        let (mut seen, mut sorted) = (vec![false; self.steps.len()], Vec::with_capacity(self.steps.len()));
        while let Some((step, is_done)) = stack.pop() {
            if is_done {
                sorted.push(self.steps[step]);
            } else if !std::mem::replace(&mut seen[step], true) {
                stack.push((step, true));
                let mut needs = std::mem::take(&mut self.needs[step]);
                needs.sort_by_key(|step| self.ages[*step]);
                stack.extend(needs.into_iter().filter(|step| !seen[*step]).map(|step| (step, false)));
            }
        }
        self.steps = sorted;
    }
}
