/* selvedge.h: the C ABI of Selvedge. C99, C++17, Objective-C, Swift. One noun, one header:
 *
 *   selvedge/base.h       numbers, texts, errors, cancel, progress, buffers, log, version
 *   selvedge/engine.h     sources, options, engines, requests, runs, answers
 *   selvedge/telemetry.h  the telemetry folder and its report page
 *   selvedge/profile.h    what a model was made for: fit, encode, compare
 *   selvedge/monitor.h    an engine that is watched: alerts, feedback, report
 *   selvedge/sync.h       batches of telemetry to post
 *   selvedge/weights.h    tables of vectors: gather, pool, search
 *   selvedge/pack.h       smaller models
 *   selvedge/crash.h      what ended earlier processes
 *   selvedge/store.h      the versions of a model on disk, and which of them serves
 *   selvedge/layers.h     engines made of engines: cache, schedule, cascade, models within one budget
 *   selvedge/deployment.h an engine over the versions of a store
 *
 * 1 HANDLES    A handle (selvedge_engine *, selvedge_run *, ...) is a number in a pointer's clothes: it is
 *              never dereferenced. A handle that was freed, is of another type or was never one is
 *              SELVEDGE_ERR_BAD_HANDLE, also when it is freed a second time. NULL is
 *              SELVEDGE_ERR_INVALID_ARGUMENT, except for the functions that free: there it is OK and nothing.
 * 2 ERRORS     Every call that can fail returns a selvedge_status. Its last argument `err` may be NULL; else it is
 *              always written: NULL on success, on failure an error object that the caller frees. On failure every
 *              other thing the call would have written is zero. Any call may return INVALID_ARGUMENT (NULL, a length
 *              above the address space, bytes that are not UTF-8, a wrong struct_size), BAD_HANDLE, OUT_OF_MEMORY
 *              (16 million live handles of a type), UNSUPPORTED (after fork, see 8) or PANIC (a defect below;
 *              contained). Treat a code that you do not know as failure.
 * 3 MEMORY     What the library takes, it has copied when the call returns, or it needs it no more: no memory of the
 *              caller's is touched after a call, but for SELVEDGE_SOURCE_MEMORY. What the library gives out stays in
 *              its hands: a pointer is valid until the handle it was asked of is freed (an event's: until the next
 *              selvedge_run_next; an alert's: until the next selvedge_monitor_next_alert).
 * 4 TEXT       UTF-8. Taken with its length, and needs no NUL; given out with its length, and a NUL follows it. Names,
 *              roles and paths have at most 65,536 bytes.
 * 5 STRUCTS    Those that begin with struct_size may grow. Set it to sizeof, or use the *_INIT macro; a field that is
 *              zero stands for its default. A struct smaller than the library's first version of it is
 *              INVALID_ARGUMENT; in a larger one, the fields the library does not know must be zero, and are zeroed
 *              where it writes. All elements of an array have the same struct_size; one that has another is
 *              INVALID_ARGUMENT, and nothing else of it is read. So are more than 65,536 elements.
 * 6 THREADS    Any call may come from any thread. Where a handle is `const`, any number of threads may use it at once;
 *              where it is not, a second thread gets SELVEDGE_ERR_BUSY, or, if it frees, ends what the first one does.
 *              Functions that free are safe at any time, but pointers that were given out end with their handle.
 * 7 CALLBACKS  Progress, alerts, log lines and the end of lent memory may be told to a function of the caller's, and a
 *              package may be read by one; each can be had without one. It gets the `user_data` that came with it, and
 *              pointers that live until it returns. It may make any call of this library, and must not unwind or jump
 *              out. It runs on the thread whose work it is about: of the call, or of another one that uses the same
 *              engine.
 * 8 PROCESS    No sockets, no output, and no signal handlers, but for one that the first open with a crash record
 *              installs: it notes a fault, and hands on to the handler that was there before. After fork(), a child must
 *              not go on using the library: every call returns UNSUPPORTED (exec is free). It must stay loaded: on Linux,
 *              Android and FreeBSD dlclose() leaves it where it is, elsewhere do not unload it. */
#ifndef SELVEDGE_H
#define SELVEDGE_H

#include "selvedge/base.h"
#include "selvedge/engine.h"
#include "selvedge/telemetry.h"
#include "selvedge/profile.h"
#include "selvedge/monitor.h"
#include "selvedge/sync.h"
#include "selvedge/weights.h"
#include "selvedge/pack.h"
#include "selvedge/crash.h"
#include "selvedge/store.h"
#include "selvedge/layers.h"
#include "selvedge/deployment.h"

#endif /* SELVEDGE_H */
