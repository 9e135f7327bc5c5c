/* Where the model runs: an app that carries the profile which fit_profile.py has made.
 *
 *     cc -std=c99 device.c -lselvedge -o device
 *     ./device MODEL PROFILE TELEMETRY_FOLDER < days        a day a line: rain, highest, lowest temperature, wind
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selvedge.h"

static const char CONFIG[] =
    "{\"probe\": {\"kind\": \"columns\", \"input\": \"weather\","
    " \"names\": [\"precipitation\", \"temp_max\", \"temp_min\", \"wind\"]},"
    " \"window\": 365, \"persistence\": [1, 1], \"false_alarm\": {\"windows\": 1000}}";

static void check(selvedge_status status, selvedge_error *err) {
  if (status == SELVEDGE_OK) return;
  fprintf(stderr, "device: %s\n", selvedge_error_message(err, NULL));
  selvedge_error_free(err);
  exit(1);
}

/* The profile is a small file; an app may as well have it among its resources. */
static selvedge_profile *profile_of(const char *path) {
  static unsigned char bytes[1 << 20];
  selvedge_profile *profile;
  selvedge_error *err;
  FILE *file = fopen(path, "rb");
  size_t len = file ? fread(bytes, 1, sizeof bytes, file) : 0;
  if (!file || ferror(file)) {
    perror(path);
    exit(1);
  }
  fclose(file);
  check(selvedge_profile_decode(bytes, len, &profile, &err), err);
  return profile;
}

static void on_alert(void *user_data, const selvedge_alert *alert) {
  (void)user_data;
  printf("%s %.*s: %.*s\n", alert->event == SELVEDGE_ALERT_RAISED ? "ALERT" : "over", (int)alert->feature.len,
         alert->feature.data, (int)alert->kind.len, alert->kind.data);
}

static void ask(const selvedge_engine *engine, const float *day) {
  static const int64_t dims[] = {1, 4};
  selvedge_tensor input = SELVEDGE_TENSOR_INIT;
  selvedge_tensors request = SELVEDGE_TENSORS_INIT;
  selvedge_answer *answer;
  selvedge_error *err;
  input.name = "weather";
  input.name_len = strlen(input.name);
  input.dims = dims;
  input.rank = 2;
  input.data = day;
  input.byte_len = 4 * sizeof *day;
  input.dtype = SELVEDGE_F32;
  request.inputs = &input;
  request.input_count = 1;
  check(selvedge_engine_run(engine, &request, NULL, &answer, &err), err);
  selvedge_answer_free(answer);
}

int main(int argc, char **argv) {
  selvedge_engine *engine, *watched;
  selvedge_telemetry *telemetry;
  selvedge_profile *profile;
  selvedge_monitor *monitor;
  selvedge_error *err;
  selvedge_monitor_options options = SELVEDGE_MONITOR_OPTIONS_INIT;
  float day[4];
  if (argc != 4) {
    fprintf(stderr, "usage: device MODEL PROFILE TELEMETRY_FOLDER\n");
    return 2;
  }
  check(selvedge_engine_open(argv[1], strlen(argv[1]), NULL, &engine, &err), err);
  check(selvedge_telemetry_open(argv[3], strlen(argv[3]), NULL, &telemetry, &err), err);
  profile = profile_of(argv[2]);
  options.config.data = CONFIG;
  options.config.len = strlen(CONFIG);
  options.profile = profile;
  options.on_alert = on_alert;
  check(selvedge_monitor_new(engine, telemetry, &options, &monitor, &err), err);
  check(selvedge_monitor_engine(monitor, &watched, &err), err);
  while (scanf("%f %f %f %f", &day[0], &day[1], &day[2], &day[3]) == 4) ask(watched, day);
  check(selvedge_monitor_tick(monitor, &err), err);

  selvedge_engine_close(watched);
  selvedge_monitor_free(monitor);
  selvedge_profile_free(profile);
  selvedge_telemetry_free(telemetry);
  selvedge_engine_close(engine);
  return 0;
}
