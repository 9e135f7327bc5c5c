//! Requests: what can be asked.

use super::{Generate, Rerank, Score};
use crate::Tensor;

/// A request to an [`Engine`](super::Engine). An engine that does not serve a kind says `Unsupported`.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "one is made for a call, and moved a few times")]
pub enum Request {
    /// Named tensors in, named tensors out.
    Tensors(Tensors),
    /// A prompt in, text out.
    Generate(Generate),
    /// Texts in, one vector each out.
    Embed(Embed),
    /// A prompt and continuations in, how likely each is out.
    Score(Score),
    /// A query and documents in, how relevant each is out.
    Rerank(Rerank),
}

/// Named tensors in, named tensors out.
///
/// ```
/// use selvedge::{Tensor, Tensors};
/// let x = Tensor::new(&[1, 2], vec![1.0f32, 2.0])?;
/// let request = Tensors::from([("x", x)]).only(["y"]);
/// assert_eq!(request.inputs.len(), 1);
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Tensors {
    /// Inputs by name, in any order; each name once.
    pub inputs: Vec<(String, Tensor)>,
    /// The names of the outputs wanted, in the order wanted; `None` for all, in the model's order.
    pub outputs: Option<Vec<String>>,
}

impl Tensors {
    /// Inputs by name.
    pub fn new<N: Into<String>>(inputs: impl IntoIterator<Item = (N, Tensor)>) -> Self {
        Self { inputs: inputs.into_iter().map(|(n, t)| (n.into(), t)).collect(), outputs: None }
    }

    /// Asks for some of the outputs only.
    #[must_use]
    pub fn only<N: Into<String>>(mut self, outputs: impl IntoIterator<Item = N>) -> Self {
        self.outputs = Some(outputs.into_iter().map(Into::into).collect());
        self
    }
}

impl<N: Into<String>, const K: usize> From<[(N, Tensor); K]> for Tensors {
    fn from(inputs: [(N, Tensor); K]) -> Self {
        Self::new(inputs)
    }
}

/// Texts in, one vector each out: an output named `embedding`, f32 `[texts, dimensions]`.
///
/// ```
/// use selvedge::Embed;
/// let request = Embed::new(["a cat", "a dog"]).normalize(false);
/// assert_eq!(request.texts.len(), 2);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Embed {
    /// The texts; at least one.
    pub texts: Vec<String>,
    /// Scale each vector to length 1 (the default), so that a dot product is the cosine.
    pub normalize: bool,
}

impl Embed {
    /// The name of the output.
    pub const OUTPUT: &'static str = "embedding";

    /// Asks for normalised vectors of the texts.
    pub fn new<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self { texts: texts.into_iter().map(Into::into).collect(), normalize: true }
    }

    /// Whether to scale each vector to length 1.
    #[must_use]
    pub fn normalize(mut self, normalize: bool) -> Self {
        self.normalize = normalize;
        self
    }
}

impl From<Tensors> for Request {
    fn from(request: Tensors) -> Self {
        Request::Tensors(request)
    }
}

impl From<Generate> for Request {
    fn from(request: Generate) -> Self {
        Request::Generate(request)
    }
}

impl From<Score> for Request {
    fn from(request: Score) -> Self {
        Request::Score(request)
    }
}

impl From<Rerank> for Request {
    fn from(request: Rerank) -> Self {
        Request::Rerank(request)
    }
}

impl From<Embed> for Request {
    fn from(request: Embed) -> Self {
        Request::Embed(request)
    }
}
