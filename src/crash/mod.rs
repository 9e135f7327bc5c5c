//! Crash record: a model that ends the process costs an app a start or two, and no crash loop.
//!
//! Enters: a folder, and what an engine is about to do. Leaves: what ended earlier processes, and whether to go on as
//! before, more gently, or not at all. May import: disk, digest.
//!
//! [`Options::crash_record`](crate::Options::crash_record) turns it on. `mark` is the evidence: a file, durable before native
//! code is entered, of which one page is mapped, so that what was written there last outlives the process. `signal` writes
//! there which signal ended it, and hands on to the handler that was there before. `folder` makes deaths of the marks of
//! processes that have ended, `ladder` says which way an open goes then, and `attempt` is one such try. `format` is their form:
//!
//! ```text
//! ID.mark, 336 bytes: an engine of a process that lives, or that ended with it. Little endian; texts end with zeros
//!   0   8  "SLVMARK1"                   240  16  random: the mark's id
//!   8  32  SHA-256 of the key           256   8  when it was made, in seconds since 1970
//!  40  32  SHA-256 of the model         264   4  process
//!  72  64  name of the model            268   4  threads; 0 for those that the runtime takes
//! 136  32  version of the app           272   4  mapped (1) and on a GPU (2), the rung, 0, 0
//! 168  64  runtime and its version      276   4  CRC-32C of the bytes before
//! 232   8  backend
//! from here words of 8 bytes, which the process changes while it lives:
//! 280  thread that died   288  when   296  phase   304  runs under way   312  signal   320  evidence   328  0
//!
//! KEY.deaths, 176 + 128 n + 4 bytes, KEY being the first 32 digits of the key; replaced as a whole
//!   0   8  "SLVDEAD1"                   then for each death
//!   8  32  SHA-256 of the key             0  16  id of the mark         100   4  threads
//!  40  32  SHA-256 of the model          16   8  when                   104   4  bits as in a mark, rung, phase, evidence
//!  72  64  name of the model             24  64  runtime                108  20  0
//! 136  32  version of the app            88   8  backend               and 4 bytes at the end: CRC-32C of all before
//! 168   8  deaths, 0                     96   4  signal
//!
//! crash.lock: held by whoever changes the folder. A mark is locked as long as its process lives
//! ```
//!
//! A file of another form is no record: it is said in the log and removed. Marks are synced before native code is entered, and
//! deaths when they are found; the note of a signal is not, so that a loss of power in the seconds after a crash may lose it.
//! Nobody else may cut a mark while its process lives: that ends it by SIGBUS. A child that was forked off holds the mark of its
//! parent, whose death is known once the child has ended, too.
//!
//! | fault | test | seen on Linux, x86-64 |
//! |---|---|---|
//! | SIGABRT in tract at load, in the first run and in a later one, SIGSEGV in the first; both in ONNX Runtime 1.31.1 at load and in the first run | `--test crash deaths::` | two starts lost, then `Quarantined` |
//! | SIGSEGV in a thread that ONNX Runtime started, in a later run | the same | known for its own |
//! | `GGML_ASSERT`, SIGABRT and SIGSEGV in llama.cpp at load; SIGSEGV in its thread in the first run and a later one | the same | the same |
//! | with the options set in C: SIGABRT and SIGSEGV in tract at load, SIGABRT in the first run, SIGSEGV there by an input whose memory is gone | `-p selvedge-ffi --test abi crashes::` | the same |
//! | SIGKILL and SIGTERM at any moment | `SELVEDGE_LONG=1`, `--test crash kills::` | 2,000 kills of a healthy model: none of its starts on a lower rung; 200 between the starts of bad ones: two starts lost each |
//! | loss of power at any call of the disk, and disks that fail | `--lib crash::tests::folder` | the mark is there once native code is entered; a death is recorded once |
//! | SIGSEGV and SIGABRT from another process; faults of the app's own threads; a fault that a handler lets pass | `--lib crash::tests::dying` | nothing counted |
//!
//! The checks of marks see a mark that is not synced, and one that is written after the call. A run costs 37 ns more, an open a
//! sync of the file and of the folder.

mod attempt;
mod death;
mod folder;
mod format;
mod ladder;
mod mark;
mod page;
mod record;
mod signal;
#[cfg(test)]
mod tests;
mod way;

pub(crate) use attempt::{Attempt, Model};
pub use death::{CrashPhase, Death, Exit};
pub use ladder::Rung;
pub(crate) use mark::{InCall, Mark};
pub use record::{CrashEntry, CrashRecord};
pub(crate) use way::Way;
