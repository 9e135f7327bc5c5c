/* What is true after every call, whatever was wrong with it. */
#include "misuse.h"

int cases_run, cases_failed;

/* An error object is there if the call failed and there was a place for it, and says what the status says. */
void check_error(struct outcome *outcome, selvedge_error **err) {
  const char *message;
  size_t len = 0;
  if (err == NULL) return;
  if (outcome->status == SELVEDGE_OK) {
    if (*err != NULL) outcome->flaw = "OK, and an error object";
    return;
  }
  if (*err == NULL) {
    outcome->flaw = "a failure without an error object";
    return;
  }
  message = selvedge_error_message(*err, &len);
  if (selvedge_error_code(*err) != outcome->status) outcome->flaw = "the error object has another code";
  else if (len == 0 || strlen(message) != len) outcome->flaw = "the message is empty, or another than its length says";
  if (selvedge_error_free(*err) != SELVEDGE_OK) outcome->flaw = "the error object cannot be freed";
  if (selvedge_error_free(*err) != SELVEDGE_ERR_BAD_HANDLE) outcome->flaw = "the error object can be freed twice";
}

void got_handle(struct hands *hands, struct outcome *outcome, int type, void *handle) {
  if (outcome->status != SELVEDGE_OK) {
    if (handle != NULL) outcome->flaw = "a failure, and a handle";
  } else if (handle == hands->rubbish) {
    outcome->flaw = "OK, and the place of the handle was not written";
  } else if (handle != NULL) {
    hands->got(hands, type, handle);
  } else if (type != H_batch) {
    outcome->flaw = "OK, and no handle";
  }
}

/* A struct that a call writes: zero after a failure, and zero beyond what the library knows of it. */
void check_zeroed(struct outcome *outcome, const void *place, size_t known) {
  const unsigned char *bytes = place;
  size_t size, i;
  if (place == NULL) return;
  memcpy(&size, place, sizeof size);
  if (size < known || size > known + 8) return;
  for (i = outcome->status == SELVEDGE_OK ? known : sizeof size; i < size; i++) {
    if (bytes[i] != 0) outcome->flaw = "a struct is not zero where nothing was written";
  }
  for (i = size; i < known + 16; i++) {
    if (bytes[i] != 0xa5) outcome->flaw = "written behind a struct";
  }
}

void fill_behind_size(void *place, size_t size) {
  memset((unsigned char *)place + sizeof(size_t), 0xa5, size - sizeof(size_t));
}

void judge(const char *what, const char *how, struct outcome outcome, int expected) {
  cases_run++;
  if (outcome.flaw == NULL && expected == ANY_STATUS) {
    if (outcome.status != SELVEDGE_ERR_PANIC && outcome.status != SELVEDGE_ERR_INTERNAL) return;
  } else if (outcome.flaw == NULL && outcome.status == expected) {
    return;
  }
  cases_failed++;
  printf("FAILED: %s: %s: ", what, how);
  if (outcome.flaw != NULL) printf("%s (%s)\n", outcome.flaw, status_name(outcome.status));
  else printf("expected %s, got %s\n", status_name(expected), status_name(outcome.status));
}

const char *status_name(int status) {
  static const char *const names[] = {
    "OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNSUPPORTED", "OUT_OF_MEMORY", "CANCELLED", "BUSY", "IO",
    "CORRUPT", "BACKEND", "DEADLINE_EXCEEDED", "CONTEXT_FULL", "MISSING_RUNTIME", "BAD_HANDLE", "INTERNAL",
    "QUARANTINED", "UNTRUSTED",
  };
  if (status == ANY_STATUS) return "neither PANIC nor INTERNAL";
  if (status == SELVEDGE_ERR_PANIC) return "PANIC";
  return status >= 0 && status < (int)(sizeof names / sizeof *names) ? names[status] : "an unknown status";
}

/* What the suite itself needs. */
void must(int status, const char *what, selvedge_error *err) {
  if (status == SELVEDGE_OK) return;
  printf("FAILED: %s: %s: %s\n", what, status_name(status), selvedge_error_message(err, NULL));
  exit(2);
}
