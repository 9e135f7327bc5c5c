/* selvedge/layers.h: engines made of engines: a cache, a schedule, a cascade, models within one budget. Include "selvedge.h".
 *
 * Each is made with a handle of its own, for its state, and gives engines like any other, to be closed with
 * selvedge_engine_close. Handles and engines may be freed in any order: what is left keeps what it needs. */
#ifndef SELVEDGE_LAYERS_H
#define SELVEDGE_LAYERS_H

#include "engine.h"
#include "store.h"

SELVEDGE_BEGIN

SELVEDGE_ENUM_BEGIN(selvedge_on_error)
  SELVEDGE_ON_ERROR_ESCALATE = 0,      /* the next engine is asked, whatever the error */
  SELVEDGE_ON_ERROR_RETURN = 1         /* the call ends with the error */
SELVEDGE_ENUM_END(selvedge_on_error)

SELVEDGE_ENUM_BEGIN(selvedge_pressure)
  SELVEDGE_PRESSURE_WARNING = 1,       /* memory is short: idle models but one are closed, caches emptied */
  SELVEDGE_PRESSURE_CRITICAL = 2       /* all idle models are closed, and the rest trimmed as by SELVEDGE_TRIM_ALL */
SELVEDGE_ENUM_END(selvedge_pressure)

typedef struct selvedge_cache selvedge_cache;       /* an engine's answers, remembered */
typedef struct selvedge_schedule selvedge_schedule; /* a queue over engines */
typedef struct selvedge_cascade selvedge_cascade;   /* engines in the order of their cost */
typedef struct selvedge_models selvedge_models;     /* models within one budget of memory */

/* ---- Cache ---- */

/* Remembers the answers of an engine: the same request to the same model is computed once. `max_bytes` bounds what is
 * kept; 0 keeps nothing. Kept is what is reproducible: answers of tensors, embeddings, and texts that are sampled greedily
 * or with a seed. Free it with selvedge_cache_free. */
SELVEDGE_API selvedge_status selvedge_cache_new(const selvedge_engine *engine, uint64_t max_bytes,
                                                SELVEDGE_OUT(selvedge_cache) out, SELVEDGE_ERR err);

/* The engine that remembers, to be asked in the place of the other. Its answers have "cache" on their route and, if they
 * were kept, usage.cache_hits 1 and usage.saved_ns. selvedge_engine_trim, at any level, empties the cache. */
SELVEDGE_API selvedge_status selvedge_cache_engine(const selvedge_cache *cache, SELVEDGE_OUT(selvedge_engine) out,
                                                   SELVEDGE_ERR err);

/* What the cache did and holds, as a JSON object: hits, misses, passed (calls whose answer is not reproducible), answers,
 * bytes, max_bytes, saved_ns. Free the buffer with selvedge_buffer_free. */
SELVEDGE_API selvedge_status selvedge_cache_status_json(const selvedge_cache *cache, SELVEDGE_OUT(selvedge_buffer) out,
                                                        SELVEDGE_ERR err);

/* Frees the handle; engines of it that are open go on remembering. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_cache_free(selvedge_cache *SELVEDGE_NULLABLE cache);

/* ---- Schedule ---- */

/* One bounded queue over the engines of a process: whose run computes next, by priority (selvedge_call.priority), and
 * among the callers of one priority by the time that each has had. `config` is a JSON object, or empty for the defaults;
 * all may be left out:
 *
 *   "capacity"         runs that may wait, 1 to 4096; 64; a further one is BUSY, with selvedge_error_retry_after_ms
 *   "caller_capacity"  runs of one caller that may wait; no limit of its own
 *   "at_once"          runs that compute at once, of all engines; no limit but those of the engines
 *   "weights"          [{"caller": 7, "weight": 3}]: a caller of weight 3 (1 to 1000) has three times the time of others
 *
 * A call with a timeout is DEADLINE_EXCEEDED at its start where those ahead of it are expected to take too long. Free it
 * with selvedge_schedule_free. Errors: INVALID_ARGUMENT. */
SELVEDGE_API selvedge_status selvedge_schedule_new(const char *config, size_t config_len,
                                                   SELVEDGE_OUT(selvedge_schedule) out, SELVEDGE_ERR err);

/* The engine with its runs in the queue, `slots` of them at once; 0: as many as it computes side by side. A run waits in
 * its first steps; once it has begun it holds its slot until it is done or freed. */
SELVEDGE_API selvedge_status selvedge_schedule_around(const selvedge_schedule *schedule, const selvedge_engine *engine,
                                                      size_t slots, SELVEDGE_OUT(selvedge_engine) out, SELVEDGE_ERR err);

/* What waits and computes now, and what happened, as a JSON object: waiting, computing, granted, busy, too_late. Free the
 * buffer with selvedge_buffer_free. */
SELVEDGE_API selvedge_status selvedge_schedule_status_json(const selvedge_schedule *schedule,
                                                           SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* Frees the handle; engines of it go on sharing the queue. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_schedule_free(selvedge_schedule *SELVEDGE_NULLABLE schedule);

/* The same engine for one caller: a user, a tab, a part of the app. A schedule divides its time between callers, and a
 * deployment may keep each of them in one arm ("key": "caller"). 0 is that of calls that do not say. */
SELVEDGE_API selvedge_status selvedge_engine_for_caller(const selvedge_engine *engine, uint64_t caller,
                                                        SELVEDGE_OUT(selvedge_engine) out, SELVEDGE_ERR err);

/* ---- Cascade ---- */

/* An engine of a cascade, and what its answers must be. */
typedef struct selvedge_stage {
  size_t struct_size;
  const selvedge_engine *engine;       /* may be closed after selvedge_cascade_new */
  selvedge_text checks;                /* a JSON list, as of selvedge_cascade_new; of the last stage: empty */
} selvedge_stage;
#define SELVEDGE_STAGE_INIT { sizeof(selvedge_stage), NULL, { NULL, 0 } }

/* Engines in the order of their cost, as one: the first whose answer passes all of its checks answers, and the last one
 * what is left. At least two stages, and at least one check in each but the last:
 *
 *   {"kind": "finished"}                            the answer was not cut off by max_tokens or a full context
 *   {"kind": "length", "least": 1, "most": 200}     characters of the text, whitespace at its ends aside
 *   {"kind": "no_refusal", "phrases": ["as an AI"]} none of these in the text, in upper or lower case
 *   {"kind": "json", "keys": ["city"]}              one JSON value; with "keys": an object that has them
 *   {"kind": "confident", "probe": {...}, "above": 0.8}
 *                                                   selvedge_answer_confidence by this probe (as "probe" of monitor.h) is
 *                                                   above it; left out: there is one
 *
 * The sum of usage and the route "cascade(small, large)" say who was asked. Free it with selvedge_cascade_free.
 * Errors: INVALID_ARGUMENT (also engines of tensors whose names or dtypes differ). */
SELVEDGE_API selvedge_status selvedge_cascade_new(const selvedge_stage *stages, size_t stage_count,
                                                  selvedge_on_error on_error, SELVEDGE_OUT(selvedge_cascade) out,
                                                  SELVEDGE_ERR err);

/* The engines as one. */
SELVEDGE_API selvedge_status selvedge_cascade_engine(const selvedge_cascade *cascade, SELVEDGE_OUT(selvedge_engine) out,
                                                     SELVEDGE_ERR err);

/* What the cascade did, as a JSON object: calls, stages [{model, asked, accepted, failed, refused [{check, answers}]}].
 * Free the buffer with selvedge_buffer_free. */
SELVEDGE_API selvedge_status selvedge_cascade_status_json(const selvedge_cascade *cascade,
                                                          SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* Frees the handle. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_cascade_free(selvedge_cascade *SELVEDGE_NULLABLE cascade);

/* How sure the model was of its answer, in [0, 1]: by a probe that reads predictions, as "probe" of monitor.h, of an
 * engine that gives such answers. Of several rows it is the least; NaN where there is none. Errors: INVALID_ARGUMENT. */
SELVEDGE_API selvedge_status selvedge_answer_confidence(const selvedge_answer *answer, const selvedge_engine *engine,
                                                        const char *probe, size_t probe_len, double *confidence,
                                                        SELVEDGE_ERR err);

/* A threshold of confidence, and what it promises. */
typedef struct selvedge_threshold {
  size_t struct_size;
  double above;                        /* an answer above it is accepted; minus infinity: all that have a confidence (leave
                                        * "above" out of the check) */
  double bound;                        /* (wrong and accepted + 1) / (rows + 1), at most the error rate asked for */
  double escalated;                    /* rows that go to the next engine, as a share of all, */
  double escalated_low;                /* and its bounds with 95 % confidence */
  double escalated_high;
  double wrong_of_accepted;            /* wrong rows, as a share of those accepted, */
  double wrong_low;                    /* and its bounds */
  double wrong_high;
  uint64_t rows;
  uint64_t accepted;
} selvedge_threshold;
#define SELVEDGE_THRESHOLD_INIT { sizeof(selvedge_threshold), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* The lowest threshold at which at most `error_rate` (above 0, below 1) of all requests get a wrong answer from the cheap
 * engine (conformal risk control): from held-out answers, of each its confidence (NaN: none) and a byte, 1 if it was right
 * and 0 if not. Nothing is kept of the columns. Errors: INVALID_ARGUMENT (also fewer than 1 / error_rate - 1 rows). */
SELVEDGE_API selvedge_status selvedge_threshold_fit(const float *confidences, const uint8_t *right, size_t row_count,
                                                    double error_rate, selvedge_threshold *threshold, SELVEDGE_ERR err);

/* ---- Models ---- */

/* A budget of so many bytes for models that share it: each is opened when it is first asked, and closed again, the least
 * recently used first, where another one needs the room. One with runs in flight is never closed. Free it with
 * selvedge_models_free. */
SELVEDGE_API selvedge_status selvedge_models_new(uint64_t budget, SELVEDGE_OUT(selvedge_models) out, SELVEDGE_ERR err);

/* Adds the model file at `path` under a name; it is looked at, and not opened yet. `options` may be NULL, and its cancel,
 * progress and on_progress must be. Errors: those of selvedge_inspect, INVALID_ARGUMENT (a name that is taken),
 * OUT_OF_MEMORY (more than the budget, by estimate). */
SELVEDGE_API selvedge_status selvedge_models_add(const selvedge_models *models, const char *name, size_t name_len,
                                                 const char *path, size_t path_len,
                                                 const selvedge_options *SELVEDGE_NULLABLE options, SELVEDGE_ERR err);

/* Adds a version of a store, by its id as of selvedge_store_versions_json; the store stays open as long as the models do.
 * Else as selvedge_models_add. Errors: those, and NOT_FOUND, CORRUPT. */
SELVEDGE_API selvedge_status selvedge_models_add_version(const selvedge_models *models, const char *name, size_t name_len,
                                                         const selvedge_store *store, const char *id, size_t id_len,
                                                         const selvedge_options *SELVEDGE_NULLABLE options,
                                                         SELVEDGE_ERR err);

/* The model of a name as an engine, opened now if it is not open. It opens the model again when it is asked. Errors:
 * NOT_FOUND (a name that was not added), BUSY (runs in flight leave no room), those of selvedge_engine_open. */
SELVEDGE_API selvedge_status selvedge_models_engine(const selvedge_models *models, const char *name, size_t name_len,
                                                    SELVEDGE_OUT(selvedge_engine) out, SELVEDGE_ERR err);

/* Trims the models that are open, which stay open, and says how many bytes that freed. */
SELVEDGE_API selvedge_status selvedge_models_trim(const selvedge_models *models, selvedge_trim level, uint64_t *freed,
                                                  SELVEDGE_ERR err);

/* Gives memory back, as much as the pressure asks for, and says how many bytes: for the system's warnings. */
SELVEDGE_API selvedge_status selvedge_models_pressure(const selvedge_models *models, selvedge_pressure pressure,
                                                      uint64_t *freed, SELVEDGE_ERR err);

/* Looks at the system's pressure stall information every two seconds, on a thread of its own, and does as
 * selvedge_models_pressure where memory is short, until the handle is freed. A second time is as once. Errors: UNSUPPORTED
 * (a system without such information). */
SELVEDGE_API selvedge_status selvedge_models_watch_pressure(const selvedge_models *models, SELVEDGE_ERR err);

/* What is open and what it takes, as a JSON object: budget, used, open [name], opened, evicted. Free the buffer with
 * selvedge_buffer_free. */
SELVEDGE_API selvedge_status selvedge_models_status_json(const selvedge_models *models,
                                                         SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* Frees the handle; engines of it go on sharing the budget. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_models_free(selvedge_models *SELVEDGE_NULLABLE models);

SELVEDGE_END
#endif /* SELVEDGE_LAYERS_H */
