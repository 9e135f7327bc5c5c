//! Attributes of convolutions and pools that ONNX lets a file leave out, and rten does not.

use crate::onnx::Node;

/// Of the weights' dimensions, those that are not of space.
const CHANNELS: usize = 2;

/// The node, as a field of a graph, with what it leaves out; `None` if that is nothing. `rank_of` knows dimensions of values.
pub(super) fn completed(node: &Node<'_>, rank_of: impl Fn(&str) -> Option<usize>) -> Option<Vec<u8>> {
    let is_pool = node.is("MaxPool") || node.is("AveragePool");
    if !is_pool && !["Conv", "ConvInteger", "ConvTranspose"].iter().any(|op| node.is(op)) {
        return None;
    }
    let in_kernel = node.ints("kernel_shape").len();
    let in_weights = || node.inputs.get(1).and_then(|weights| rank_of(weights)?.checked_sub(CHANNELS));
    let axes = if in_kernel > 0 { in_kernel } else { in_weights().filter(|axes| *axes > 0)? };
    let mut lists = Vec::new();
    let mut leave = |name: &'static str, value: i64, count: usize| {
        if node.ints(name).is_empty() {
            lists.push((name, vec![value; count]));
        }
    };
    leave("strides", 1, axes);
    if !is_pool {
        leave("dilations", 1, axes);
        if matches!(node.text("auto_pad"), b"" | b"NOTSET") {
            leave("pads", 0, 2 * axes);
        }
    }
    (!lists.is_empty()).then(|| node.with_lists(&lists))
}
