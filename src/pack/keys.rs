//! Keys of a packed model: what its two files are named, and what the graph says of the weight file.

/// The weight file of a packed model, beside its graph.
pub(crate) const WEIGHTS: &str = "weights.gguf";
/// Keys of the graph's metadata: the version of this form, the weight file's SHA-256, and the scheme.
pub(super) const VERSION: &str = "selvedge.packed";
pub(super) const SHA256: &str = "selvedge.packed.sha256";
pub(super) const SCHEME: &str = "selvedge.packed.scheme";

/// The entry of `external_data` that says how a tensor of the weight file lies there.
pub(super) const LAYOUT: &str = "gguf.layout";

/// The entry that says by what power of two it was divided, if it was.
pub(super) const EXPONENT: &str = "gguf.exponent";
/// The largest exponent either way: its power of two, and the inverse of that, are normal numbers in f32.
pub(super) const MAX_EXPONENT: i32 = 126;

/// 2^`exponent`, which is at most [`MAX_EXPONENT`] either way.
pub(super) fn power(exponent: i32) -> f32 {
    f32::from_bits(((127 + exponent.clamp(-MAX_EXPONENT, MAX_EXPONENT)) as u32) << 23)
}

/// How a tensor's rows lie in the weight file. Blocks run along a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// As in the graph; a row is all but the first dimension, and a vector one row.
    Rows,
    /// As in the graph; a row is the last dimension.
    Inner,
    /// Transposed: a row is a column of the graph's matrix.
    Columns,
}

impl Layout {
    pub(super) fn name(self) -> &'static str {
        match self {
            Layout::Rows => "rows",
            Layout::Inner => "inner",
            Layout::Columns => "columns",
        }
    }

    pub(super) fn by_name(name: &str) -> Option<Self> {
        [Layout::Rows, Layout::Inner, Layout::Columns].into_iter().find(|layout| layout.name() == name)
    }

    /// Rows, and weights per row, of a tensor of these dimensions.
    pub(super) fn split(self, dims: &[u64]) -> Option<(u64, u64)> {
        let product = |dims: &[u64]| dims.iter().try_fold(1u64, |n, d| n.checked_mul(*d));
        match (self, dims) {
            (Layout::Rows, &[only]) => Some((1, only)),
            (Layout::Inner, [rest @ .., last]) => Some((product(rest)?, *last)),
            (Layout::Rows, [first, rest @ ..]) => Some((*first, product(rest)?)),
            (Layout::Columns, &[k, n]) => Some((n, k)),
            _ => None,
        }
    }
}
