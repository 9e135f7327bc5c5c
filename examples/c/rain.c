/* Will it rain tomorrow? Reads days from standard input, one a line: precipitation (mm), highest and lowest temperature
 * (degrees C), wind (m/s); writes the probability of rain on the day after each.
 *
 *     tail -n +2 examples/quickstart/weather.csv | cut -d, -f3-6 | tr , ' ' | ./rain examples/quickstart/rain.onnx */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selvedge.h"

enum { FEATURES = 4 };

static int failed(const char *doing, selvedge_error *err) {
  fprintf(stderr, "%s: %s\n", doing, selvedge_error_message(err, NULL));
  selvedge_error_free(err);
  return EXIT_FAILURE;
}

/* Reads days until the input ends; the caller frees what is given. NULL for want of memory. */
static float *read_days(size_t *days) {
  size_t room = 16;
  float *rows = malloc(room * FEATURES * sizeof *rows), *row, *more;
  for (*days = 0; rows != NULL; ++*days) {
    if (*days == room) {
      room *= 2;
      more = realloc(rows, room * FEATURES * sizeof *rows);
      if (more == NULL) {
        free(rows);
        return NULL;
      }
      rows = more;
    }
    row = rows + *days * FEATURES;
    if (scanf("%f %f %f %f", &row[0], &row[1], &row[2], &row[3]) != FEATURES) break;
  }
  return rows;
}

static int predict(selvedge_engine *engine, const float *rows, size_t days) {
  int64_t dims[2];
  selvedge_tensor weather = SELVEDGE_TENSOR_INIT, rain = SELVEDGE_TENSOR_INIT;
  selvedge_tensors request = SELVEDGE_TENSORS_INIT;
  selvedge_answer *answer;
  selvedge_error *err;
  size_t day;

  dims[0] = (int64_t)days;
  dims[1] = FEATURES;
  weather.name = "weather";
  weather.name_len = strlen(weather.name);
  weather.dtype = SELVEDGE_F32;
  weather.dims = dims;
  weather.rank = 2;
  weather.data = rows;
  weather.byte_len = days * FEATURES * sizeof *rows;
  request.inputs = &weather;
  request.input_count = 1;

  if (selvedge_engine_run(engine, &request, NULL, &answer, &err) != SELVEDGE_OK) return failed("predicting", err);
  if (selvedge_answer_output(answer, 0, &rain, &err) != SELVEDGE_OK) {
    selvedge_answer_free(answer);
    return failed("reading the answer", err);
  }
  if (rain.dtype != SELVEDGE_F32 || rain.byte_len != days * sizeof(float)) {
    fprintf(stderr, "expected one f32 a day, got %" PRIu64 " bytes\n", (uint64_t)rain.byte_len);
    selvedge_answer_free(answer);
    return EXIT_FAILURE;
  }
  for (day = 0; day < days; day++) printf("%.4f\n", (double)((const float *)rain.data)[day]);
  selvedge_answer_free(answer);
  return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
  selvedge_engine *engine;
  selvedge_error *err;
  size_t days;
  float *rows;
  int status;

  if (argc != 2) {
    fprintf(stderr, "usage: %s rain.onnx < days\n", argv[0]);
    return EXIT_FAILURE;
  }
  rows = read_days(&days);
  if (rows == NULL) return EXIT_FAILURE;
  if (selvedge_engine_open(argv[1], strlen(argv[1]), NULL, &engine, &err) != SELVEDGE_OK) {
    free(rows);
    return failed("opening the model", err);
  }
  status = predict(engine, rows, days);
  selvedge_engine_close(engine);
  free(rows);
  return status;
}
