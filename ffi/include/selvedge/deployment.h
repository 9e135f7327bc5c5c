/* selvedge/deployment.h: an engine over the versions of a store: new ones in, bad ones back out. Include "selvedge.h".
 *
 * A version is named "v" and its number: "v3". One is current, and another may be on trial: it is loaded beside the current
 * one, must give the golden answers of its package, and comes in by its plan: at once, compared in the shadow first, or as a
 * canary for a share of devices and calls. What is found worse gets no further call, and is not taken again. No call fails or
 * waits for a switch. The state lies in the store: a process that ends at any moment goes on where it was.
 *
 * The configuration is a JSON object; all but "model" may be left out:
 *
 *   "model"        name of the model over all its versions
 *   "first"        version to begin with, where the store has no state of a deployment: "v1"; the store's current version,
 *                  or else its highest
 *   "install_id"   what tells this device from others: a random text that the app keeps; without it, a device takes part in
 *                  rollouts to all devices only
 *   "memory"       bytes that versions may take together; a version that does not fit beside the current one is loaded after
 *                  that one has drained
 *   "self_test_s"  seconds that the golden cases of a version may take together; 60
 *   "key"          "call": calls alternate between the arms, the default; "caller": each caller stays in one arm
 *                  (selvedge_engine_for_caller; calls of caller 0 alternate)
 *   "judge"        {"false_alarm": 0.01, "false_promotion": 0.05, "min_answers": 100, "slo_ms", "errors": 0.02,
 *                  "latency": 0.05, "accuracy"}: rates, the objective for the time of an answer, and the margins by which the
 *                  share of failed, slow and wrong answers may be larger; with "accuracy" there is no promotion without labels
 *   "monitor"      a configuration as of monitor.h: each version is watched, with the profile of its package. Needs telemetry,
 *                  and telemetry needs it. The alerts that stand for a version count in its verdict; each step of a version,
 *                  with verdict and evidence, is recorded in the telemetry
 *
 * A plan is a JSON object; all but "kind" may be left out:
 *
 *   "kind"         "blue_green": all calls, right after the self-test; "canary": half of the calls until there is a verdict;
 *                  "ab": half of the calls until the app promotes it or takes it back
 *   "devices"      share of the devices that take part, 0 to 10000; what signed metadata of the version say
 *   "calls"        share of the calls, 0 to 10000
 *   "shadow"       answers that are compared in the background before anything else; 0
 *   "likeness"     when two answers are alike there: "exact", the default, "top1", {"absolute": 1e-4, "relative": 0} for
 *                  numbers, {"text": 0.9} for texts
 *   "by_hand"      true: the app promotes (selvedge_deployment_promote)
 *   "salt"         what devices and callers are hashed with; the version's name */
#ifndef SELVEDGE_DEPLOYMENT_H
#define SELVEDGE_DEPLOYMENT_H

#include "engine.h"
#include "monitor.h"
#include "store.h"
#include "telemetry.h"

SELVEDGE_BEGIN

/* Where a version is on its way. */
SELVEDGE_ENUM_BEGIN(selvedge_rollout)
  SELVEDGE_ROLLOUT_NONE = 0,           /* the call failed */
  SELVEDGE_ROLLOUT_OUTSIDE = 1,        /* this device does not take part */
  SELVEDGE_ROLLOUT_LOADING = 2,
  SELVEDGE_ROLLOUT_SELF_TEST = 3,
  SELVEDGE_ROLLOUT_SHADOW = 4,         /* it answers in the background, and is compared */
  SELVEDGE_ROLLOUT_CANARY = 5,         /* it answers a share of the calls, and is judged */
  SELVEDGE_ROLLOUT_PROMOTED = 6,       /* it is current */
  SELVEDGE_ROLLOUT_DRAINING = 7,       /* it gets no new call; those under way go on */
  SELVEDGE_ROLLOUT_RETIRED = 8,        /* it was current once */
  SELVEDGE_ROLLOUT_ROLLED_BACK = 9,    /* it was judged worse, or taken back; it is not taken again */
  SELVEDGE_ROLLOUT_MISSED = 10,        /* it did not open, failed its self-test, or the process died in it */
  SELVEDGE_ROLLOUT_QUARANTINED = 11,   /* it missed twice; it is not taken again */
  SELVEDGE_ROLLOUT_OTHER = 255
SELVEDGE_ENUM_END(selvedge_rollout)

typedef struct selvedge_deployment selvedge_deployment; /* an engine over versions */

/* Makes a deployment, and blocks until its current version is loaded; one that an earlier process had on trial is loaded and
 * tested anew. `options` say how versions are opened; its cancel, progress and on_progress must be NULL. With a crash record
 * in it, a death of the process in a version is a miss of that version. Store and telemetry may be closed before it. Free it
 * with selvedge_deployment_free. Errors: INVALID_ARGUMENT, NOT_FOUND (no version of this model), CORRUPT, UNSUPPORTED (a store
 * that was opened for reading), those of selvedge_engine_open. */
SELVEDGE_API selvedge_status selvedge_deployment_new(const selvedge_store *store, const char *config, size_t config_len,
                                                     const selvedge_telemetry *SELVEDGE_NULLABLE telemetry,
                                                     const selvedge_options *SELVEDGE_NULLABLE options,
                                                     SELVEDGE_OUT(selvedge_deployment) out, SELVEDGE_ERR err);

/* The engine over the versions. selvedge_answer_version says which version gave an answer. */
SELVEDGE_API selvedge_status selvedge_deployment_engine(const selvedge_deployment *deployment,
                                                        SELVEDGE_OUT(selvedge_engine) out, SELVEDGE_ERR err);

/* Offers a version that the store has: loads and tests it on this thread, sends it on its way by the plan, and says where it
 * is then. Of one that missed, "misses" of the status say why. Errors: INVALID_ARGUMENT (a version that was rolled back or
 * quarantined; a plan), BUSY (another one is on trial, or this one still drains), OUT_OF_MEMORY, IO. */
SELVEDGE_API selvedge_status selvedge_deployment_offer(const selvedge_deployment *deployment, const char *version,
                                                       size_t version_len, const char *plan, size_t plan_len,
                                                       selvedge_rollout *phase, SELVEDGE_ERR err);

/* Promotes the version on trial, whatever the judge says. Errors: INVALID_ARGUMENT (none answers calls), IO. */
SELVEDGE_API selvedge_status selvedge_deployment_promote(const selvedge_deployment *deployment, SELVEDGE_ERR err);

/* Takes the version on trial back; or, where there is none, the current one: the one before it takes its place. Gives the name
 * of the version that is current then; free the buffer with selvedge_buffer_free. Errors: INVALID_ARGUMENT (there is none
 * before, or it may not come back), BACKEND (it does not serve: the current one stays). */
SELVEDGE_API selvedge_status selvedge_deployment_roll_back(const selvedge_deployment *deployment,
                                                           SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* Lets a version that was rolled back or quarantined be offered again. */
SELVEDGE_API selvedge_status selvedge_deployment_forgive(const selvedge_deployment *deployment, const char *version,
                                                         size_t version_len, SELVEDGE_ERR err);

/* Says whether an answer of this version (selvedge_answer_version) was right: `value` is 1 if it was, 0 if not. A verdict that
 * follows is acted on before this returns. Of versions that are neither current nor on trial it counts for nothing. */
SELVEDGE_API selvedge_status selvedge_deployment_label(const selvedge_deployment *deployment, const char *version,
                                                       size_t version_len, uint32_t value, SELVEDGE_ERR err);

/* The monitor of a version that is loaded and watched: its alerts, its report, feedback. It keeps the version in memory until
 * it is freed, with selvedge_monitor_free. Errors: NOT_FOUND. */
SELVEDGE_API selvedge_status selvedge_deployment_monitor(const selvedge_deployment *deployment, const char *version,
                                                         size_t version_len, SELVEDGE_OUT(selvedge_monitor) out,
                                                         SELVEDGE_ERR err);

/* The status as a JSON object: current, previous (null, or the version before), candidate (null, or {version, phase, plan
 * {devices, calls, shadow, canary, by_hand, salt}, control and counts {exposed, ended, failed, timed, slow, labelled, wrong} of
 * the current version and of this one, shadow {compared, alike, failed, dropped}, judged}), versions [{version, phase}], last
 * (null, or {version, judged} of the last verdict that was acted on), misses [{case, why}], is_saved. A phase is that of
 * selvedge_rollout in lower case; judged is {verdict ("promote", "hold" or "roll_back"), evidence [{name, verdict, control,
 * candidate, worse, no_worse, words}]}. Free the buffer with selvedge_buffer_free. */
SELVEDGE_API selvedge_status selvedge_deployment_status_json(const selvedge_deployment *deployment,
                                                             SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* Waits until what was decided is saved and what was replaced has gone, or for so long, and puts 1 in `settled` if it is so,
 * 0 if not. */
SELVEDGE_API selvedge_status selvedge_deployment_settle(const selvedge_deployment *deployment, uint64_t at_most_ms,
                                                        int32_t *settled, SELVEDGE_ERR err);

/* Frees the handle; engines of it that are open go on, and keep the store open. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_deployment_free(selvedge_deployment *SELVEDGE_NULLABLE deployment);

SELVEDGE_END
#endif /* SELVEDGE_DEPLOYMENT_H */
