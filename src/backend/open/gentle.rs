//! Opening with a crash record: as the app asks, or more gently where that has ended a process.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::super::options::{Backend, Opening, Options};
use super::marked::Marked;
use super::open_once;
use crate::crash::{Attempt, CrashRecord, Rung};
use crate::engine::Engine;
use crate::source::{Loading, Source};
use crate::{Code, Error, Result};

/// Opens the model on the first rung that has not died: as asked, then each rung of the ladder; one with another runtime
/// stands for the same without it as well, where that does not take the model.
pub(super) fn open(source: &Source, options: &Options, record: &CrashRecord) -> Result<Arc<dyn Engine>> {
    let asked = asked(options);
    let begin = |rung| Arc::new(Attempt::new(record, asked.clone(), rung));
    let mut attempt = begin(0);
    let mut refused = match attempt_once(source, options.clone(), &attempt) {
        Err(e) if attempt.is_next() => e,
        other => return other,
    };
    // Whoever died as asked: the others are what it is not.
    let other = attempt.backend().and_then(|died| other_runtime(died, options));
    for (i, rung) in record.rungs.iter().enumerate() {
        let others = other.filter(|_| rung.other_runtime).map(Some);
        for backend in others.into_iter().chain([None]) {
            attempt = begin(i + 1);
            let gentler = Options { backend: backend.or(options.backend), ..on_rung(options, *rung) };
            match attempt_once(source, gentler, &attempt) {
                Err(e) if attempt.is_next() => refused = e,
                // It may read the file otherwise, which is no reason to call it invalid now.
                Err(e) if backend.is_some() && !matches!(e.code(), Code::Cancelled | Code::Quarantined) => {
                    tracing::info!("crash record: the other runtime does not take the model: {e:#}");
                }
                other => return other,
            }
        }
    }
    Err(refused)
}

fn attempt_once(source: &Source, options: Options, attempt: &Arc<Attempt>) -> Result<Arc<dyn Engine>> {
    let is_in_memory = matches!(source, Source::Bytes(_));
    let options = Options { opening: Some(Opening { attempt: attempt.clone(), is_in_memory }), ..options };
    let engine = open_once(again(source)?, &options)?;
    // Without one, the record could not be written, which the log says.
    let Some(mark) = attempt.mark() else { return Ok(engine) };
    mark.opened();
    Ok(Arc::new(Marked::new(engine, mark, attempt.why())))
}

fn on_rung(options: &Options, rung: Rung) -> Options {
    Options {
        // A driver ends processes more often than all else here.
        accelerator: None,
        threads: if rung.one_thread { Some(1) } else { options.threads },
        loading: if rung.read_whole { Loading::Read } else { options.loading },
        ..options.clone()
    }
}

/// The other runtime of the same format, if the app left it to the library.
fn other_runtime(died: &str, options: &Options) -> Option<Backend> {
    let of_onnx = [Backend::Ort, Backend::Tract, Backend::Rten];
    let is_one = of_onnx.iter().any(|backend| backend.name() == died);
    let mut others = of_onnx.into_iter().filter(|backend| backend.name() != died && backend.is_built());
    let is_free = options.backend.is_none() && options.session_entries.is_empty();
    others.next().filter(|_| is_one && is_free)
}

/// The options that change what a runtime does.
fn asked(options: &Options) -> String {
    let backend = options.backend.map_or("", Backend::name);
    let numbers = [options.threads, options.context_tokens, options.parallel].map(|n| n.unwrap_or(0));
    let is_mapped = options.loading == Loading::Mapped;
    let accelerator = options.accelerator.as_ref().map(|it| format!(" {it:?}")).unwrap_or_default();
    format!("{backend} {numbers:?} {is_mapped} {:?}{accelerator}", options.session_entries)
}

/// The same source once more.
fn again(source: &Source) -> Result<Source> {
    Ok(match source {
        Source::Path(path) => Source::Path(path.clone()),
        Source::File { file, range } => {
            let file = file.try_clone().map_err(|e| Error::io("model file", e))?;
            Source::File { file, range: range.clone() }
        }
        Source::Bytes(bytes) => Source::Bytes(bytes.clone()),
    })
}
