/* Layers and deployments: what they are made of is closed before them and while threads ask, in any order; callers that are
 * refused; stages that are none. */
#include <pthread.h>

#include "misuse.h"

static struct ground g;

static int ask(const selvedge_engine *engine) {
  int status;
  selvedge_answer_free(ask_rain(engine, NULL, &status));
  return status;
}

static void caches(void) {
  selvedge_engine *inner = open_rain(), *engine;
  selvedge_cache *cache;
  selvedge_error *err;
  must(selvedge_cache_new(inner, 65536, &cache, &err), "a cache", err);
  must(selvedge_cache_engine(cache, &engine, &err), "its engine", err);
  CASE("the engine below a cache is closed", selvedge_engine_close(inner), SELVEDGE_OK);
  CASE("and the cache", selvedge_cache_free(cache), SELVEDGE_OK);
  CASE("its engine answers", ask(engine), SELVEDGE_OK);
  must(selvedge_cache_new(engine, UINT64_MAX, &cache, &err), "a cache around a cache", err);
  CASE("a cache of a cache outlives it", selvedge_engine_close(engine), SELVEDGE_OK);
  must(selvedge_cache_engine(cache, &engine, &err), "its engine", err);
  CASE("and answers", ask(engine), SELVEDGE_OK);
  must(selvedge_cache_free(cache), "freeing", NULL);
  must(selvedge_engine_close(engine), "closing", NULL);
}

/* A run that has begun holds the one slot; a call on the same thread waits for it until its deadline. */
static void schedules(void) {
  selvedge_engine *inner = open_rain(), *engine;
  selvedge_schedule *schedule;
  selvedge_error *err;
  selvedge_run *run;
  selvedge_answer *answer;
  selvedge_call call = SELVEDGE_CALL_INIT;
  int status;
  static const char one[] = "{\"capacity\": 1}";
  must(selvedge_schedule_new(one, strlen(one), &schedule, &err), "a schedule", err);
  must(selvedge_schedule_around(schedule, inner, 1, &engine, &err), "its engine", err);
  must(selvedge_engine_close(inner), "closing", NULL);
  fill_ground(&g, NULL);
  must(selvedge_engine_start(engine, &g.structs.tensors.s, NULL, &run, &err), "a run that waits", err);
  CASE("a queue that is full", ask(engine), SELVEDGE_ERR_BUSY);
  status = selvedge_engine_run(engine, &g.structs.tensors.s, NULL, &answer, &err);
  TRUTH("and says when to come again", status == SELVEDGE_ERR_BUSY && selvedge_error_retry_after_ms(err) > 0);
  must(selvedge_error_free(err), "freeing", NULL);
  CASE("a schedule is freed under a run", selvedge_schedule_free(schedule), SELVEDGE_OK);
  CASE("once more", selvedge_schedule_free(schedule), SELVEDGE_ERR_BAD_HANDLE);
  CASE("the run is freed", selvedge_run_free(run), SELVEDGE_OK);
  call.timeout_ms = 60000;
  selvedge_answer_free(ask_rain(engine, &call, &status));
  TRUTH("its place is free", status == SELVEDGE_OK);
  must(selvedge_engine_close(engine), "closing", NULL);
}

static void cascades(void) {
  selvedge_engine *engine = open_rain();
  selvedge_stage stages[2] = { SELVEDGE_STAGE_INIT, SELVEDGE_STAGE_INIT };
  selvedge_cascade *cascade;
  fill_ground(&g, NULL);
  stages[0].engine = stages[1].engine = engine;
  stages[0].checks = g.structs.stage.s.checks;
  CASE("two stages of one engine", selvedge_cascade_new(stages, 2, SELVEDGE_ON_ERROR_RETURN, &cascade, NULL), SELVEDGE_OK);
  CASE("its engine is closed before it", selvedge_engine_close(engine), SELVEDGE_OK);
  CASE("a cascade is freed", selvedge_cascade_free(cascade), SELVEDGE_OK);
  CASE("of an engine that was closed", selvedge_cascade_new(stages, 2, SELVEDGE_ON_ERROR_RETURN, &cascade, NULL),
       SELVEDGE_ERR_BAD_HANDLE);
  stages[1].struct_size += 8;
  CASE("two stages of two sizes", selvedge_cascade_new(stages, 2, SELVEDGE_ON_ERROR_RETURN, &cascade, NULL),
       SELVEDGE_ERR_INVALID_ARGUMENT);
}

static struct {
  selvedge_engine *engine;
  selvedge_deployment *deployment;
  int failed[4];
} shared;

static void *asks(void *user_data) {
  int *failed = user_data, i;
  for (i = 0; i < 200; i++) *failed += ask(shared.engine) != SELVEDGE_OK;
  return NULL;
}

static void *looks(void *user_data) {
  int *failed = user_data, i;
  for (i = 0; i < 200; i++) {
    selvedge_buffer *status;
    int got = selvedge_deployment_status_json(shared.deployment, &status, NULL);
    selvedge_buffer_free(status);
    *failed += got != SELVEDGE_OK && got != SELVEDGE_ERR_BAD_HANDLE;
  }
  return NULL;
}

/* The store is closed before the deployment, and both while threads ask. */
static void deployments(void) {
  pthread_t threads[4];
  selvedge_store *store;
  selvedge_buffer *version;
  selvedge_error *err;
  int i;
  static const char config[] = "{\"model\": \"rain\"}";
  fill_ground(&g, NULL);
  must(selvedge_store_open(g.other_store, strlen(g.other_store), &g.structs.trust.s, &store, &err), "opening a store", err);
  must(selvedge_store_import(store, &g.structs.package.s, NULL, &version, &err), "importing", err);
  must(selvedge_buffer_free(version), "freeing", NULL);
  must(selvedge_deployment_new(store, config, strlen(config), NULL, NULL, &shared.deployment, &err), "a deployment", err);
  must(selvedge_deployment_engine(shared.deployment, &shared.engine, &err), "its engine", err);
  for (i = 0; i < 4; i++) {
    if (pthread_create(&threads[i], NULL, i % 2 ? looks : asks, &shared.failed[i]) != 0) exit(2);
  }
  CASE("a store is closed before its deployment", selvedge_store_close(store), SELVEDGE_OK);
  CASE("a deployment is freed while threads ask", selvedge_deployment_free(shared.deployment), SELVEDGE_OK);
  CASE("once more", selvedge_deployment_free(shared.deployment), SELVEDGE_ERR_BAD_HANDLE);
  for (i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  TRUTH("no answer was lost", shared.failed[0] + shared.failed[2] == 0);
  TRUTH("a status is there, or the handle is stale", shared.failed[1] + shared.failed[3] == 0);
  CASE("the store is busy while the engine is open",
       selvedge_store_open(g.other_store, strlen(g.other_store), &g.structs.trust.s, &store, NULL), SELVEDGE_ERR_BUSY);
  CASE("the engine is closed last", selvedge_engine_close(shared.engine), SELVEDGE_OK);
  CASE("and the store is free", selvedge_store_open(g.other_store, strlen(g.other_store), &g.structs.trust.s, &store, NULL),
       SELVEDGE_OK);
  CASE("where a deployment left off, the first version does not matter",
       selvedge_deployment_new(store, "{\"model\": \"rain\", \"first\": \"v9\"}", 32, NULL, NULL, &shared.deployment, NULL),
       SELVEDGE_OK);
  must(selvedge_deployment_free(shared.deployment), "freeing", NULL);
  must(selvedge_store_close(store), "closing", NULL);
}

void misuse_layers(void) {
  caches();
  schedules();
  cascades();
  deployments();
}
