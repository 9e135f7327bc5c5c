//! Cache, the layer that remembers answers: the same question to the same model is computed once.
//!
//! ```text
//!   request ─► canonical ─► key ─► entry known?  yes ─► replay ─► the kept answer
//!                                                 no  ─► record ─► the engine's answer, kept
//! ```

mod canonical;
mod entry;
mod record;
mod replay;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::route;
use crate::engine::{Call, Engine, PrefixCache, Request, Run, Spec, Tokenizer, Trim};
use crate::{Digest, Result};
use canonical::Key;
use record::{RecordRun, Shared};
use replay::ReplayRun;
use store::Store;

/// The name on the route.
const LAYER: &str = "cache";

/// A cache is an engine that remembers the answers of another one, and gives them again to the same request.
///
/// **The same request** is one of the same bytes: every name, dtype, dimension, element, text and parameter. Floats are
/// compared by bits, so that −0 is not 0 and a NaN is equal to its own payload alone; inputs count in any order, and so
/// does the seed where greedy sampling makes nothing of it. The key is the SHA-256 of those bytes and of the model's
/// [digest](crate::Provenance::digest): nothing of a request is kept. A layer below that has come to serve another
/// version is asked anew, and an answer of another model than the key's is not kept.
///
/// **What is kept** is an answer that the contract calls reproducible: of tensors, of texts to embed, and of text that
/// is sampled greedily or with a [seed](crate::Sampling::seed). A draw without a seed is passed on each time, and so it
/// should be with a model that draws inside, such as a graph with `RandomNormal`: do not put a cache around one. Failures
/// are never kept, nor runs that were cancelled, ran out of time or were dropped.
///
/// **A hit** gives the pieces of a text as the engine gave them, then the answer: its own
/// [`Provenance`](crate::Provenance), the id of the new call, and of [`Usage`](crate::Usage) the tokens, all of the
/// prompt's [cached](crate::Usage::cached_tokens), `prepare` for the search, [`cache_hits`](crate::Usage::cache_hits) = 1
/// and [`saved`](crate::Usage::saved). Cancel and deadline hold before each step. Every answer, hit or not, has `cache`
/// on its route.
///
/// **Two calls that ask the same at the same time** are both computed, and one of the answers is kept: no call waits for
/// another one's engine, deadline or cancel.
///
/// **Time.** A hit takes half a microsecond and a miss adds less than one to the engine's own time, for a row of four numbers
/// (x86-64 with SHA instructions, `cargo bench -p selvedge-benches --features tract --bench rollout`); beyond that, the key costs
/// one SHA-256 over the inputs.
///
/// **Memory** is bounded by bytes: keys, answers and what it takes to find them. Outputs are copied, so that neither a
/// caller's nor a runtime's memory is held. What gives way is what was not asked for again (Clock-PRO, as S3-FIFO
/// resistant to scans); an answer that would fill the cache by itself is not kept. [`trim`](Engine::trim), at any level, empties it.
/// Nothing is written to disk.
///
/// ```
/// use selvedge::fake::Fake;
/// use selvedge::layer::cache::Cache;
/// use selvedge::{Ask, DType, Tensor, Tensors};
/// let cache = Cache::new(Fake::echo(DType::F32).build(), 16 << 20);
/// let ask = || cache.run(Tensors::from([("x", Tensor::new(&[2], vec![1.5f32, 2.5])?)]));
/// assert_eq!(ask()?.usage.cache_hits, 0);
/// let again = ask()?;
/// assert_eq!((again.usage.cache_hits, &*again.provenance.route), (1, &["cache".to_string()][..]));
/// assert_eq!(again.output("y")?.as_slice::<f32>()?, [1.5, 2.5]);
/// # Ok::<(), selvedge::Error>(())
/// ```
pub struct Cache {
    engine: Arc<dyn Engine>,
    spec: Spec,
    shared: Arc<Shared>,
    store: Arc<Store>,
}

/// What a cache has done, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStatus {
    /// Calls that were given a kept answer.
    pub hits: u64,
    /// Calls that might have been, and were not found.
    pub misses: u64,
    /// Calls whose answer is not reproducible.
    pub passed: u64,
    /// Answers that are kept.
    pub answers: u64,
    /// Bytes that they take, their keys and places included.
    pub bytes: u64,
    /// The most bytes that they may take.
    pub max_bytes: u64,
    /// What preparing, computing and generating the answers of the hits had taken.
    pub saved: Duration,
}

impl Cache {
    /// A cache around an engine, of at most so many bytes; 0 keeps nothing.
    pub fn new(engine: Arc<dyn Engine>, max_bytes: u64) -> Self {
        let spec = route::spec(LAYER, engine.spec());
        let shared = Shared {
            inner: engine.spec().provenance.clone(),
            outer: spec.provenance.clone(),
            outputs: spec.outputs.iter().map(|output| output.name.clone()).collect(),
        };
        Self { engine, spec, shared: Arc::new(shared), store: Arc::new(Store::new(max_bytes)) }
    }

    /// The counts since the cache was made, and what it holds now.
    #[must_use]
    pub fn status(&self) -> CacheStatus {
        self.store.status()
    }
}

impl Engine for Cache {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        call.check()?;
        let model = self.engine.spec().provenance.digest;
        if !canonical::reproducible(&request) {
            self.store.passed();
            return self.record(None, model, request, call);
        }
        let began = Instant::now();
        let key = Key::of(&request, &model, &call)?;
        match self.store.get(&key) {
            Some(entry) => Ok(Box::new(ReplayRun::new(entry, call, began.elapsed()))),
            None => self.record(Some(key), model, request, call),
        }
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        self.engine.tokenizer()
    }

    fn prefix_cache(&self) -> Option<&dyn PrefixCache> {
        self.engine.prefix_cache()
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        let own = self.store.clear();
        Ok(own.saturating_add(self.engine.trim(level)?))
    }
}

impl Cache {
    fn record(&self, key: Option<Key>, model: Digest, request: Request, call: Call) -> Result<Box<dyn Run>> {
        let run = self.engine.start(request, call)?;
        Ok(Box::new(RecordRun::new(run, key, model, self.shared.clone(), self.store.clone())))
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("model", &self.spec.provenance.model).field("status", &self.status()).finish()
    }
}
