/* Lets a language model call a function of the program, and answers with what that says. With a file, what was computed is
 * kept there for the next start.
 *
 *     ./tools model.gguf "Will it rain in Bergen?" [file of prefixes] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selvedge.h"

/* A call, copied out of its event. */
struct call {
  char id[64], name[128], arguments[512];
};

static int failed(const char *doing, selvedge_error *err) {
  fprintf(stderr, "%s: %s\n", doing, selvedge_error_message(err, NULL));
  selvedge_error_free(err);
  return EXIT_FAILURE;
}

static void copy(char *to, size_t room, const char *text, size_t len) {
  if (len >= room) len = room - 1;
  if (len > 0) memcpy(to, text, len);
  to[len] = 0;
}

static selvedge_text text_of(const char *words) {
  selvedge_text text;
  text.data = words;
  text.len = strlen(words);
  return text;
}

/* Asks, prints what is said, and keeps the last call. */
static int ask(const selvedge_engine *engine, const selvedge_generate *request, struct call *call) {
  selvedge_event event = SELVEDGE_EVENT_INIT;
  selvedge_run *run;
  selvedge_error *err;
  int status = EXIT_SUCCESS;
  if (selvedge_engine_generate(engine, request, NULL, &run, &err) != SELVEDGE_OK) return failed("asking", err);
  while (status == EXIT_SUCCESS && event.kind != SELVEDGE_EVENT_DONE) {
    if (selvedge_run_next(run, &event, &err) != SELVEDGE_OK) {
      status = failed("generating", err);
    } else if (event.kind == SELVEDGE_EVENT_TEXT) {
      fwrite(event.text, 1, event.text_len, stdout);
    } else if (event.kind == SELVEDGE_EVENT_TOOL_CALL) {
      copy(call->id, sizeof call->id, event.id, event.id_len);
      copy(call->name, sizeof call->name, event.name, event.name_len);
      copy(call->arguments, sizeof call->arguments, event.text, event.text_len);
      printf("[%s(%s)]\n", call->name, call->arguments);
    } else if (event.kind == SELVEDGE_EVENT_MALFORMED_CALL) {
      fprintf(stderr, "no call, for %s: %s\n", event.reason, event.text);
    }
  }
  if (status == EXIT_SUCCESS) {
    printf("[%lu prompt tokens, %lu of them from before]\n", (unsigned long)event.input_tokens,
           (unsigned long)event.cached_tokens);
  }
  selvedge_run_free(run);
  return status;
}

/* The question, the call that the model makes, what came of it, and the answer. */
static int talk(const selvedge_engine *engine, const char *question) {
  selvedge_tool tool = SELVEDGE_TOOL_INIT;
  selvedge_message said[3] = { SELVEDGE_MESSAGE_INIT, SELVEDGE_MESSAGE_INIT, SELVEDGE_MESSAGE_INIT };
  selvedge_tool_call made = SELVEDGE_TOOL_CALL_INIT;
  selvedge_generate request = SELVEDGE_GENERATE_INIT;
  struct call call = { "", "", "" };
  tool.name = text_of("weather");
  tool.description = text_of("The weather of tomorrow in a city.");
  tool.parameters = text_of("{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\", \"maxLength\": 20}}, "
                            "\"required\": [\"city\"]}");
  said[0].role = text_of("user");
  said[0].content = text_of(question);
  request.messages = said;
  request.message_count = 1;
  request.tools = &tool;
  request.tool_count = 1;
  request.tool_choice = SELVEDGE_TOOL_CHOICE_NAMED;
  request.tool_name = tool.name;
  request.max_tokens = 100;
  if (ask(engine, &request, &call) != EXIT_SUCCESS) return EXIT_FAILURE;
  if (*call.id == 0) {
    fprintf(stderr, "the model made no call\n");
    return EXIT_FAILURE;
  }

  made.id = text_of(call.id);
  made.name = text_of(call.name);
  made.arguments = text_of(call.arguments);
  said[1].role = text_of("assistant");
  said[1].tool_calls = &made;
  said[1].tool_call_count = 1;
  said[2].role = text_of("tool");
  said[2].content = text_of("{\"rain\": true, \"millimetres\": 12}");
  said[2].tool_call_id = made.id;
  request.message_count = 3;
  request.tool_choice = SELVEDGE_TOOL_CHOICE_NONE;
  request.tool_name = text_of("");
  request.max_tokens = 16;
  return ask(engine, &request, &call);
}

int main(int argc, char **argv) {
  selvedge_options options = SELVEDGE_OPTIONS_INIT;
  selvedge_prefixes kept = SELVEDGE_PREFIXES_INIT;
  selvedge_engine *engine = NULL;
  selvedge_error *err;
  int status;

  if (argc < 3) {
    fprintf(stderr, "usage: %s model.gguf question [file of prefixes]\n", argv[0]);
    return EXIT_FAILURE;
  }
  options.context_tokens = 1024;
  options.parallel = 1;
  if (selvedge_engine_open(argv[1], strlen(argv[1]), &options, &engine, &err) != SELVEDGE_OK) {
    return failed("opening the model", err);
  }
  if (argc > 3 && selvedge_engine_restore_prefixes(engine, argv[3], strlen(argv[3]), &kept, NULL) == SELVEDGE_OK) {
    printf("[%lu tokens kept from before]\n", (unsigned long)kept.tokens);
  }
  status = talk(engine, argv[2]);
  if (argc > 3 && status == EXIT_SUCCESS &&
      selvedge_engine_save_prefixes(engine, argv[3], strlen(argv[3]), &kept, &err) != SELVEDGE_OK) {
    status = failed("keeping the prefixes", err);
  }
  selvedge_engine_close(engine);
  return status;
}
