/* Handles: of each type one that is live, and one that was freed. */
#include <sys/stat.h>

#include "misuse.h"

#ifdef _WIN32
#  define mkdir(path, mode) mkdir(path)
#endif

const char *scratch, *rain_path, *table_path;
unsigned char profile_bytes[1 << 16];
size_t profile_bytes_len;
char key_pem[1024], package_path[512], version_id[65];
/* Of no file. The file that is received all along has another. */
const char some_digest[] = "7777777777777777777777777777777777777777777777777777777777777777";
static const char staged_digest[] = "8888888888888888888888888888888888888888888888888888888888888888";

static void release_got(struct hands *hands, int type, void *handle) {
  (void)hands;
  if (free_handle(type, handle) != SELVEDGE_OK) {
    printf("FAILED: %s: a handle that a call gave cannot be freed\n", handle_names[type]);
    cases_failed++;
  }
}

selvedge_engine *open_rain(void) {
  selvedge_engine *engine;
  selvedge_error *err;
  selvedge_options options = SELVEDGE_OPTIONS_INIT;
  options.backend = SELVEDGE_BACKEND_TRACT;
  must(selvedge_engine_open(rain_path, strlen(rain_path), &options, &engine, &err), "opening the model", err);
  return engine;
}

/* Two days of weather, asked; the caller frees the answer. */
selvedge_answer *ask_rain(const selvedge_engine *engine, const selvedge_call *call, int *status) {
  struct ground g;
  selvedge_answer *answer;
  fill_ground(&g, NULL);
  *status = selvedge_engine_run(engine, &g.structs.tensors.s, call, &answer, NULL);
  return answer;
}

static void *start_rain(const selvedge_engine *engine) {
  struct ground g;
  selvedge_run *run;
  selvedge_error *err;
  fill_ground(&g, NULL);
  must(selvedge_engine_start(engine, &g.structs.tensors.s, NULL, &run, &err), "starting a run", err);
  return run;
}

static void *end_run(selvedge_run *run) {
  selvedge_event event = SELVEDGE_EVENT_INIT;
  selvedge_error *err;
  while (event.kind != SELVEDGE_EVENT_DONE) must(selvedge_run_next(run, &event, &err), "a step of a run", err);
  return run;
}

void renew_run(struct hands *hands) {
  selvedge_run_free((selvedge_run *)hands->live[H_run]);
  hands->live[H_run] = start_rain((selvedge_engine *)hands->live[H_engine]);
}

/* Rows for a monitor, and a window that ends with them. */
static void ask_watched(selvedge_monitor *monitor, int rows) {
  selvedge_engine *watched;
  selvedge_error *err;
  int status;
  must(selvedge_monitor_engine(monitor, &watched, &err), "the watched engine", err);
  for (; rows > 0; rows--) {
    selvedge_answer_free(ask_rain(watched, NULL, &status));
    must(status, "a watched call", NULL);
  }
  must(selvedge_monitor_close_window(monitor, &err), "closing a window", err);
  selvedge_engine_close(watched);
}

/* Rows in the telemetry, and what is to be posted of them; a batch that was used up is followed by another. */
void renew_batch(struct hands *hands) {
  selvedge_batch *batch = NULL;
  selvedge_outbox *outbox = (selvedge_outbox *)hands->live[H_outbox];
  selvedge_error *err;
  if (selvedge_outbox_next_batch(outbox, 65536, &batch, NULL) == SELVEDGE_OK && batch == NULL) {
    ask_watched((selvedge_monitor *)hands->live[H_monitor], 8);
    must(selvedge_outbox_next_batch(outbox, 65536, &batch, &err), "the next batch", err);
  }
  if (batch == NULL) return;
  selvedge_batch_free((selvedge_batch *)hands->live[H_batch]);
  hands->live[H_batch] = batch;
}

/* Whether the version serves, and nothing is held against it. */
static int serves(const selvedge_store *store) {
  selvedge_buffer *current;
  const char *json;
  int well;
  if (*version_id == 0 || selvedge_store_current_json(store, &current, NULL) != SELVEDGE_OK) return 0;
  json = (const char *)selvedge_buffer_data(current, NULL);
  well = strstr(json, version_id) != NULL && strstr(json, "\"misses\":0") != NULL;
  selvedge_buffer_free(current);
  return well;
}

/* The version is there, is not held against, and serves, whatever was done to it. */
void renew_store(struct hands *hands) {
  struct ground g;
  selvedge_store *store = (selvedge_store *)hands->live[H_store];
  selvedge_buffer *version;
  selvedge_error *err;
  const char *id;
  if (serves(store)) return;
  fill_ground(&g, hands);
  if (*version_id == 0 || selvedge_store_verify(store, version_id, 64, NULL, NULL) != SELVEDGE_OK) {
    must(selvedge_store_import(store, &g.structs.package.s, NULL, &version, &err), "importing a package", err);
    id = strstr((const char *)selvedge_buffer_data(version, NULL), "\"id\":\"");
    must(id != NULL ? SELVEDGE_OK : SELVEDGE_ERR_INTERNAL, "the id of a version", NULL);
    memcpy(version_id, id + 6, 64);
    selvedge_buffer_free(version);
  }
  must(selvedge_store_pardon(store, version_id, 64, &err), "pardoning a version", err);
  must(selvedge_store_activate(store, version_id, 64, &err), "activating a version", err);
}

/* A file of which nothing is there yet. */
void renew_staged(struct hands *hands) {
  selvedge_store *store = (selvedge_store *)hands->live[H_store];
  selvedge_staged *staged;
  selvedge_buffer *removed;
  selvedge_error *err;
  must(selvedge_staged_free((selvedge_staged *)hands->live[H_staged]), "freeing a file", NULL);
  must(selvedge_store_gc(store, 1, &removed, &err), "making room", err);
  selvedge_buffer_free(removed);
  must(selvedge_store_stage(store, staged_digest, 64, 70000, &staged, &err), "receiving a file", err);
  hands->live[H_staged] = staged;
}

/* Layers around the engine, and a deployment over the one version of the store. */
static void make_layers(struct hands *hands) {
  struct ground g;
  selvedge_engine *engine = (selvedge_engine *)hands->live[H_engine];
  selvedge_stage stages[2] = { SELVEDGE_STAGE_INIT, SELVEDGE_STAGE_INIT };
  selvedge_cache *cache;
  selvedge_schedule *schedule;
  selvedge_cascade *cascade;
  selvedge_models *models;
  selvedge_deployment *deployment;
  selvedge_error *err;
  fill_ground(&g, hands);
  stages[0] = g.structs.stage.s;
  stages[1].engine = engine;
  must(selvedge_cache_new(engine, 65536, &cache, &err), "a cache", err);
  must(selvedge_schedule_new(NULL, 0, &schedule, &err), "a schedule", err);
  must(selvedge_cascade_new(stages, 2, SELVEDGE_ON_ERROR_ESCALATE, &cascade, &err), "a cascade", err);
  must(selvedge_models_new(1u << 30, &models, &err), "models", err);
  must(selvedge_models_add(models, "rain", 4, rain_path, strlen(rain_path), &g.structs.options.s, &err), "a model", err);
  must(selvedge_deployment_new((selvedge_store *)hands->live[H_store], g.deployment, strlen(g.deployment),
                               (selvedge_telemetry *)hands->live[H_telemetry], &g.structs.options.s, &deployment, &err),
       "a deployment", err);
  hands->live[H_cache] = cache;
  hands->live[H_schedule] = schedule;
  hands->live[H_cascade] = cascade;
  hands->live[H_models] = models;
  hands->live[H_deployment] = deployment;
}

static void make_store(struct hands *hands) {
  struct ground g;
  selvedge_store *store;
  selvedge_error *err;
  fill_ground(&g, hands);
  must(selvedge_store_open(g.store, strlen(g.store), &g.structs.trust.s, &store, &err), "opening a store", err);
  hands->live[H_store] = store;
  renew_store(hands);
  renew_staged(hands);
}

static void make_error(struct hands *hands, void **out) {
  selvedge_error *err;
  selvedge_engine *engine;
  (void)hands;
  selvedge_engine_open("no/such/model", 13, NULL, &engine, &err);
  *out = err;
}

static void make_base(void **live) {
  selvedge_cancel *cancel;
  selvedge_progress *progress;
  selvedge_error *err;
  must(selvedge_cancel_new(&cancel, &err), "a cancel", err);
  must(selvedge_progress_new(&progress, &err), "a progress", err);
  make_error(NULL, &live[H_error]);
  live[H_cancel] = cancel;
  live[H_progress] = progress;
}

static void make_engine(struct hands *hands, void **live) {
  int status;
  (void)hands;
  live[H_engine] = open_rain();
  live[H_run] = start_rain((selvedge_engine *)live[H_engine]);
  live[H_answer] = ask_rain((selvedge_engine *)live[H_engine], NULL, &status);
  must(status, "running the model", NULL);
}

static void make_profile(void **live) {
  struct ground g;
  selvedge_profile *profile;
  selvedge_buffer *buffer;
  selvedge_error *err;
  fill_ground(&g, NULL);
  must(selvedge_profile_fit(&g.structs.rows.s, NULL, &profile, &err), "fitting a profile", err);
  must(selvedge_profile_encode(profile, &buffer, &err), "encoding a profile", err);
  live[H_profile] = profile;
  live[H_buffer] = buffer;
}

static void make_watched(void **live) {
  struct ground g;
  selvedge_telemetry *telemetry;
  selvedge_monitor *monitor;
  selvedge_outbox *outbox;
  selvedge_table *table;
  selvedge_error *err;
  fill_ground(&g, NULL);
  must(selvedge_telemetry_open(scratch, strlen(scratch), NULL, &telemetry, &err), "opening telemetry", err);
  must(selvedge_monitor_new((selvedge_engine *)live[H_engine], telemetry, &g.structs.monitor_options.s, &monitor, &err),
       "watching the engine", err);
  /* It learns from two windows. */
  ask_watched(monitor, 16);
  must(selvedge_outbox_open(telemetry, scratch, strlen(scratch), &g.structs.outbox_options.s, &outbox, &err),
       "opening the outbox", err);
  prepare("selvedge_table_open", NULL, &g);
  must(selvedge_table_open(&g.structs.source.s, "embeddings", 10, SELVEDGE_LOADING_MAPPED, &table, &err),
       "opening a table", err);
  live[H_telemetry] = telemetry;
  live[H_monitor] = monitor;
  live[H_outbox] = outbox;
  live[H_table] = table;
}

static void make_all(struct hands *hands) {
  make_base(hands->live);
  make_engine(hands, hands->live);
  make_profile(hands->live);
  make_watched(hands->live);
  make_store(hands);
  make_layers(hands);
  renew_batch(hands);
}

/* The package and its key lie beside the model. */
static void find_package(void) {
  size_t folder = strlen(rain_path) - strlen("rain.onnx");
  char path[600];
  FILE *key;
  snprintf(package_path, sizeof package_path, "%.*spackages/seattle", (int)folder, rain_path);
  snprintf(path, sizeof path, "%.*spackages/key.pem", (int)folder, rain_path);
  key = fopen(path, "rb");
  if (key == NULL || fread(key_pem, 1, sizeof key_pem - 1, key) == 0) must(SELVEDGE_ERR_IO, path, NULL);
  fclose(key);
}

void make_folders(void) {
  char folder[600];
  find_package();
  snprintf(folder, sizeof folder, "%s/outbox", scratch);
  if (mkdir(folder, 0700) != 0) must(SELVEDGE_ERR_IO, folder, NULL);
}

void make_hands(struct hands *hands) {
  selvedge_engine *embedder;
  selvedge_error *err;
  const void *profile;
  int type;
  memset(hands, 0, sizeof *hands);
  hands->got = release_got;
  hands->rubbish = (void *)(uintptr_t)0xa5a5a5a5u;
  make_all(hands);
  profile = selvedge_buffer_data((selvedge_buffer *)hands->live[H_buffer], &profile_bytes_len);
  if (profile_bytes_len > sizeof profile_bytes) exit(2);
  memcpy(profile_bytes, profile, profile_bytes_len);
  /* Those that will have been freed come first, so that their places are taken again. */
  for (type = 0; type < HANDLE_TYPES; type++) {
    hands->freed[type] = hands->live[type];
    must(free_handle(type, hands->live[type]), handle_names[type], NULL);
    hands->live[type] = NULL;
  }
  make_all(hands);
  must(selvedge_engine_open(table_path, strlen(table_path), NULL, &embedder, &err), "opening the embedder", err);
  hands->embedder = embedder;
  hands->ended_run = end_run((selvedge_run *)start_rain((selvedge_engine *)hands->live[H_engine]));
}

void free_hands(struct hands *hands) {
  int type;
  for (type = HANDLE_TYPES - 1; type >= 0; type--) {
    if (hands->live[type] != NULL) must(free_handle(type, hands->live[type]), handle_names[type], NULL);
  }
  must(selvedge_engine_close((selvedge_engine *)hands->embedder), "closing the embedder", NULL);
  must(selvedge_run_free((selvedge_run *)hands->ended_run), "freeing the run", NULL);
}

/* A live handle of another type. */
void *foreign(const struct hands *hands, int type) {
  void *other = hands->live[(type + 1) % HANDLE_TYPES];
  return other != NULL ? other : (void *)(uintptr_t)1;
}

/* What a handle's place will be called by when it was freed. */
void *next_generation(void *handle) { return (void *)((uintptr_t)handle + 1); }
