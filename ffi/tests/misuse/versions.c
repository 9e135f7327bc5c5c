/* Clients that were compiled with another header: older ones, whose structs are smaller than this one's may get, and
 * later ones, whose structs are larger, alone and in arrays. */
#include "misuse.h"

/* The tensor of a later header. */
struct later_tensor {
  selvedge_tensor known;
  uint64_t layout;
  const void *device;
};

static selvedge_engine *engine;

static int run(const selvedge_tensors *request) {
  selvedge_answer *answer;
  int status = selvedge_engine_run(engine, request, NULL, &answer, NULL);
  selvedge_answer_free(answer);
  return status;
}

static void later_client(void) {
  struct ground g;
  struct later_tensor inputs[2];
  selvedge_tensors request;
  fill_ground(&g, NULL);
  request = g.structs.tensors.s;
  memset(inputs, 0, sizeof inputs);
  inputs[0].known = inputs[1].known = g.structs.tensor.s;
  inputs[0].known.struct_size = inputs[1].known.struct_size = sizeof *inputs;
  request.inputs = (const selvedge_tensor *)(const void *)inputs;
  request.input_count = 1;
  CASE("a later client that uses nothing new", run(&request), SELVEDGE_OK);
  request.input_count = 2;
  inputs[1].known.name = "snow";
  inputs[1].known.name_len = 4;
  CASE("a later client's second element is found where it is", run(&request), SELVEDGE_ERR_INVALID_ARGUMENT);
  inputs[1].known = inputs[0].known;
  inputs[1].known.struct_size = sizeof(selvedge_tensor);
  CASE("elements of two versions", run(&request), SELVEDGE_ERR_INVALID_ARGUMENT);
  request.input_count = 1;
  inputs[0].layout = 1;
  CASE("a later client that uses what is new", run(&request), SELVEDGE_ERR_INVALID_ARGUMENT);
  inputs[0].layout = 0;
  inputs[0].device = &g;
  CASE("a later client that uses the last of what is new", run(&request), SELVEDGE_ERR_INVALID_ARGUMENT);
}

/* A client of a header before the first: no struct of it is one of ours. And one that forgot to set a size. One of the first
 * header has options that end where later ones go on. */
static void older_client(void) {
  struct ground g;
  selvedge_options options = SELVEDGE_OPTIONS_INIT;
  selvedge_call call = SELVEDGE_CALL_INIT;
  selvedge_engine *opened;
  selvedge_answer *answer;
  const size_t first = offsetof(selvedge_options, crash_folder);
  size_t size;
  int status;
  fill_ground(&g, NULL);
  for (size = 0; size < first; size += 4) {
    options.struct_size = size;
    CASE("options of an earlier version", selvedge_engine_open(rain_path, strlen(rain_path), &options, &opened, NULL),
         SELVEDGE_ERR_INVALID_ARGUMENT);
  }
  /* What lies behind them is not theirs. */
  options.struct_size = first;
  memset((char *)&options + first, 0x5a, sizeof options - first);
  CASE("options of the first version", selvedge_engine_open(rain_path, strlen(rain_path), &options, &opened, NULL), SELVEDGE_OK);
  must(selvedge_engine_close(opened), "closing", NULL);
  for (size = 0; size < sizeof call; size += 4) {
    call.struct_size = size;
    answer = ask_rain(engine, &call, &status);
    CASE("terms of an earlier version", status, SELVEDGE_ERR_INVALID_ARGUMENT);
    selvedge_answer_free(answer);
  }
}

/* A struct that the library writes, of a later client: what it does not know becomes zero, and no more is written. */
static void later_answer(void) {
  unsigned char bytes[sizeof(selvedge_tensor) + 64];
  selvedge_answer *answer;
  selvedge_tensor first = SELVEDGE_TENSOR_INIT;
  size_t size = sizeof(selvedge_tensor) + 24, i;
  int status, untouched = 1, zero = 1;
  answer = ask_rain(engine, NULL, &status);
  memset(bytes, 0x5a, sizeof bytes);
  memcpy(bytes, &size, sizeof size);
  CASE("an output for a later client", selvedge_answer_output(answer, 0, (selvedge_tensor *)(void *)bytes, NULL),
       SELVEDGE_OK);
  CASE("the same", selvedge_answer_output(answer, 0, &first, NULL), SELVEDGE_OK);
  first.struct_size = size;
  TRUTH("the known part is the same", memcmp(bytes, &first, sizeof first) == 0);
  for (i = sizeof(selvedge_tensor); i < size; i++) zero &= bytes[i] == 0;
  for (i = size; i < sizeof bytes; i++) untouched &= bytes[i] == 0x5a;
  TRUTH("the unknown part is zero", zero);
  TRUTH("what lies behind is untouched", untouched);
  selvedge_answer_free(answer);
}

void misuse_versions(void) {
  TRUTH("the library has the major of its header", selvedge_abi_version() >> 16 == SELVEDGE_ABI_MAJOR);
  TRUTH("the library has the minor of its header, or a later one",
        selvedge_abi_version() >= (SELVEDGE_ABI_MAJOR << 16 | SELVEDGE_ABI_MINOR));
  TRUTH("the features have words", strlen(selvedge_features()) > 0 && strlen(selvedge_version()) > 0);
  TRUTH("the kernel has a name", strlen(selvedge_kernel_name()) > 0);
  engine = open_rain();
  later_client();
  older_client();
  later_answer();
  must(selvedge_engine_close(engine), "closing", NULL);
}
