//! Loans: memory of the caller's, lent to an engine for the length of a call.
//!
//! A request owns its tensors, and an engine may hand them to a worker, so that no lifetime can tell
//! the compiler when they are let go. The loan counts instead: every lent tensor carries a receipt,
//! and the loan waits at its end until all are back. The contract asks an engine to let go of its inputs
//! with the run and its answer, so that nothing is left to wait for; one that kept them for good would
//! hang the call, which is better than reading memory that is no longer there.
//!
//! Small tensors are copied: that costs less than a loan, and a plan may well be kept by their values.

#![expect(unsafe_code, reason = "lends the caller's memory")]

use std::cell::OnceCell;
use std::ptr::NonNull;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use selvedge::{Answer, Bytes, DType, Result, Shape, Tensor};

/// The most bytes of a tensor that is copied rather than lent.
const MAX_COPIED: usize = 4096;

/// What is lent in one call; most lend nothing, and keep no ledger.
pub(crate) struct Loan(OnceCell<Arc<Ledger>>);

#[derive(Default)]
struct Ledger {
    out: Mutex<usize>,
    returned: Condvar,
}

struct Receipt(Arc<Ledger>);

impl Loan {
    pub(crate) fn new() -> Self {
        Self(OnceCell::new())
    }

    /// A tensor over lent memory, or over a copy of it if it is small or not aligned for its dtype.
    ///
    /// # Safety
    ///
    /// The memory stays as it is until the loan has been dropped.
    pub(crate) unsafe fn tensor(&self, dtype: DType, shape: Shape, data: &[u8]) -> Result<Tensor> {
        let aligned = dtype.size().is_some_and(|size| data.as_ptr().addr().is_multiple_of(size));
        if data.len() <= MAX_COPIED || !aligned {
            return Tensor::copy_from(dtype, shape, data);
        }
        let ledger = self.0.get_or_init(Arc::default);
        *ledger.lock() += 1;
        let receipt = Receipt(ledger.clone());
        // SAFETY: the loan is dropped after the receipt, and the caller keeps the memory until then.
        let bytes = unsafe { Bytes::foreign(NonNull::from(data).cast(), data.len(), receipt) };
        Tensor::from_bytes(dtype, shape, bytes)
    }

    /// Detaches an answer from what is lent: copies its outputs if something lent is still out: one of them may be an input
    /// that the model passed on.
    pub(crate) fn detach(&self, answer: &mut Answer) -> Result<()> {
        if self.0.get().is_none_or(|ledger| *ledger.lock() == 0) {
            return Ok(());
        }
        for (_, output) in &mut answer.outputs {
            if output.dtype() != DType::String {
                *output = output.view()?.to_tensor()?;
            }
        }
        Ok(())
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(ledger) = self.0.get() else { return };
        let mut out = ledger.lock();
        while *out > 0 {
            out = ledger.returned.wait(out).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.returned.notify_all();
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
