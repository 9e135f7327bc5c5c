/* Functions of the library that break a promise each, in front of the real ones: the suite must name every one of them.
 * Linked into the suite, they are found before those of the shared library. */
#include <dlfcn.h>
#include <string.h>

#include "selvedge.h"

/* The library's own, as a pointer to a function: a cast from what dlsym gives is not C. */
#define REAL(type, name) \
  type real; \
  void *found = dlsym(RTLD_NEXT, #name); \
  memcpy(&real, &found, sizeof real)

typedef selvedge_status (*free_cancel)(selvedge_cancel *);
typedef selvedge_status (*count_outputs)(const selvedge_answer *, size_t *, selvedge_error **);
typedef selvedge_status (*describe_output)(const selvedge_answer *, size_t, selvedge_tensor *, selvedge_error **);
typedef selvedge_status (*new_progress)(selvedge_progress **, selvedge_error **);
typedef selvedge_status (*activate_version)(const selvedge_store *, const char *, size_t, selvedge_error **);
typedef selvedge_status (*explain_exit)(const char *, size_t, uint32_t, selvedge_exit, int32_t, size_t *, selvedge_error **);
typedef selvedge_status (*tick)(const selvedge_monitor *, selvedge_error **);

/* A handle that was freed is none: this takes it. */
selvedge_status selvedge_cancel_free(selvedge_cancel *cancel) {
  REAL(free_cancel, selvedge_cancel_free);
  real(cancel);
  return SELVEDGE_OK;
}

/* What is not there is zero after a failure: this leaves a number. */
selvedge_status selvedge_answer_output_count(const selvedge_answer *answer, size_t *count, selvedge_error **err) {
  selvedge_status status;
  REAL(count_outputs, selvedge_answer_output_count);
  status = real(answer, count, err);
  if (status != SELVEDGE_OK && count != NULL) *count = 1;
  return status;
}

/* Nothing is written behind a struct: this does. */
selvedge_status selvedge_answer_output(const selvedge_answer *answer, size_t index, selvedge_tensor *tensor,
                                       selvedge_error **err) {
  selvedge_status status;
  REAL(describe_output, selvedge_answer_output);
  status = real(answer, index, tensor, err);
  if (status == SELVEDGE_OK && tensor->struct_size == sizeof *tensor) memset(tensor + 1, 0, 8);
  return status;
}

/* NULL is no place for a handle: this takes it for one. */
selvedge_status selvedge_progress_new(selvedge_progress **out, selvedge_error **err) {
  REAL(new_progress, selvedge_progress_new);
  return out == NULL ? SELVEDGE_OK : real(out, err);
}

/* An id that is none names no version: this takes it for the one at hand. */
selvedge_status selvedge_store_activate(const selvedge_store *store, const char *id, size_t id_len, selvedge_error **err) {
  selvedge_status status;
  REAL(activate_version, selvedge_store_activate);
  status = real(store, id, id_len, NULL);
  if (err != NULL) *err = NULL;
  return status == SELVEDGE_ERR_INVALID_ARGUMENT ? SELVEDGE_OK : status;
}

/* A count is zero after a failure: this leaves a death. */
selvedge_status selvedge_crash_explain(const char *folder, size_t folder_len, uint32_t process, selvedge_exit exit,
                                       int32_t signal, size_t *deaths, selvedge_error **err) {
  selvedge_status status;
  REAL(explain_exit, selvedge_crash_explain);
  status = real(folder, folder_len, process, exit, signal, deaths, err);
  if (status != SELVEDGE_OK && deaths != NULL) *deaths = 1;
  return status;
}

/* A failure says why: this does not. */
selvedge_status selvedge_monitor_tick(const selvedge_monitor *monitor, selvedge_error **err) {
  selvedge_status status;
  REAL(tick, selvedge_monitor_tick);
  status = real(monitor, NULL);
  if (err != NULL) *err = NULL;
  return status;
}
