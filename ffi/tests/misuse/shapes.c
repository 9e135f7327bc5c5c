/* Shapes, names and contents that are well formed and wrong. */
#include <fcntl.h>
#include <unistd.h>

#include "misuse.h"

#ifdef _WIN32
#  include <io.h>
#  define HANDLE_OF(descriptor) ((int64_t)_get_osfhandle(descriptor))
#else
#  define HANDLE_OF(descriptor) (descriptor)
#endif

static selvedge_engine *engine;
static struct ground g;

static int run(void) {
  selvedge_answer *answer;
  int status = selvedge_engine_run(engine, &g.structs.tensors.s, NULL, &answer, NULL);
  selvedge_answer_free(answer);
  return status;
}

static void right(void) { fill_ground(&g, NULL); }

static void shapes(void) {
  selvedge_tensor *input = &g.structs.tensor.s;
  static const int64_t huge[3] = { INT64_MAX, 4, 4 }, wrapping[2] = { (int64_t)1 << 62, 4 }, five[2] = { 2, 5 };
  right();
  CASE("two days", run(), SELVEDGE_OK);
  input->rank = 1;
  CASE("a rank less", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  input->rank = 0;
  input->dims = NULL;
  CASE("a scalar with the bytes of a table", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  input->byte_len = 4;
  CASE("a scalar", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  input->dims = five;
  input->byte_len = 40;
  CASE("a feature more", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  input->dims = huge;
  input->rank = 3;
  CASE("more elements than there are numbers", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  input->dims = wrapping;
  input->rank = 2;
  CASE("elements that wrap around to none", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  input->byte_len = 0;
  CASE("elements that wrap around to none, without bytes", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  input->dtype = SELVEDGE_I32;
  CASE("another dtype of the same size", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  input->dtype = SELVEDGE_F64;
  CASE("another dtype of another size", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  input->dtype = SELVEDGE_BOOL;
  input->byte_len = 8;
  CASE("booleans that are neither 0 nor 1", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
}

static void names(void) {
  selvedge_tensor *input = &g.structs.tensor.s, twice[2];
  selvedge_tensors *request = &g.structs.tensors.s;
  selvedge_text outputs[2] = { { "rain_tomorrow", 13 }, { "rain_tomorrow", 13 } }, none = { "snow", 4 };
  right();
  input->name = "Weather";
  CASE("an input of no name", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  twice[0] = twice[1] = *input;
  request->inputs = twice;
  request->input_count = 2;
  CASE("an input twice", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  twice[1].struct_size += 8;
  CASE("two inputs of two sizes", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  request->input_count = 0;
  CASE("no input", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  request->outputs = &none;
  request->output_count = 1;
  CASE("an output of no name", run(), SELVEDGE_ERR_INVALID_ARGUMENT);
  request->outputs = outputs;
  request->output_count = 2;
  CASE("an output twice", run(), ANY_STATUS);
}

static int run_into(size_t count) {
  return selvedge_engine_run_into(engine, &g.structs.tensors.s, &g.structs.output.s, count, NULL, NULL);
}

static void outputs(void) {
  selvedge_output *output = &g.structs.output.s;
  selvedge_text name = { "rain_tomorrow", 13 };
  float *place = g.numbers + TABLE_WIDTH;
  right();
  place[2] = 77.0f;
  CASE("room for more", run_into(1), SELVEDGE_OK);
  TRUTH("what was written is told", output->byte_len == 8 && output->rank >= 1 && output->dims[0] == 2);
  TRUTH("no more was written", place[2] == 77.0f && place[0] > 0.0f && place[0] < 1.0f);
  right();
  place[1] = 77.0f;
  output->capacity = 4;
  CASE("room for one of two", run_into(1), SELVEDGE_ERR_INVALID_ARGUMENT);
  TRUTH("what is needed is told", output->byte_len == 8 && place[1] == 77.0f);
  right();
  output->dim_capacity = 0;
  output->dims = NULL;
  CASE("no room for the shape", run_into(1), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  output->dtype = SELVEDGE_I32;
  CASE("an output of another dtype", run_into(1), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  output->name.data = "snow_tomorrow";
  CASE("an output of no name", run_into(1), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  g.structs.tensors.s.outputs = &name;
  g.structs.tensors.s.output_count = 1;
  CASE("outputs asked for in two places", run_into(1), SELVEDGE_ERR_INVALID_ARGUMENT);
}

static int open_source(void) {
  selvedge_engine *opened;
  int status = selvedge_engine_open_source(&g.structs.source.s, NULL, &opened, NULL);
  selvedge_engine_close(opened);
  return status;
}

static int released;

static void count_release(void *user_data) {
  (void)user_data;
  released++;
}

static void sources(void) {
  selvedge_source *source = &g.structs.source.s;
  static const unsigned char noise[64] = { 8, 7, 1 };
  int file = open(rain_path, O_RDONLY);
  right();
  source->kind = SELVEDGE_SOURCE_FILE;
  source->file = HANDLE_OF(file);
  CASE("an open file", open_source(), SELVEDGE_OK);
  source->offset = 1 << 30;
  CASE("an offset beyond the file", open_source(), ANY_STATUS);
  TRUTH("an offset beyond the file is a failure", open_source() != SELVEDGE_OK);
  source->offset = UINT64_MAX;
  source->length = UINT64_MAX;
  TRUTH("an offset and a length that wrap around", open_source() != SELVEDGE_OK);
  source->offset = 0;
  source->length = 10;
  TRUTH("a part of a model", open_source() != SELVEDGE_OK);
  source->length = 0;
  source->file = -1;
  TRUTH("no descriptor", open_source() != SELVEDGE_OK);
  source->file = INT64_MAX;
  TRUTH("no descriptor that a system has", open_source() != SELVEDGE_OK);
  close(file);
  right();
  source->kind = SELVEDGE_SOURCE_MEMORY;
  source->data = noise;
  source->data_len = sizeof noise;
  source->release = count_release;
  TRUTH("bytes of no model", open_source() != SELVEDGE_OK && released == 1);
  source->data = NULL;
  CASE("bytes at NULL", open_source(), SELVEDGE_ERR_INVALID_ARGUMENT);
  TRUTH("bytes that were refused are released", released == 2);
  source->data_len = SIZE_MAX;
  source->data = noise;
  CASE("bytes without end", open_source(), SELVEDGE_ERR_INVALID_ARGUMENT);
  TRUTH("bytes without end are released", released == 3);
}

static int fit(void) {
  selvedge_profile *profile;
  int status = selvedge_profile_fit(&g.structs.rows.s, NULL, &profile, NULL);
  selvedge_profile_free(profile);
  return status;
}

static int decode(const void *bytes, size_t len) {
  selvedge_profile *profile;
  int status = selvedge_profile_decode(bytes, len, &profile, NULL);
  selvedge_profile_free(profile);
  return status;
}

static void profiles(void) {
  unsigned char *copy = malloc(profile_bytes_len);
  selvedge_column twice[2];
  size_t i, accepted = 0, defects = 0;
  right();
  CASE("rows", fit(), SELVEDGE_OK);
  g.structs.rows.s.row_count = 0;
  CASE("no rows", fit(), SELVEDGE_ERR_INVALID_ARGUMENT);
  g.structs.rows.s.row_count = SIZE_MAX;
  CASE("rows without end", fit(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  g.structs.column.s.stride = SIZE_MAX / 2;
  CASE("a stride beyond memory", fit(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  twice[0] = twice[1] = g.structs.column.s;
  g.structs.rows.s.columns = twice;
  g.structs.rows.s.column_count = 2;
  CASE("a column twice", fit(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  g.structs.rows.s.embeddings = g.numbers;
  g.structs.rows.s.embedding_width = SIZE_MAX / 4;
  CASE("embeddings wider than memory", fit(), SELVEDGE_ERR_INVALID_ARGUMENT);
  for (i = 0; i < profile_bytes_len; i++) accepted += decode(profile_bytes, i) == SELVEDGE_OK;
  TRUTH("no beginning of a profile is one", accepted == 0);
  for (i = 0; i < profile_bytes_len; i++) {
    memcpy(copy, profile_bytes, profile_bytes_len);
    copy[i] ^= 0x10;
    defects += decode(copy, profile_bytes_len) >= SELVEDGE_ERR_INTERNAL;
  }
  TRUTH("a profile with a bit turned is no defect of the library's", defects == 0);
  free(copy);
}

static void tables(void) {
  selvedge_table *table;
  uint64_t rows = 0, width = 0;
  size_t found = 99;
  right();
  prepare("selvedge_table_open", NULL, &g);
  must(selvedge_table_open(&g.structs.source.s, "embeddings", 10, SELVEDGE_LOADING_READ, &table, NULL), "a table", NULL);
  must(selvedge_table_shape(table, &rows, &width, NULL), "its shape", NULL);
  TRUTH("the width that the suite takes for granted", width == TABLE_WIDTH && rows > 4 && rows < 100000);
  g.ids[1] = (uint32_t)rows;
  CASE("a row beyond", selvedge_table_gather(table, g.ids, 2, g.numbers, 2 * TABLE_WIDTH, NULL),
       SELVEDGE_ERR_INVALID_ARGUMENT);
  CASE("no rows", selvedge_table_gather(table, NULL, 0, NULL, 0, NULL), SELVEDGE_OK);
  CASE("the mean of none", selvedge_table_pool(table, NULL, 0, SELVEDGE_POOL_MEAN, NULL, 0, g.numbers, TABLE_WIDTH, NULL),
       ANY_STATUS);
  CASE("the mean with weights",
       selvedge_table_pool(table, g.ids, 1, SELVEDGE_POOL_MEAN, g.numbers, 0, g.numbers, TABLE_WIDTH, NULL),
       SELVEDGE_ERR_INVALID_ARGUMENT);
  CASE("a query too short", selvedge_table_search(table, g.numbers, TABLE_WIDTH - 1, 2, g.hits, &found, NULL),
       SELVEDGE_ERR_INVALID_ARGUMENT);
  TRUTH("nothing was found", found == 0);
  g.numbers[3] = (float)not_a_number();
  CASE("a query with no number", selvedge_table_search(table, g.numbers, TABLE_WIDTH, 2, g.hits, &found, NULL),
       SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  CASE("none of the best", selvedge_table_search(table, g.numbers, TABLE_WIDTH, 0, NULL, &found, NULL), SELVEDGE_OK);
  selvedge_table_free(table);
}

static int watch(const char *config) {
  selvedge_telemetry *telemetry;
  selvedge_monitor *monitor;
  selvedge_monitor_options options = SELVEDGE_MONITOR_OPTIONS_INIT;
  int status;
  must(selvedge_telemetry_open(scratch, strlen(scratch), NULL, &telemetry, NULL), "telemetry", NULL);
  options.config.data = config;
  options.config.len = strlen(config);
  status = selvedge_monitor_new(engine, telemetry, &options, &monitor, NULL);
  selvedge_monitor_free(monitor);
  selvedge_telemetry_free(telemetry);
  return status;
}

#define PROBE "\"probe\": {\"kind\": \"classes\", \"output\": \"rain_tomorrow\", \"binary\": true}"

static void configurations(void) {
  static const char *const wrong[] = {
    "", "{", "[]", "null", "7", "{}", "{\"probe\": 7}", "{\"probe\": {}}",
    "{\"probe\": {\"kind\": \"smell\"}}", "{\"probe\": {\"kind\": \"columns\"}}",
    "{\"probe\": {\"kind\": \"columns\", \"input\": \"snow\", \"names\": [\"a\", \"b\", \"c\", \"d\"]}}",
    "{\"probe\": {\"kind\": \"columns\", \"input\": \"weather\", \"names\": [\"a\", \"b\", \"c\", \"d\"], \"more\": 1}}",
    "{" PROBE ", \"windows\": 8}", "{" PROBE ", \"window\": 0}", "{" PROBE ", \"window\": -8}",
    "{" PROBE ", \"window\": \"8\"}", "{" PROBE ", \"window\": 1e300}", "{" PROBE ", \"time_cap_s\": -1}",
    "{" PROBE ", \"false_alarm\": {}}", "{" PROBE ", \"false_alarm\": {\"windows\": 0}}",
    "{" PROBE ", \"persistence\": [3, 2]}", "{" PROBE ", \"persistence\": [0, 0]}", "{" PROBE ", \"persistence\": 2}",
    "{" PROBE ", \"slo\": {\"p50\": 1}}", "{" PROBE ", \"slo\": []}",
    "{" PROBE ", \"detectors\": [{\"stream\": \"mood\", \"kind\": \"adwin\"}]}",
    "{" PROBE ", \"detectors\": [{\"stream\": \"latency\", \"kind\": \"crystal ball\"}]}",
    "{" PROBE "} {" PROBE "}",
  };
  static char deep[200001];
  size_t i;
  CASE("a configuration", watch("{" PROBE "}"), SELVEDGE_OK);
  for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct outcome outcome = { SELVEDGE_OK, NULL };
    outcome.status = watch(wrong[i]);
    judge("a configuration", wrong[i], outcome, SELVEDGE_ERR_INVALID_ARGUMENT);
  }
  memset(deep, '[', sizeof deep - 1);
  CASE("a configuration of 200,000 brackets", watch(deep), SELVEDGE_ERR_INVALID_ARGUMENT);
}

static int pack(void) {
  selvedge_buffer *said;
  int status = selvedge_pack(&g.structs.source.s, g.packed, strlen(g.packed), &g.structs.pack_options.s, &said, NULL);
  selvedge_buffer_free(said);
  return status;
}

static void packing(void) {
  selvedge_text pattern = { "*", 1 };
  right();
  CASE("packing", pack(), SELVEDGE_OK);
  g.structs.pack_options.s.flags = 0;
  CASE("packing over a model that is there", pack(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  g.structs.pack_options.s.scheme = SELVEDGE_SCHEME_UNSET;
  CASE("packing without a scheme", pack(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  g.structs.pack_options.s.only = g.structs.pack_options.s.keep = &pattern;
  g.structs.pack_options.s.only_count = g.structs.pack_options.s.keep_count = 1;
  CASE("packing all and keeping all", pack(), ANY_STATUS);
  right();
  g.structs.source.s.path.data = table_path;
  g.structs.source.s.path.len = strlen(table_path);
  TRUTH("packing what is no ONNX model", pack() != SELVEDGE_OK);
  right();
  g.packed = "/no/such/folder/packed.onnx";
  TRUTH("packing into no folder", pack() != SELVEDGE_OK);
}

static int generate(void) {
  selvedge_run *run;
  int status = selvedge_engine_generate(engine, &g.structs.generate.s, NULL, &run, NULL);
  selvedge_run_free(run);
  return status;
}

/* Tools, messages and terms that contradict themselves or each other, told before the engine says that it has no words. */
static void terms(void) {
  selvedge_generate *request = &g.structs.generate.s;
  selvedge_message *message = &g.structs.message.s;
  selvedge_tool twice[2];
  selvedge_bias biases[2];
  selvedge_adapter adapters[2];
  right();
  CASE("all that a request may say", generate(), SELVEDGE_ERR_UNSUPPORTED);
  request->tool_name.data = "rain";
  request->tool_name.len = 4;
  CASE("the name of a tool, and no choice of one", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  request->tool_choice = SELVEDGE_TOOL_CHOICE_NAMED;
  CASE("a tool by name", generate(), SELVEDGE_ERR_UNSUPPORTED);
  request->tool_name.data = "snow";
  CASE("a tool that is none", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  request->tool_choice = SELVEDGE_TOOL_CHOICE_REQUIRED;
  request->tool_count = 0;
  CASE("a call of no tool", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  twice[0] = twice[1] = g.structs.tool.s;
  request->tools = twice;
  request->tool_count = 2;
  CASE("a tool twice", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  g.structs.tool.s.parameters.len = 3;
  CASE("half a schema", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  g.structs.tool.s.name.len = 0;
  CASE("a tool without a name", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  message->role.data = "user";
  message->role.len = 4;
  CASE("a call that a person made", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  g.structs.tool_call.s.arguments.len = 0;
  CASE("arguments that are no JSON", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  message->role.data = "tool";
  message->role.len = 4;
  message->tool_call_count = 0;
  message->tool_call_id = g.structs.tool_call.s.id;
  CASE("the result of no call", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  g.variable.value.len = 2;
  CASE("a variable that is no JSON", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  adapters[0] = adapters[1] = g.structs.adapter.s;
  request->adapters = adapters;
  request->adapter_count = 2;
  CASE("an adapter twice", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  request->adapter_count = 1;
  adapters[0].scale = 0.0f;
  CASE("an adapter that changes nothing", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  biases[0] = biases[1] = g.bias;
  request->biases = biases;
  request->bias_count = 2;
  CASE("a token that is biased twice", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  request->bias_count = 1;
  biases[0].bias = -(float)INFINITY;
  CASE("a token that never comes", generate(), SELVEDGE_ERR_UNSUPPORTED);
  biases[0].bias = (float)INFINITY;
  CASE("a token that always comes", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  request->top_logprobs = 65;
  CASE("more likeliest tokens than there may be", generate(), SELVEDGE_ERR_INVALID_ARGUMENT);
}

static int score(void) {
  selvedge_answer *answer;
  int status = selvedge_engine_score(engine, &g.structs.score.s, NULL, &answer, NULL);
  selvedge_answer_free(answer);
  return status;
}

static int rerank(void) {
  selvedge_answer *answer;
  int status = selvedge_engine_rerank(engine, &g.structs.rerank.s, NULL, &answer, NULL);
  selvedge_answer_free(answer);
  return status;
}

static void scores(void) {
  static const selvedge_text empty = { "", 0 };
  selvedge_prefixes saved = SELVEDGE_PREFIXES_INIT;
  right();
  CASE("a score", score(), SELVEDGE_ERR_UNSUPPORTED);
  g.structs.score.s.continuation_count = 0;
  CASE("a score of nothing", score(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  g.structs.score.s.continuations = &empty;
  CASE("a score of an empty text", score(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  g.structs.score.s.message_count = 0;
  CASE("a score after no prompt", score(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  CASE("a rank", rerank(), SELVEDGE_ERR_UNSUPPORTED);
  g.structs.rerank.s.query = empty;
  CASE("a rank by no query", rerank(), SELVEDGE_ERR_INVALID_ARGUMENT);
  right();
  g.structs.rerank.s.document_count = 0;
  CASE("a rank of no documents", rerank(), SELVEDGE_ERR_INVALID_ARGUMENT);
  CASE("prefixes into no file", selvedge_engine_save_prefixes(engine, "", 0, &saved, NULL), SELVEDGE_ERR_INVALID_ARGUMENT);
  CASE("prefixes into half a name", selvedge_engine_save_prefixes(engine, "a\0b", 3, &saved, NULL),
       SELVEDGE_ERR_INVALID_ARGUMENT);
}

void misuse_shapes(void) {
  engine = open_rain();
  shapes();
  names();
  outputs();
  sources();
  profiles();
  tables();
  configurations();
  packing();
  terms();
  scores();
  must(selvedge_engine_close(engine), "closing the engine", NULL);
}
