//! Threads of an engine: pools of rten's, as many as there are runs at the same time.
//!
//! A run of rten takes place on the threads of a pool, also where that has one thread only; so calls from several threads of
//! the app would wait for each other if they shared it.

use std::sync::{Arc, Mutex};

use rten::ThreadPool;

use crate::threads::{self, unpoisoned};
use crate::{Code, Error, Result};

/// Pools that wait for their next run.
const MAX_IDLE: usize = 16;

/// The pools of one engine.
pub(super) struct Pools {
    /// Of each pool.
    threads: usize,
    idle: Mutex<Vec<Arc<ThreadPool>>>,
}

impl Pools {
    /// With the first pool. Errors: `OutOfMemory` where its threads do not start.
    pub(super) fn new(threads: u32) -> Result<Self> {
        let wanted = threads as usize;
        let pools = Self { threads: threads::granted("rten", wanted, 0)?, idle: Mutex::default() };
        pools.put(pools.start()?);
        Ok(pools)
    }

    /// Calls `f` with a pool that no other run uses.
    pub(super) fn with<T>(&self, f: impl FnOnce(&Arc<ThreadPool>) -> Result<T>) -> Result<T> {
        let idle = unpoisoned(self.idle.lock()).pop();
        let pool = match idle {
            Some(pool) => pool,
            None => {
                threads::granted("rten", self.threads, 0)?;
                self.start()?
            }
        };
        let result = f(&pool);
        self.put(pool);
        result
    }

    /// Ends the threads that wait.
    pub(super) fn trim(&self) {
        let idle = std::mem::take(&mut *unpoisoned(self.idle.lock()));
        drop(idle);
    }

    fn start(&self) -> Result<Arc<ThreadPool>> {
        let pool = ThreadPool::with_num_threads(self.threads);
        // rten says nothing of threads that did not start: it computes on others then.
        let (index, got) = pool.run(|| {
            rayon::broadcast(|_| threads::quiet());
            (rayon::current_thread_index(), rayon::current_num_threads())
        });
        if index.is_none() || got != self.threads {
            let wanted = self.threads;
            return Err(Error::new(Code::OutOfMemory, format!("rten: expected {wanted} threads to start")));
        }
        Ok(Arc::new(pool))
    }

    fn put(&self, pool: Arc<ThreadPool>) {
        let mut idle = unpoisoned(self.idle.lock());
        if idle.len() < MAX_IDLE {
            idle.push(pool);
        }
    }
}
