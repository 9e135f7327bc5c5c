/* selvedge/monitor.h: an engine that is watched: alerts, feedback, report. Include "selvedge.h".
 *
 * The configuration is a JSON object; a name that is not known is refused, and null is as left out. All but "probe" may
 * be left out:
 *
 *   "probe"        what is looked at, one or a list of ([]: outcomes, latency and tokens alone):
 *                    {"kind": "columns", "input": "x", "names": ["temp", "sky"], "categories": ["sky"]}
 *                      a tensor [rows, columns] of the request; "output" in the place of "input": of the answer
 *                    {"kind": "classes", "output": "probabilities", "softmax": false, "binary": false}
 *                      class, confidence and entropy of a tensor [rows, classes], or of the probability of class 1 in a
 *                      tensor [rows, 1]; softmax: of logits; binary: of one probability a row in a tensor [rows]
 *                    {"kind": "image", "input": "image", "layout": "chw" | "hwc"}
 *                      brightness, contrast, sharpness and saturation; layout: of the shape, if left out
 *                    {"kind": "audio", "input": "wave", "sample_rate": 16000}
 *                      loudness, zero_crossings, centroid and clipping
 *                    {"kind": "embeddings", "output": "embedding"}
 *                      vectors of an answer, as a whole; output: those of selvedge_engine_embed, if left out
 *                    {"kind": "tokens"}
 *                      prompt_tokens, answer_tokens, mean_logprob, least_logprob and finish of a text
 *                  a tensor that is left out is the first one
 *   "window"       rows of a window, 8 to 65536; 1024
 *   "time_cap_s"   seconds after which a window closes with fewer rows; 3600
 *   "learn"        windows to learn a profile from, where none is given; 4, and 0 learns none
 *   "false_alarm"  {"windows": 10000}: one in so many windows, or {"every_s": 604800, "rows_per_s": 0.5}: one in so long;
 *                  10000 windows
 *   "persistence"  [2, 3]: windows that must show it, of so many up to 8
 *   "calm"         windows without it until an alert is cleared; 3
 *   "unlabelled"   answers kept for feedback that comes later; 4096
 *   "slo"          {"p50_ms", "p95_ms", "p99_ms", "errors", "refusals", "length_stops", "schema_valid", "min_cases"}:
 *                  bounds of latencies and of shares (0 to 1); none
 *   "detectors"    [{"stream": "latency" | "errors" | "confidence", "kind": and its parameters}]; of each stream one:
 *                    "adwin" (the default): "delta" 0.002, "clock" 32
 *                    "page_hinkley": "delta" 0.25, "threshold" 35, "forgetting" 1
 *                    "kswin": "alpha" 0.000001, "window" 300, "latest" 100
 *                    "ddm", of errors alone */
#ifndef SELVEDGE_MONITOR_H
#define SELVEDGE_MONITOR_H

#include "engine.h"
#include "profile.h"
#include "telemetry.h"

SELVEDGE_BEGIN

SELVEDGE_ENUM_BEGIN(selvedge_alert_event)
  SELVEDGE_ALERT_NONE = 0,             /* no alert is waiting */
  SELVEDGE_ALERT_RAISED = 1,
  SELVEDGE_ALERT_CLEARED = 2
SELVEDGE_ENUM_END(selvedge_alert_event)

SELVEDGE_ENUM_BEGIN(selvedge_severity)
  SELVEDGE_SEVERITY_NONE = 0,          /* no alert */
  SELVEDGE_SEVERITY_WARNING = 1,
  SELVEDGE_SEVERITY_CRITICAL = 2
SELVEDGE_ENUM_END(selvedge_severity)

SELVEDGE_ENUM_BEGIN(selvedge_action)
  SELVEDGE_ACTION_NONE = 0,            /* no alert */
  SELVEDGE_ACTION_CHECK_PIPELINE = 1,  /* what comes in is broken: look at sensors and preparation */
  SELVEDGE_ACTION_RETRAIN = 2,         /* the world is another: make a new model */
  SELVEDGE_ACTION_ROLL_BACK = 3        /* the model is worse than it was: go back to the one before */
SELVEDGE_ENUM_END(selvedge_action)

SELVEDGE_ENUM_BEGIN(selvedge_label)
  SELVEDGE_LABEL_CLASS = 1,            /* the value is the right class, below 65,535 */
  SELVEDGE_LABEL_CORRECT = 2           /* the value is 1 if the answer was right, 0 if it was not */
SELVEDGE_ENUM_END(selvedge_label)

SELVEDGE_ENUM_BEGIN(selvedge_label_verdict)
  SELVEDGE_VERDICT_NONE = 0,           /* the call failed */
  SELVEDGE_VERDICT_UNKNOWN = 1,        /* no answer of this id is waiting for feedback */
  SELVEDGE_VERDICT_STEADY = 2,         /* the model is as right as it was */
  SELVEDGE_VERDICT_SUSPECT = 3,        /* it may be less right */
  SELVEDGE_VERDICT_DRIFTED = 4         /* it is less right */
SELVEDGE_ENUM_END(selvedge_label_verdict)

typedef struct selvedge_monitor selvedge_monitor; /* an engine that is watched */

/* An alert, raised or cleared. */
typedef struct selvedge_alert {
  size_t struct_size;
  selvedge_alert_event event;
  selvedge_severity severity;
  selvedge_action action;
  uint32_t reserved;                   /* 0 */
  uint64_t since;                      /* the number of the window in which it was raised, */
  uint64_t at;                         /* and of the one in which this happened: the same, or where it was cleared */
  selvedge_text kind;                  /* "shift", "missing_values", "out_of_range", "new_category", "dead_feature",
                                        * "embedding_drift", "concept_drift", "change" (of a stream), "broken_promise"
                                        * (of "slo"); more may come */
  selvedge_text feature;               /* which feature, stream or bound */
  selvedge_text evidence;              /* the numbers, in a sentence */
} selvedge_alert;
#define SELVEDGE_ALERT_INIT { sizeof(selvedge_alert), SELVEDGE_ALERT_NONE, SELVEDGE_SEVERITY_NONE, \
  SELVEDGE_ACTION_NONE, 0, 0, 0, { NULL, 0 }, { NULL, 0 }, { NULL, 0 } }

/* Tells an alert: one at a time, in the order of what happened, and never to two threads at once. The alert lives until
 * the callback returns. */
typedef void (*selvedge_alert_fn)(void *SELVEDGE_NULLABLE user_data, const selvedge_alert *alert);

/* How an engine is watched. */
typedef struct selvedge_monitor_options {
  size_t struct_size;
  selvedge_text config;                /* a JSON object, as above */
  const selvedge_profile *SELVEDGE_NULLABLE profile; /* what the model was made for; NULL: learned, or none */
  selvedge_alert_fn SELVEDGE_NULLABLE on_alert; /* NULL: only by selvedge_monitor_next_alert */
  void *SELVEDGE_NULLABLE user_data;   /* of on_alert and release */
  selvedge_release_fn SELVEDGE_NULLABLE release; /* called once: see selvedge_monitor_new */
} selvedge_monitor_options;
#define SELVEDGE_MONITOR_OPTIONS_INIT { sizeof(selvedge_monitor_options), { NULL, 0 }, NULL, NULL, NULL, NULL }

/* Watches an engine: ask the one of selvedge_monitor_engine in its place. Free it with selvedge_monitor_free; the
 * engine, telemetry and profile may be closed and freed before. A second monitor of the same model and telemetry takes
 * the place of the first, whose on_alert is called no more. `release` is called when that happens, else after this
 * monitor, all monitors of the same telemetry and all their engines are freed; before the return if the call fails, unless
 * `options` cannot be read. Errors: INVALID_ARGUMENT (a configuration, or a profile, that does not fit the engine; an
 * input or output that the probe names and the engine does not have). */
SELVEDGE_API selvedge_status selvedge_monitor_new(const selvedge_engine *engine, const selvedge_telemetry *telemetry,
                                                  const selvedge_monitor_options *options,
                                                  SELVEDGE_OUT(selvedge_monitor) out, SELVEDGE_ERR err);

/* The watched engine, like any other; close it with selvedge_engine_close. Give each call an id of its own
 * (selvedge_call.id) for feedback to come. */
SELVEDGE_API selvedge_status selvedge_monitor_engine(const selvedge_monitor *monitor, SELVEDGE_OUT(selvedge_engine) out,
                                                     SELVEDGE_ERR err);

/* The next alert that was raised or cleared since the monitor was made, oldest first, whether or not on_alert was told;
 * its event is NONE when there is none. At most 1,024 wait, beyond which the oldest is lost. Texts live until the next
 * call of this, or until the monitor is freed. Errors: BUSY. */
SELVEDGE_API selvedge_status selvedge_monitor_next_alert(selvedge_monitor *monitor, selvedge_alert *alert,
                                                         SELVEDGE_ERR err);

/* Says what was right for the answer of an id, and puts what that means in `verdict`. The rows of one call have the ids
 * from the call's on. Errors: INVALID_ARGUMENT (id 0; a label or value that is none; a class, where the probe sees
 * none). */
SELVEDGE_API selvedge_status selvedge_monitor_feedback(const selvedge_monitor *monitor, uint64_t id,
                                                       selvedge_label label, uint32_t value,
                                                       selvedge_label_verdict *verdict, SELVEDGE_ERR err);

/* Takes in what was recorded, judges windows that are full or too old, and writes to the telemetry folder. Calls do so
 * by themselves now and then; for a timer, or before an app is suspended. */
SELVEDGE_API selvedge_status selvedge_monitor_tick(const selvedge_monitor *monitor, SELVEDGE_ERR err);

/* As selvedge_monitor_tick, and closes the window that is open. */
SELVEDGE_API selvedge_status selvedge_monitor_close_window(const selvedge_monitor *monitor, SELVEDGE_ERR err);

/* The state of the model as a JSON object: model, version, reference ("given", "learned", "learning", "none"), learning
 * (null, or {rows, of}), totals {requests, rows, faults, tokens_in, tokens_out, windows}, in_progress (records of the open
 * window), missed_rows, unclaimed, alerts that stand [{kind, feature, severity ("warning" or "critical"), action
 * ("check_pipeline", "retrain" or "roll_back"), since, evidence}], accuracy and estimated_accuracy (null, or {value, low,
 * high, of}), adjusted_accuracy (null, or {value, of, adjusted, offset, rows, labels, right, wrong}: that by the labels so far,
 * however late they come, found from so many answers with so many labels; adjusted is false while labels of right or of wrong
 * answers, of windows old enough for all of theirs, are fewer than 10), reach [{feature, shift, missing, out_of_range, dead}] (rows until such a break is seen; null: never), the
 * last 32 windows [{index, rows, drifted (null: not compared), features [{name, p, psi, drifted, finding}]}], telemetry (as
 * of selvedge_telemetry_status_json). Free the buffer with selvedge_buffer_free. */
SELVEDGE_API selvedge_status selvedge_monitor_report_json(const selvedge_monitor *monitor,
                                                          SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* The profile that rows are compared with; free it with selvedge_profile_free. Errors: NOT_FOUND (none given, and none
 * learned yet). */
SELVEDGE_API selvedge_status selvedge_monitor_profile(const selvedge_monitor *monitor, SELVEDGE_OUT(selvedge_profile) out,
                                                      SELVEDGE_ERR err);

/* Frees the handle; engines of it that are open go on being watched. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_monitor_free(selvedge_monitor *SELVEDGE_NULLABLE monitor);

/* ---- Labels that come late ---- */

/* Rows that a model scored, and what has come to be known of them. Times are whole numbers of any one unit, such as days
 * since 1970. Nothing is copied. Numbers that are not aligned are. */
typedef struct selvedge_history {
  size_t struct_size;
  const double *SELVEDGE_NULLABLE scores; /* higher where class 1 is more likely; NULL only if there are no rows */
  const int64_t *SELVEDGE_NULLABLE at; /* when each was scored */
  const uint8_t *SELVEDGE_NULLABLE labels; /* 1 or 0: class 1 or not; 2: not known yet */
  const int64_t *SELVEDGE_NULLABLE came; /* when the label came to be known; of one that is not known, it does not count */
  size_t row_count;
  int64_t now;                         /* labels from after it are as not known; rows are not from after it */
  int64_t window;                      /* how far back from the newest row is learned from; 0: 360 */
  int64_t curve;                       /* how much older than the longest delay a row may be to count for the arrival of
                                        * labels; 0: 1,080 */
  double threshold;                    /* the model predicts class 1 from this score on */
} selvedge_history;
#define SELVEDGE_HISTORY_INIT { sizeof(selvedge_history), NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0 }

/* What to expect of a model; NaN for no rows. */
typedef struct selvedge_estimate {
  size_t struct_size;
  double accuracy;                     /* of the new rows, in [0, 1], */
  double ones;                         /* and the share of class 1 among them, by the labels so far; */
  double cbpe_accuracy;                /* by the reference alone (CBPE): if nothing has changed; */
  double cbpe_ones;
  double in_flight_accuracy;           /* of the rows of the history, once all of their labels have come */
  double in_flight_ones;
  double offset;                       /* what the labels add to the logit of every probability; 0: too few have come */
  uint64_t rows;                       /* rows that it was found from */
} selvedge_estimate;
#define SELVEDGE_ESTIMATE_INIT { sizeof(selvedge_estimate), 0, 0, 0, 0, 0, 0, 0, 0 }

/* Estimates the accuracy of a model of two classes on rows without labels, where those of others come late, and perhaps
 * later for one class than for the other: from a labelled reference (a byte a row: 1 or 0), what use has brought, and the
 * scores of the new rows. Nothing is kept of the columns. Errors: INVALID_ARGUMENT (no reference; a score that is not finite;
 * a row from after now; a label from before its row). */
SELVEDGE_API selvedge_status selvedge_delayed_estimate(const double *reference_scores, const uint8_t *reference_labels,
                                                       size_t reference_count, const selvedge_history *history,
                                                       const double *SELVEDGE_NULLABLE scores, size_t score_count,
                                                       selvedge_estimate *estimate, SELVEDGE_ERR err);

SELVEDGE_END
#endif /* SELVEDGE_MONITOR_H */
