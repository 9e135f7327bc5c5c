//! The graph of a packed model, in which the packed tensors are external data.

use std::collections::BTreeSet;

use super::keys::{EXPONENT, LAYOUT, SCHEME, SHA256, VERSION, WEIGHTS, power};
use super::model::Model;
use super::options::{PackedTensor, Scheme};
use super::select::{NUMBERED_CAST, Plan, Stays};
use crate::kernel::BlockFormat;
use crate::onnx::{BLOCKS_ENTRY, Edit, FLOAT, FLOAT16, NewNode, external_tensor, inline_tensor, unique};
use crate::{Digest, Error, Result};

/// Since this IR version an initializer need not be listed as an input.
const FREE_INITIALIZERS: i64 = 4;

/// What goes into the graph.
pub(super) struct Slim<'m, 'a> {
    pub model: &'m Model<'a>,
    pub plans: &'m [Plan<'a>],
    /// In the same order.
    pub packed: &'m [PackedTensor],
    pub stays: &'m [Stays<'a>],
    /// Where each begins in the weight file.
    pub begins: &'m [u64],
}

impl<'a> Slim<'_, 'a> {
    /// The graph's bytes.
    pub(super) fn write(&self, scheme: Scheme, digest: Digest) -> Result<Vec<u8>> {
        let graph = &self.model.graph;
        let mut edit = Edit {
            metadata: vec![(VERSION, "1".into()), (SHA256, digest.to_string()), (SCHEME, scheme.name().into())],
            ..Edit::default()
        };
        if graph.ir_version < FREE_INITIALIZERS {
            edit.ir_version = FREE_INITIALIZERS;
            edit.without_inputs = graph.initializers.iter().map(|tensor| tensor.name).collect();
        }
        let mut names = graph.names();
        for ((plan, packed), begin) in self.plans.iter().zip(self.packed).zip(self.begins) {
            match plan.constant {
                Some(node) => drop(edit.nodes.insert(node, Vec::new())),
                None => drop(edit.without.insert(plan.tensor.name)),
            }
            let (offset, length) = (begin.to_string(), packed.after.to_string());
            let mut entries = vec![("location", WEIGHTS), ("offset", &*offset), ("length", &*length)];
            if plan.format == BlockFormat::F16 {
                if graph.opset < NUMBERED_CAST {
                    let got = graph.opset;
                    return Err(Error::unsupported(format!(
                        "f16: expected operator set {NUMBERED_CAST} or later, got {got}"
                    )));
                }
                self.halves(&mut edit, &mut names, plan, &entries)?;
            } else {
                let exponent = plan.exponent.to_string();
                entries.extend([(BLOCKS_ENTRY, &*packed.stored), (LAYOUT, plan.layout.name())]);
                entries.extend((plan.exponent != 0).then_some((EXPONENT, &*exponent)));
                edit.initializers.push(external_tensor(plan.tensor.name, plan.tensor.element, &plan.dims, &entries));
            }
        }
        self.bring_in(&mut edit)?;
        let bytes = edit.apply(self.model.bytes)?;
        if bytes.len() > i32::MAX as usize {
            return Err(Error::unsupported(format!(
                "expected a graph of at most 2 GiB beside its packed weights, got {} bytes",
                bytes.len()
            )));
        }
        Ok(bytes)
    }

    /// A tensor in f16 and what widens it: a Gather's rows after it has picked them, all at once for the rest.
    fn halves(
        &self,
        edit: &mut Edit<'a>,
        names: &mut BTreeSet<String>,
        plan: &Plan<'a>,
        entries: &[(&str, &str)],
    ) -> Result<()> {
        let graph = &self.model.graph;
        let name = plan.tensor.name;
        let half = unique(names, &format!("{name}.f16"));
        edit.initializers.push(external_tensor(&half, FLOAT16, &plan.dims, entries));
        let scale = (plan.exponent != 0).then(|| {
            let scale = unique(names, &format!("{name}.scale"));
            edit.initializers.push(inline_tensor(&scale, FLOAT, &[], &power(plan.exponent).to_le_bytes()));
            scale
        });
        let scale = scale.as_deref();
        let mut as_floats = graph.inner.contains(name);
        for &(i, slot) in &plan.uses {
            let node = &graph.nodes[i];
            // A Gather's indices are no floats, so it reads the tensor once.
            let ("", "Gather", 0, [output]) = (node.domain, node.op, slot, &*node.outputs) else {
                as_floats = true;
                continue;
            };
            let picked = unique(names, &format!("{output}.f16"));
            let mut nodes = node.renamed(0, &half, &picked)?;
            widen(&mut nodes, names, &picked, output, scale);
            edit.nodes.insert(i, nodes);
        }
        if as_floats {
            widen(&mut edit.first, names, &half, name, scale);
        }
        Ok(())
    }

    /// Brings what stays out of other files into the graph.
    fn bring_in(&self, edit: &mut Edit<'a>) -> Result<()> {
        for tensor in self.stays.iter().map(|stays| &stays.tensor).filter(|tensor| tensor.is_external) {
            let data = self.model.outside_data(tensor)?;
            edit.initializers.push(inline_tensor(tensor.name, tensor.element, &tensor.dims, data));
            let graph = &self.model.graph;
            match graph.nodes.iter().position(|node| node.is("Constant") && node.outputs == [tensor.name]) {
                Some(node) => drop(edit.nodes.insert(node, Vec::new())),
                None => drop(edit.without.insert(tensor.name)),
            }
        }
        Ok(())
    }
}

/// Appends a `Cast` to f32, and a `Mul` with the scale if there is one.
fn widen(graph: &mut Vec<u8>, names: &mut BTreeSet<String>, from: &str, to: &str, scale: Option<&str>) {
    // Of a node without a name, some runtimes take its output's, which another node may have.
    let name = unique(names, &format!("{to}.widened"));
    let divided = scale.map(|_| unique(names, &format!("{to}.divided")));
    let output = divided.as_deref().unwrap_or(to);
    let ints = &[("to", FLOAT)];
    NewNode { op: "Cast", name: &name, inputs: &[from], output, ints, ..NewNode::default() }.put(graph);
    if let Some(scale) = scale {
        let name = unique(names, &format!("{to}.scaled"));
        NewNode { op: "Mul", name: &name, inputs: &[output, scale], output: to, ..NewNode::default() }.put(graph);
    }
}
