/* An app that brings a llama.cpp, a ggml and an ONNX Runtime of its own, and Selvedge beside them: each calls its own. The
 * names are those that Selvedge's runtimes define or look for; what the app's do is to count who called.
 *
 * usage: clash MODEL.onnx [MODEL.gguf | -] [ONNXRUNTIME] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selvedge.h"

static int calls_of_ours;
static struct {
  const char *name;
} own_api = { "the app's own" };

void llama_backend_init(void);
void *ggml_init(void *params);
const void *OrtGetApiBase(void);

void llama_backend_init(void) { calls_of_ours++; }

void *ggml_init(void *params) {
  calls_of_ours++;
  return params;
}

const void *OrtGetApiBase(void) {
  calls_of_ours++;
  return &own_api;
}

static void failed(const char *doing, selvedge_error *err) {
  fprintf(stderr, "clash: %s: %s\n", doing, selvedge_error_message(err, NULL));
  exit(1);
}

static void rain(const char *model, selvedge_backend backend, const char *runtime) {
  static const float day[4] = { 2.5f, 4.4f, 2.2f, 2.2f };
  static const int64_t dims[2] = { 1, 4 };
  selvedge_options options = SELVEDGE_OPTIONS_INIT;
  selvedge_tensor input = SELVEDGE_TENSOR_INIT, output = SELVEDGE_TENSOR_INIT;
  selvedge_tensors request = SELVEDGE_TENSORS_INIT;
  selvedge_engine *engine;
  selvedge_answer *answer;
  selvedge_error *err;
  options.backend = backend;
  options.onnxruntime.data = runtime;
  options.onnxruntime.len = runtime != NULL ? strlen(runtime) : 0;
  input.name = "weather";
  input.name_len = 7;
  input.dims = dims;
  input.rank = 2;
  input.data = day;
  input.byte_len = sizeof day;
  input.dtype = SELVEDGE_F32;
  request.inputs = &input;
  request.input_count = 1;
  if (selvedge_engine_open(model, strlen(model), &options, &engine, &err) != SELVEDGE_OK) failed("opening", err);
  if (selvedge_engine_run(engine, &request, NULL, &answer, &err) != SELVEDGE_OK) failed("running", err);
  if (selvedge_answer_output(answer, 0, &output, &err) != SELVEDGE_OK) failed("reading", err);
  printf("%s %.4f; ", backend == SELVEDGE_BACKEND_ORT ? "ONNX Runtime" : "tract", (double)*(const float *)output.data);
  selvedge_answer_free(answer);
  selvedge_engine_close(engine);
}

static void paris(const char *model) {
  selvedge_generate request = SELVEDGE_GENERATE_INIT;
  selvedge_event event = SELVEDGE_EVENT_INIT;
  selvedge_engine *engine;
  selvedge_run *run;
  selvedge_error *err;
  request.prompt.data = "The capital of France is";
  request.prompt.len = strlen(request.prompt.data);
  request.max_tokens = 1;
  if (selvedge_engine_open(model, strlen(model), NULL, &engine, &err) != SELVEDGE_OK) failed("opening", err);
  if (selvedge_engine_generate(engine, &request, NULL, &run, &err) != SELVEDGE_OK) failed("generating", err);
  while (event.kind != SELVEDGE_EVENT_DONE) {
    if (selvedge_run_next(run, &event, &err) != SELVEDGE_OK) failed("generating", err);
    if (event.kind == SELVEDGE_EVENT_TEXT) printf("llama.cpp%s; ", event.text);
  }
  selvedge_run_free(run);
  selvedge_engine_close(engine);
}

int main(int argc, char **argv) {
  int params = 7;
  if (argc < 2) return 2;
  rain(argv[1], SELVEDGE_BACKEND_TRACT, NULL);
  if (argc > 2 && strcmp(argv[2], "-") != 0) paris(argv[2]);
  if (argc > 3) rain(argv[1], SELVEDGE_BACKEND_ORT, argv[3]);
  if (calls_of_ours != 0) {
    fprintf(stderr, "clash: Selvedge called the app's runtime %d times\n", calls_of_ours);
    return 1;
  }
  llama_backend_init();
  if (ggml_init(&params) != &params || OrtGetApiBase() != (const void *)&own_api || calls_of_ours != 3) {
    fprintf(stderr, "clash: the app got another's runtime\n");
    return 1;
  }
  printf("and the app kept its own\n");
  return 0;
}
