/* Callbacks that call the library: whatever they call, they get a status and no deadlock. */
#include "misuse.h"

static struct {
  selvedge_engine *engine;
  selvedge_cancel *cancel;
  selvedge_progress *progress;
  selvedge_monitor *monitor;
  selvedge_engine *watched;
  int depth, progressed, released, alerts, lines;
  int frees_monitor;
} in;

/* Calls of all kinds, made from within a callback. */
static void call_much(const char *where) {
  selvedge_engine *engine;
  selvedge_cancel *cancel;
  uint64_t done, total;
  const char *json;
  size_t len;
  int status;
  selvedge_answer_free(ask_rain(in.engine, NULL, &status));
  CASE(where, status, SELVEDGE_OK);
  CASE(where, selvedge_engine_spec_json(in.engine, &json, &len, NULL), SELVEDGE_OK);
  CASE(where, selvedge_engine_open("no/such/model", 13, NULL, &engine, NULL), SELVEDGE_ERR_NOT_FOUND);
  CASE(where, selvedge_cancel_new(&cancel, NULL), SELVEDGE_OK);
  CASE(where, selvedge_cancel_free(cancel), SELVEDGE_OK);
  CASE(where, selvedge_cancel_free(cancel), SELVEDGE_ERR_BAD_HANDLE);
  if (in.progress != NULL) CASE(where, selvedge_progress_read(in.progress, &done, &total, NULL), SELVEDGE_OK);
}

static selvedge_options options_of(void);

static void on_progress(void *user_data, uint64_t done, uint64_t total) {
  selvedge_engine *engine;
  selvedge_options options = options_of();
  TRUTH("progress: no more is done than there is", total == 0 || done <= total);
  TRUTH("progress: the user_data that came with it", user_data == &in);
  if (in.progressed++ > 0 || in.depth > 0) return;
  in.depth++;
  call_much("within progress");
  CASE("within progress, an open with progress", selvedge_engine_open(rain_path, strlen(rain_path), &options, &engine, NULL),
       SELVEDGE_OK);
  CASE("within progress", selvedge_engine_close(engine), SELVEDGE_OK);
  in.depth--;
}

static void cancel_on_progress(void *user_data, uint64_t done, uint64_t total) {
  (void)user_data, (void)done, (void)total;
  CASE("within progress, the switch of its open", selvedge_cancel_set(in.cancel), SELVEDGE_OK);
}

static selvedge_options options_of(void) {
  selvedge_options options = SELVEDGE_OPTIONS_INIT;
  options.on_progress = on_progress;
  options.user_data = &in;
  return options;
}

static void progress(void) {
  selvedge_engine *engine;
  selvedge_options options = options_of();
  uint64_t done = 0, total = 0;
  must(selvedge_progress_new(&in.progress, NULL), "a progress", NULL);
  must(selvedge_cancel_new(&in.cancel, NULL), "a cancel", NULL);
  options.progress = in.progress;
  CASE("progress", selvedge_engine_open(rain_path, strlen(rain_path), &options, &engine, NULL), SELVEDGE_OK);
  CASE("progress", selvedge_engine_close(engine), SELVEDGE_OK);
  TRUTH("progress was told", in.progressed > 0);
  CASE("progress", selvedge_progress_read(in.progress, &done, &total, NULL), SELVEDGE_OK);
  TRUTH("progress is at its end", done > 0 && done == total);
  options.on_progress = cancel_on_progress;
  options.cancel = in.cancel;
  CASE("cancelled by its progress", selvedge_engine_open(rain_path, strlen(rain_path), &options, &engine, NULL),
       SELVEDGE_ERR_CANCELLED);
  must(selvedge_progress_free(in.progress), "freeing", NULL);
  must(selvedge_cancel_free(in.cancel), "freeing", NULL);
  in.progress = NULL;
}

static void on_release(void *user_data) {
  TRUTH("release: the user_data that came with it", user_data == &in);
  in.released++;
  if (in.depth++ == 0) call_much("within release");
  in.depth--;
}

static void lent_memory(void) {
  selvedge_source source = SELVEDGE_SOURCE_INIT;
  selvedge_engine *engine;
  selvedge_run *run;
  struct ground g;
  FILE *file = fopen(rain_path, "rb");
  static char model[1 << 16];
  selvedge_event event = SELVEDGE_EVENT_INIT;
  source.kind = SELVEDGE_SOURCE_MEMORY;
  source.data = model;
  source.data_len = file != NULL ? fread(model, 1, sizeof model, file) : 0;
  source.release = on_release;
  source.user_data = &in;
  if (file != NULL) fclose(file);
  CASE("lent", selvedge_engine_open_source(&source, NULL, &engine, NULL), SELVEDGE_OK);
  fill_ground(&g, NULL);
  CASE("lent", selvedge_engine_start(engine, &g.structs.tensors.s, NULL, &run, NULL), SELVEDGE_OK);
  CASE("lent", selvedge_engine_close(engine), SELVEDGE_OK);
  while (event.kind != SELVEDGE_EVENT_DONE && selvedge_run_next(run, &event, NULL) == SELVEDGE_OK) continue;
  TRUTH("a run of lent memory ends well after its engine was closed", event.kind == SELVEDGE_EVENT_DONE);
  CASE("lent", selvedge_run_free(run), SELVEDGE_OK);
  TRUTH("lent memory was released, once", in.released == 1);
  source.struct_size = 3;
  CASE("lent to a call that fails", selvedge_engine_open_source(&source, NULL, &engine, NULL),
       SELVEDGE_ERR_INVALID_ARGUMENT);
}

static void on_line(void *user_data, const selvedge_log_line *line) {
  TRUTH("a line has words", line->message.data != NULL && line->message.data[line->message.len] == 0);
  TRUTH("a line has a level", line->level >= SELVEDGE_LOG_ERROR && line->level <= SELVEDGE_LOG_TRACE);
  TRUTH("log: the user_data that came with it", user_data == &in);
  if (in.lines++ > 0) return;
  call_much("within a log line");
  CASE("within a log line, another log", selvedge_log_set(on_line, &in, NULL, SELVEDGE_LOG_INFO, NULL), SELVEDGE_OK);
}

/* What is worth a line: a telemetry folder that is none. */
static void make_a_line(void) {
  selvedge_telemetry *telemetry;
  must(selvedge_telemetry_open(rain_path, strlen(rain_path), NULL, &telemetry, NULL), "telemetry", NULL);
  selvedge_telemetry_free(telemetry);
}

static void log_lines(void) {
  int before = in.released, lines;
  CASE("log", selvedge_log_set(on_line, &in, on_release, SELVEDGE_LOG_TRACE, NULL), SELVEDGE_OK);
  make_a_line();
  TRUTH("lines were told", in.lines > 0);
  TRUTH("the log that was replaced from within was released, once", in.released == before + 1);
  CASE("log", selvedge_log_set(NULL, NULL, NULL, SELVEDGE_LOG_TRACE, NULL), SELVEDGE_OK);
  lines = in.lines;
  make_a_line();
  TRUTH("no line is told after the log was taken away", in.lines == lines);
  CASE("log", selvedge_log_set(on_line, &in, NULL, SELVEDGE_LOG_OFF, NULL), SELVEDGE_OK);
  CASE("log", selvedge_log_set(NULL, NULL, NULL, SELVEDGE_LOG_OFF, NULL), SELVEDGE_OK);
}

static void on_alert(void *user_data, const selvedge_alert *alert) {
  selvedge_alert next = SELVEDGE_ALERT_INIT;
  selvedge_label_verdict verdict;
  selvedge_buffer *report;
  selvedge_engine *engine;
  int status;
  TRUTH("alert: the user_data that came with it", user_data == &in);
  TRUTH("an alert has a kind and evidence", alert->kind.len > 0 && alert->evidence.len > 0);
  if (in.alerts++ > 0) return;
  call_much("within an alert");
  CASE("within an alert", selvedge_monitor_report_json(in.monitor, &report, NULL), SELVEDGE_OK);
  CASE("within an alert", selvedge_buffer_free(report), SELVEDGE_OK);
  CASE("within an alert", selvedge_monitor_tick(in.monitor, NULL), SELVEDGE_OK);
  CASE("within an alert", selvedge_monitor_feedback(in.monitor, 1, SELVEDGE_LABEL_CORRECT, 1, &verdict, NULL), ANY_STATUS);
  CASE("within an alert", selvedge_monitor_next_alert(in.monitor, &next, NULL), ANY_STATUS);
  CASE("within an alert", selvedge_monitor_engine(in.monitor, &engine, NULL), SELVEDGE_OK);
  selvedge_answer_free(ask_rain(engine, NULL, &status));
  CASE("within an alert, a watched call", status, SELVEDGE_OK);
  CASE("within an alert", selvedge_engine_close(engine), SELVEDGE_OK);
  CASE("within an alert", selvedge_monitor_close_window(in.monitor, NULL), SELVEDGE_OK);
  if (in.frees_monitor) CASE("within an alert, its own monitor", selvedge_monitor_free(in.monitor), SELVEDGE_OK);
}

/* A profile of weather that is mild, and a monitor of the model by it. */
static void watch(const char *folder) {
  static float days[2048][FEATURES];
  static const char *const names[] = { "rain", "high", "low", "wind" };
  selvedge_column columns[FEATURES];
  selvedge_rows rows = SELVEDGE_ROWS_INIT;
  selvedge_monitor_options options = SELVEDGE_MONITOR_OPTIONS_INIT;
  selvedge_profile *profile;
  selvedge_telemetry *telemetry;
  selvedge_error *err;
  uint32_t seed = 7;
  int i, j;
  for (i = 0; i < 2048; i++) {
    for (j = 0; j < FEATURES; j++) days[i][j] = (float)((seed = seed * 1664525u + 1013904223u) >> 20) / 256.0f;
  }
  for (j = 0; j < FEATURES; j++) {
    const selvedge_column column = SELVEDGE_COLUMN_INIT;
    columns[j] = column;
    columns[j].name.data = names[j];
    columns[j].name.len = strlen(names[j]);
    columns[j].data = &days[0][j];
    columns[j].stride = sizeof days[0];
    columns[j].dtype = SELVEDGE_F32;
  }
  rows.columns = columns;
  rows.column_count = FEATURES;
  rows.row_count = 2048;
  must(selvedge_profile_fit(&rows, NULL, &profile, &err), "fitting", err);
  must(selvedge_telemetry_open(folder, strlen(folder), NULL, &telemetry, &err), "telemetry", err);
  options.config.data = "{\"probe\": {\"kind\": \"columns\", \"input\": \"weather\", \"names\": [\"rain\", \"high\", \"low\", "
                        "\"wind\"]}, \"window\": 64, \"persistence\": [1, 1]}";
  options.config.len = strlen(options.config.data);
  options.profile = profile;
  options.on_alert = on_alert;
  options.user_data = &in;
  options.release = on_release;
  must(selvedge_monitor_new(in.engine, telemetry, &options, &in.monitor, &err), "a monitor", err);
  must(selvedge_monitor_engine(in.monitor, &in.watched, &err), "its engine", err);
  selvedge_profile_free(profile);
  selvedge_telemetry_free(telemetry);
}

static void ask_of_storms(void) {
  struct ground g;
  selvedge_answer *answer;
  int i, j;
  fill_ground(&g, NULL);
  for (j = 0; j < 2 * FEATURES; j++) g.numbers[j] = 300.0f;
  for (i = 0; i < 400; i++) {
    must(selvedge_engine_run(in.watched, &g.structs.tensors.s, NULL, &answer, NULL), "a watched call", NULL);
    selvedge_answer_free(answer);
  }
}

static void alerts(int frees_monitor) {
  char folder[600];
  int before = in.released;
  snprintf(folder, sizeof folder, "%s/alerts%d", scratch, frees_monitor);
  in.alerts = 0;
  in.frees_monitor = frees_monitor;
  watch(folder);
  ask_of_storms();
  if (!frees_monitor) CASE("alert", selvedge_monitor_close_window(in.monitor, NULL), SELVEDGE_OK);
  TRUTH("alerts were told", in.alerts > 0);
  CASE("alert", selvedge_monitor_free(in.monitor), frees_monitor ? SELVEDGE_ERR_BAD_HANDLE : SELVEDGE_OK);
  CASE("alert", selvedge_engine_close(in.watched), SELVEDGE_OK);
  TRUTH("what came with the alerts was released, once", in.released == before + 1);
}

void misuse_callbacks(void) {
  in.engine = open_rain();
  progress();
  lent_memory();
  log_lines();
  alerts(0);
  alerts(1);
  must(selvedge_engine_close(in.engine), "closing", NULL);
}
