//! Products of one context, and its attention.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use llama_cpp_sys_2 as sys;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::attention::Attention;
use super::compute::{Product, compute};
use super::crew::{Crew, Ended};
use super::packed::{Matrix, PackedWeights};
use crate::kernel::product::Panels;
use crate::threads::{self, unpoisoned};
use crate::{Error, Result};

/// Fewer rows than this are ggml's. A prompt's last token goes through the last layer alone, and so are all next tokens.
const MIN_ROWS: usize = 2;

/// What computes the products of one context.
pub(in crate::backend::llama::native) struct Products {
    weights: Arc<PackedWeights>,
    /// Tokens of the context's largest batch: only what is multiplied with all of them is worth packing.
    batch: usize,
    /// What a graph multiplies with, while the context is being made.
    found: Mutex<HashSet<Matrix>>,
    /// What is packed, once the context is made.
    panels: OnceLock<HashMap<Matrix, Arc<Panels>>>,
    attention: Attention,
    /// Beside the context's own thread. Not the pool that all share: whoever waits there for an answer would be waited for.
    pool: Option<ThreadPool>,
    /// Whether the computation under way is of a prompt.
    serves: AtomicBool,
    /// Products computed.
    count: AtomicU64,
}

impl Products {
    /// For a context with batches of up to so many tokens, computed on so many threads.
    pub(in crate::backend::llama::native) fn new(weights: Arc<PackedWeights>, batch: u32, threads: u32) -> Arc<Self> {
        Arc::new(Self {
            weights,
            batch: (batch as usize).max(MIN_ROWS),
            found: Mutex::default(),
            panels: OnceLock::new(),
            attention: Attention::default(),
            pool: pool(threads as usize),
            serves: AtomicBool::new(false),
            count: AtomicU64::new(0),
        })
    }

    /// Makes a context, whose device gets these products.
    pub(in crate::backend::llama::native) fn offered<T>(products: Option<&Arc<Self>>, make: impl FnOnce() -> T) -> T {
        OFFERED.set(products.cloned());
        let made = make();
        OFFERED.take();
        made
    }

    /// Packs what was found while the context was made; without room for it there are no products.
    pub(in crate::backend::llama::native) fn pack(&self, threads: u32) {
        let found = std::mem::take(&mut *unpoisoned(self.found.lock()));
        let panels = self.weights.take(found, threads as usize).unwrap_or_else(|error| {
            tracing::warn!("llama.cpp computes prompts with its own products: {error}");
            HashMap::new()
        });
        let _ = self.panels.set(panels);
    }

    /// Says whether the next computation is of a prompt.
    pub(in crate::backend::llama::native) fn serve(&self, prompt: bool) {
        self.serves.store(prompt, Ordering::Relaxed);
    }

    /// Products computed so far, and layers whose attention was.
    #[cfg(test)]
    pub(in crate::backend::llama::native) fn counts(&self) -> (u64, u64) {
        (self.count.load(Ordering::Relaxed), self.attention.count())
    }

    /// What a context that this thread is making is offered.
    pub(super) fn on_offer() -> Option<Arc<Self>> {
        OFFERED.with_borrow(Clone::clone)
    }

    /// Whether an operation is one of these products, or of attention between them.
    pub(super) fn takes(&self, operation: &sys::ggml_tensor) -> bool {
        let product = Product::of(operation);
        let Some(panels) = self.panels.get() else {
            let Some(product) = product else { return self.attention.find(operation, self.batch) };
            let is_wanted = product.rows >= self.batch && product.is_of_layer();
            if is_wanted {
                unpoisoned(self.found.lock()).insert(product.matrix);
            }
            return is_wanted;
        };
        if !self.serves.load(Ordering::Relaxed) || panels.is_empty() {
            return false;
        }
        let rows = match product {
            Some(product) => panels.contains_key(&product.matrix).then_some(product.rows),
            None => self.attention.tokens(operation),
        };
        rows.is_some_and(|rows| rows >= MIN_ROWS)
    }

    /// Computes operations that were taken, on so many threads; `give_up` is asked on this one.
    pub(super) fn compute<'a>(
        &self,
        operations: impl Iterator<Item = &'a sys::ggml_tensor>,
        threads: usize,
        give_up: &dyn Fn() -> bool,
    ) -> Result<Ended> {
        let panels = self.panels.get().ok_or_else(|| Error::internal("products of a context that is being made"))?;
        let crew = Crew { pool: self.pool.as_ref(), threads, give_up };
        compute(panels, &self.attention, operations, &crew, &self.count)
    }
}

/// All but one of so many threads, as far as the system starts them.
fn pool(threads: usize) -> Option<ThreadPool> {
    let helpers = threads.checked_sub(1).filter(|helpers| *helpers > 0)?;
    let helpers = threads::granted("products of prompts", helpers, 0).ok()?;
    let builder = ThreadPoolBuilder::new().num_threads(helpers).thread_name(|i| format!("selvedge-products-{i}"));
    builder.start_handler(|_| threads::quiet()).build().ok()
}

thread_local! {
    /// What the device of the context that this thread is making gets.
    static OFFERED: RefCell<Option<Arc<Products>>> = const { RefCell::new(None) };
}
