/* An app: it opens a model, asks it about one day, and says what it got. */
#include <selvedge.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  static const float day[4] = { 2.5f, 4.4f, 2.2f, 2.2f };
  static const int64_t dims[2] = { 1, 4 };
  selvedge_engine *engine;
  selvedge_answer *answer = NULL;
  selvedge_tensor input = SELVEDGE_TENSOR_INIT, output = SELVEDGE_TENSOR_INIT;
  selvedge_tensors request = SELVEDGE_TENSORS_INIT;
  selvedge_error *err = NULL;
  int failed;
  if (argc != 2) return 2;
  input.name = "weather";
  input.name_len = 7;
  input.dims = dims;
  input.rank = 2;
  input.data = day;
  input.byte_len = sizeof day;
  input.dtype = SELVEDGE_F32;
  request.inputs = &input;
  request.input_count = 1;
  failed = selvedge_engine_open(argv[1], strlen(argv[1]), NULL, &engine, &err) != SELVEDGE_OK ||
           selvedge_engine_run(engine, &request, NULL, &answer, &err) != SELVEDGE_OK ||
           selvedge_answer_output(answer, 0, &output, &err) != SELVEDGE_OK;
  if (failed) {
    fprintf(stderr, "%s\n", selvedge_error_message(err, NULL));
    selvedge_error_free(err);
  } else {
    printf("%s %.4f\n", selvedge_version(), (double)*(const float *)output.data);
  }
  selvedge_answer_free(answer);
  selvedge_engine_close(engine);
  return failed;
}
