/* Continues a text with a language model, word by word. Ctrl-C ends the answer and nothing is lost.
 *
 *     ./stream model.gguf "The capital of France is" [max tokens] */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selvedge.h"

static volatile sig_atomic_t interrupted = 0;

static void on_interrupt(int signal) {
  (void)signal;
  interrupted = 1;
}

static int failed(const char *doing, selvedge_error *err) {
  fprintf(stderr, "%s: %s\n", doing, selvedge_error_message(err, NULL));
  selvedge_error_free(err);
  return EXIT_FAILURE;
}

/* Pulls the run to its end. A step is short (a slice of the prompt, or a token), so that looking at the signal between
 * steps is enough; another thread could call selvedge_cancel_set just as well. */
static int stream(selvedge_run *run, selvedge_cancel *cancel) {
  selvedge_event event = SELVEDGE_EVENT_INIT;
  selvedge_error *err;
  selvedge_status status;

  while (event.kind != SELVEDGE_EVENT_DONE) {
    if (interrupted) selvedge_cancel_set(cancel);
    status = selvedge_run_next(run, &event, &err);
    if (status == SELVEDGE_ERR_CANCELLED) {
      printf("\n[cancelled]\n");
      selvedge_error_free(err);
      return EXIT_SUCCESS;
    }
    if (status != SELVEDGE_OK) return failed("generating", err);
    if (event.kind == SELVEDGE_EVENT_TEXT) {
      fwrite(event.text, 1, event.text_len, stdout);
      fflush(stdout);
    }
  }
  printf("\n[%lu prompt tokens, %lu generated]\n", (unsigned long)event.input_tokens,
         (unsigned long)event.output_tokens);
  return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
  selvedge_generate request = SELVEDGE_GENERATE_INIT;
  selvedge_call call = SELVEDGE_CALL_INIT;
  selvedge_engine *engine = NULL;
  selvedge_cancel *cancel = NULL;
  selvedge_run *run = NULL;
  selvedge_error *err;
  int status;

  if (argc < 3) {
    fprintf(stderr, "usage: %s model.gguf prompt [max tokens]\n", argv[0]);
    return EXIT_FAILURE;
  }
  request.prompt.data = argv[2];
  request.prompt.len = strlen(argv[2]);
  if (argc > 3) request.max_tokens = (uint32_t)strtoul(argv[3], NULL, 10);
  signal(SIGINT, on_interrupt);

  if (selvedge_engine_open(argv[1], strlen(argv[1]), NULL, &engine, &err) != SELVEDGE_OK) {
    status = failed("opening the model", err);
  } else if (selvedge_cancel_new(&cancel, &err) != SELVEDGE_OK) {
    status = failed("making a switch", err);
  } else {
    call.cancel = cancel;
    if (selvedge_engine_generate(engine, &request, &call, &run, &err) != SELVEDGE_OK) {
      status = failed("starting", err);
    } else {
      status = stream(run, cancel);
    }
  }
  /* To free what was never made is nothing. */
  selvedge_run_free(run);
  selvedge_cancel_free(cancel);
  selvedge_engine_close(engine);
  return status;
}
