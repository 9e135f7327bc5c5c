/* Arguments that are right. */
#include "misuse.h"

const selvedge_text null_text = { NULL, 1 };
const selvedge_text huge_text = { "x", SIZE_MAX };
const selvedge_text latin_text = { "t\xeat\x65", 4 };
const selvedge_text half_text = { "caf\xc3", 4 };
const selvedge_pair null_pair = { { NULL, 1 }, { "1", 1 } };
const selvedge_pair huge_pair = { { "a", 1 }, { "x", SIZE_MAX } };
const selvedge_pair latin_pair = { { "t\xeat\x65", 4 }, { "1", 1 } };

/* One byte more than a name may have. */
selvedge_text long_text(void) {
  static char bytes[65537];
  selvedge_text text = { bytes, sizeof bytes };
  if (bytes[0] == 0) memset(bytes, 'a', sizeof bytes);
  return text;
}

double not_a_number(void) { return (double)NAN; }

void quiet_log(void *user_data, const selvedge_log_line *line) {
  (void)user_data;
  (void)line;
}

static selvedge_text text_of(const char *words) {
  selvedge_text text;
  text.data = words;
  text.len = strlen(words);
  return text;
}

static void fill_tensors(struct ground *g) {
  selvedge_tensor *input = &g->structs.tensor.s;
  selvedge_output *output = &g->structs.output.s;
  g->dims[0] = 2;
  g->dims[1] = FEATURES;
  g->negative[0] = -1;
  g->negative[1] = FEATURES;
  input->name = "weather";
  input->name_len = 7;
  input->dims = g->dims;
  input->rank = 2;
  input->data = g->numbers;
  input->byte_len = 2 * FEATURES * sizeof(float);
  input->dtype = SELVEDGE_F32;
  g->structs.tensors.s.inputs = input;
  g->structs.tensors.s.input_count = 1;
  output->name = text_of("rain_tomorrow");
  output->data = g->numbers + TABLE_WIDTH;
  output->capacity = TABLE_WIDTH * sizeof(float);
  output->dims = g->written_dims;
  output->dim_capacity = 4;
}

/* An answer with a call, so that a message has all that one may have. */
static void fill_message(struct ground *g) {
  selvedge_message *message = &g->structs.message.s;
  selvedge_tool_call *call = &g->structs.tool_call.s;
  call->id = text_of("k3h5");
  call->name = text_of("rain");
  call->arguments = text_of("{\"city\": \"Bergen\"}");
  message->role = text_of("assistant");
  message->content = text_of("Let me look.");
  message->reasoning = text_of("Will it rain?");
  message->tool_calls = call;
  message->tool_call_count = 1;
}

static void fill_terms(struct ground *g) {
  selvedge_generate *generate = &g->structs.generate.s;
  selvedge_tool *tool = &g->structs.tool.s;
  tool->name = text_of("rain");
  tool->description = text_of("Whether it rains in a city.");
  tool->parameters = text_of("{\"type\": \"object\"}");
  g->structs.document.s.title = text_of("Bergen");
  g->structs.document.s.text = text_of("It rains on most days.");
  g->structs.adapter.s.name = text_of("formal");
  g->structs.adapter.s.scale = 0.5f;
  g->variable.name = text_of("mood");
  g->variable.value = text_of("\"dry\"");
  g->bias.token = 7;
  g->bias.bias = -1.0f;
  generate->tools = tool;
  generate->documents = &g->structs.document.s;
  generate->variables = &g->variable;
  generate->adapters = &g->structs.adapter.s;
  generate->biases = &g->bias;
  generate->tool_count = generate->document_count = generate->variable_count = 1;
  generate->adapter_count = generate->bias_count = 1;
}

static void fill_scores(struct ground *g) {
  selvedge_score *score = &g->structs.score.s;
  score->messages = &g->structs.message.s;
  score->continuations = &g->text;
  score->adapters = &g->structs.adapter.s;
  score->message_count = score->continuation_count = score->adapter_count = 1;
  g->structs.rerank.s.query = text_of("days without rain");
  g->structs.rerank.s.documents = &g->text;
  g->structs.rerank.s.document_count = 1;
}

static void fill_texts(struct ground *g) {
  selvedge_generate *generate = &g->structs.generate.s;
  g->text = text_of("sunny days");
  fill_message(g);
  generate->messages = &g->structs.message.s;
  generate->message_count = 1;
  generate->stop = &g->text;
  generate->stop_count = 1;
  g->structs.embed.s.texts = &g->text;
  g->structs.embed.s.text_count = 1;
  fill_terms(g);
  fill_scores(g);
}

static void fill_rows(struct ground *g, const struct hands *hands) {
  selvedge_column *column = &g->structs.column.s;
  selvedge_rows *rows = &g->structs.rows.s;
  column->name = text_of("wind");
  column->data = g->numbers;
  column->dtype = SELVEDGE_F32;
  rows->columns = column;
  rows->column_count = 1;
  rows->row_count = 3 * TABLE_WIDTH;
  g->structs.monitor_options.s.config = text_of(
    "{\"probe\": {\"kind\": \"classes\", \"output\": \"rain_tomorrow\", \"binary\": true}, \"window\": 8, \"learn\": 2}");
  (void)hands;
}

static void fill_post(struct ground *g) {
  g->structs.outbox_options.s.app = text_of("misuse");
  g->structs.http_response.s.status = 200;
  g->structs.http_response.s.content_type = text_of("application/x-protobuf");
  g->structs.pack_options.s.scheme = SELVEDGE_SCHEME_F16;
  g->structs.pack_options.s.min_elements = 1;
  g->structs.pack_options.s.flags = SELVEDGE_PACK_OVERWRITE;
}

static void fill_layers(struct ground *g, const struct hands *hands) {
  g->structs.stage.s.engine = hands != NULL ? (const selvedge_engine *)hands->live[H_engine] : NULL;
  g->structs.stage.s.checks = text_of("[{\"kind\": \"finished\"}]");
  g->deployment =
    "{\"model\": \"rain\", \"monitor\": {\"probe\": {\"kind\": \"columns\", \"input\": \"weather\", \"names\": "
    "[\"precipitation\", \"temp_max\", \"temp_min\", \"wind\"]}, \"window\": 8}}";
  g->plan = "{\"kind\": \"blue_green\"}";
  g->probe = "{\"kind\": \"classes\", \"output\": \"rain_tomorrow\", \"binary\": true}";
  memset(g->right, 1, sizeof g->right);
  memset(g->scores, 0, sizeof g->scores);
}

static void fill_store(struct ground *g) {
  static selvedge_text key;
  key = text_of(key_pem);
  g->structs.trust.s.keys = &key;
  g->structs.trust.s.key_count = 1;
  g->structs.package.s.path = text_of(package_path);
}

void fill_ground(struct ground *g, const struct hands *hands) {
  static char other_folder[512], packed[512], kept[512], store[512], other_store[512], evidence[512];
  size_t i;
  init_structs(&g->structs);
  g->model = rain_path;
  g->folder = scratch;
  if (*packed == 0) {
    snprintf(other_folder, sizeof other_folder, "%s/outbox", scratch);
    snprintf(packed, sizeof packed, "%s/packed.onnx", scratch);
    snprintf(kept, sizeof kept, "%s/prefixes", scratch);
    snprintf(evidence, sizeof evidence, "%s/evidence", scratch);
    snprintf(store, sizeof store, "%s/store", scratch);
    snprintf(other_store, sizeof other_store, "%s/other-store", scratch);
  }
  g->other_folder = other_folder;
  g->packed = packed;
  g->kept = kept;
  g->store = store;
  g->other_store = other_store;
  g->profile = profile_bytes;
  g->profile_len = profile_bytes_len;
  for (i = 0; i < sizeof g->numbers / sizeof *g->numbers; i++) g->numbers[i] = (float)(i % 17) * 0.5f;
  for (i = 0; i < 4; i++) g->ids[i] = (uint32_t)i;
  g->structs.source.s.path = text_of(rain_path);
  fill_tensors(g);
  fill_texts(g);
  fill_rows(g, hands);
  fill_post(g);
  g->evidence = evidence;
  fill_store(g);
  fill_layers(g, hands);
}

/* What a function needs that others do not. */
void prepare(const char *function, struct hands *hands, struct ground *g) {
  if (strcmp(function, "selvedge_table_open") == 0) g->structs.source.s.path = text_of(table_path);
  else if (strcmp(function, "selvedge_run_next") == 0) renew_run(hands);
  else if (strncmp(function, "selvedge_outbox_", 16) == 0) renew_batch(hands);
  else if (strncmp(function, "selvedge_store_", 15) == 0) renew_store(hands);
  else if (strncmp(function, "selvedge_staged_", 16) == 0) renew_staged(hands);
}
