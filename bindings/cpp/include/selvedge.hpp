/// selvedge.hpp: Selvedge for C++17 and later, over the C ABI of selvedge.h. Header only: link libselvedge.
///
///     selvedge::engine      a loaded model: run, start, generate, embed, score, rerank, tokenize, trim
///     selvedge::monitor     an engine that is watched: alerts, feedback, report
///     selvedge::profile     what a model was made for: fit, encode, compare
///     selvedge::telemetry   the telemetry folder, and selvedge::outbox what of it is to be posted
///     selvedge::table       vectors in a weight file: gather, pool, search
///     selvedge::pack        a smaller model
///     selvedge::crash_record  what ended earlier processes
///     selvedge::store       the versions of a model on disk, and which of them serves
///     selvedge::deployment  an engine over the versions of a store
///     selvedge::cache, selvedge::schedule, selvedge::cascade, selvedge::models   engines made of engines
///
/// Handles are moved, not copied, and end with their object. Every call that can fail gives a selvedge::result<T>: T
/// itself, and a selvedge::error is thrown; or, with SELVEDGE_NO_EXCEPTIONS, either of both. Views (string_view, span)
/// that are taken need to live until the call returns; those given out say what they live as long as.
///
/// Functions of the app's (progress, alerts, log lines, the end of lent memory) may be called on any thread. What they
/// throw is dropped: there is nobody above them to catch it.
#ifndef SELVEDGE_HPP
#define SELVEDGE_HPP

#include "selvedge/base.hpp"
#include "selvedge/tensor.hpp"
#include "selvedge/source.hpp"
#include "selvedge/run.hpp"
#include "selvedge/generate.hpp"
#include "selvedge/engine.hpp"
#include "selvedge/telemetry.hpp"
#include "selvedge/profile.hpp"
#include "selvedge/monitor.hpp"
#include "selvedge/sync.hpp"
#include "selvedge/weights.hpp"
#include "selvedge/pack.hpp"
#include "selvedge/crash.hpp"
#include "selvedge/store.hpp"
#include "selvedge/layers.hpp"
#include "selvedge/deployment.hpp"

#endif // SELVEDGE_HPP
