/* selvedge/crash.h: what ended earlier processes. Include "selvedge.h".
 *
 * The record is kept by engines that are opened with selvedge_options.crash_folder. A death counts if a fault (SIGABRT,
 * SIGSEGV, SIGBUS, SIGILL, SIGFPE) came up in a call of an engine, or in a thread of its runtime; a callback that runs
 * within a call counts as the call. The next open takes the next rung of the ladder, and `choice` of
 * selvedge_engine_spec_json says so; after the last rung an open is QUARANTINED, and its message says when, where and by
 * what the process ended. What else ends a process counts for nothing: SIGKILL, SIGTERM, want of memory, loss of power, an
 * exit.
 *
 * A death counts for the same model, options and versions of app and runtime: a new version of one begins anew. Neither
 * these functions nor selvedge_inspect and selvedge_validate add to the record. */
#ifndef SELVEDGE_CRASH_H
#define SELVEDGE_CRASH_H

#include "base.h"

SELVEDGE_BEGIN

SELVEDGE_ENUM_BEGIN(selvedge_exit)
  SELVEDGE_EXIT_NATIVE_CRASH = 1,      /* native code crashed: REASON_CRASH_NATIVE of Android's ApplicationExitInfo */
  SELVEDGE_EXIT_OTHERWISE = 2          /* something else ended it: the user, the system, want of memory, an update */
SELVEDGE_ENUM_END(selvedge_exit)

/* What is on record in the folder, of all versions of app and runtimes, as a JSON array: [{model, digest, app_version,
 * deaths [{time, phase, signal, backend, runtime, rung, sure, text}]}]. A time is in seconds since 1970; a phase is "open",
 * "idle" (open, and nothing asked yet), "first_use" or "later_use"; a signal may be null; rung is 0 for as the app asked;
 * sure: the evidence is (two that are not, in one phase, count as one). A folder that is not there has none. Free the buffer
 * with selvedge_buffer_free. Errors: IO. */
SELVEDGE_API selvedge_status selvedge_crash_entries(const char *folder, size_t folder_len,
                                                    SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* Forgets all deaths: every model is opened as the app asks again. Errors: IO, BUSY (another process holds the folder for
 * long). */
SELVEDGE_API selvedge_status selvedge_crash_clear(const char *folder, size_t folder_len, SELVEDGE_ERR err);

/* Forgets the deaths of one model, by its digest as 64 hexadecimal digits, as JSON has it in `digest`. Errors: IO, BUSY. */
SELVEDGE_API selvedge_status selvedge_crash_clear_model(const char *folder, size_t folder_len, const char *digest,
                                                        size_t digest_len, SELVEDGE_ERR err);

/* Tells the record what the platform says of the end of a process, before the first open of the next one, and puts into
 * `deaths` how many that made. OTHERWISE takes away what would count; NATIVE_CRASH, with its signal or 0 where it is not
 * known, makes half a death of an engine that was opened or used then. A signal that was noted counts in any case.
 * Errors: IO, BUSY. */
SELVEDGE_API selvedge_status selvedge_crash_explain(const char *folder, size_t folder_len, uint32_t process,
                                                    selvedge_exit exit, int32_t signal, size_t *deaths, SELVEDGE_ERR err);

SELVEDGE_END
#endif /* SELVEDGE_CRASH_H */
