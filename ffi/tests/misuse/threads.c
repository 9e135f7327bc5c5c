/* Handles that several threads use, free and end at once. What each thread gets depends on who comes first; that it is one
 * of the statuses that the headers name, that exactly one frees, and that nothing hangs, does not. */
#include <pthread.h>

#include "misuse.h"

enum { THREADS = 4, ROUNDS = 200 };

/* How often each status came; PANIC is the last. */
struct tally {
  int of[17];
};

static struct {
  pthread_barrier_t start;
  void *handle;
  int type;
  selvedge_engine *engine;
  selvedge_cancel *cancel;
  selvedge_monitor *monitor;
  selvedge_outbox *outbox;
} shared;

static void count(struct tally *tally, int status) {
  tally->of[status >= 0 && status < 16 ? status : 16]++;
}

/* Runs `body` on THREADS threads that start together, each with its number, and adds up what they got. */
static struct tally together(void *(*body)(void *)) {
  pthread_t threads[THREADS];
  struct tally tallies[THREADS], sum;
  int i, s;
  memset(tallies, 0, sizeof tallies);
  memset(&sum, 0, sizeof sum);
  pthread_barrier_init(&shared.start, NULL, THREADS);
  for (i = 0; i < THREADS; i++) {
    tallies[i].of[0] = i;
    if (pthread_create(&threads[i], NULL, body, &tallies[i]) != 0) exit(2);
  }
  for (i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    for (s = 0; s < 17; s++) sum.of[s] += tallies[i].of[s];
  }
  pthread_barrier_destroy(&shared.start);
  return sum;
}

/* The number of this thread; waits for the others. */
static int begin(struct tally *tally) {
  int number = tally->of[0];
  tally->of[0] = 0;
  pthread_barrier_wait(&shared.start);
  return number;
}

static void add(struct tally *sum, struct tally tally) {
  int s;
  for (s = 0; s < 17; s++) sum->of[s] += tally.of[s];
}

static int only(const struct tally *tally, const int *allowed, int n) {
  int s, i, ok;
  for (s = 0; s < 17; s++) {
    for (ok = tally->of[s] == 0, i = 0; i < n && !ok; i++) ok = allowed[i] == s;
    if (!ok) {
      printf("%d calls came to %s\n", tally->of[s], status_name(s == 16 ? SELVEDGE_ERR_PANIC : s));
      return 0;
    }
  }
  return 1;
}
#define ONLY(what, tally, ...) \
  do { \
    static const int allowed_[] = { __VA_ARGS__ }; \
    TRUTH(what, only(&(tally), allowed_, (int)(sizeof allowed_ / sizeof *allowed_))); \
  } while (0)

static void *free_it(void *tally) {
  begin(tally);
  count(tally, free_handle(shared.type, shared.handle));
  return NULL;
}

/* Each type of handle is freed by four threads at once: one gets it. */
static void freed_by_all(void) {
  struct hands hands;
  struct tally tally;
  make_hands(&hands);
  for (shared.type = HANDLE_TYPES - 1; shared.type >= 0; shared.type--) {
    shared.handle = hands.live[shared.type];
    hands.live[shared.type] = NULL;
    tally = together(free_it);
    ONLY(handle_names[shared.type], tally, SELVEDGE_OK, SELVEDGE_ERR_BAD_HANDLE);
    TRUTH(handle_names[shared.type], tally.of[SELVEDGE_OK] == 1);
  }
  free_hands(&hands);
}

static void *run_or_close(void *tally) {
  int number = begin(tally), i, status;
  for (i = 0; number > 0 && i < 20; i++) {
    selvedge_answer_free(ask_rain(shared.engine, NULL, &status));
    count(tally, status);
  }
  if (number == 0) count(tally, selvedge_engine_close(shared.engine));
  return NULL;
}

static void *step_or_free(void *tally) {
  selvedge_event event = SELVEDGE_EVENT_INIT;
  selvedge_run *run = (selvedge_run *)shared.handle;
  selvedge_answer *answer;
  int number = begin(tally);
  if (number == 0) {
    count(tally, selvedge_run_free(run));
  } else if (number == 1) {
    count(tally, selvedge_run_answer(run, &answer, NULL));
    selvedge_answer_free(answer);
  } else {
    count(tally, selvedge_run_next(run, &event, NULL));
  }
  return NULL;
}

static void *cancel_or_free(void *tally) {
  selvedge_call call = SELVEDGE_CALL_INIT;
  int number = begin(tally), status;
  call.cancel = shared.cancel;
  if (number == 0) {
    count(tally, selvedge_cancel_free(shared.cancel));
  } else if (number == 1) {
    count(tally, selvedge_cancel_set(shared.cancel));
  } else {
    selvedge_answer_free(ask_rain(shared.engine, &call, &status));
    count(tally, status);
  }
  return NULL;
}

static void freed_while_used(void) {
  struct tally closed, freed, cancelled;
  struct ground g;
  selvedge_run *run;
  int i;
  memset(&closed, 0, sizeof closed);
  freed = cancelled = closed;
  for (i = 0; i < ROUNDS / 10; i++) {
    shared.engine = open_rain();
    add(&closed, together(run_or_close));
  }
  ONLY("an engine closed while it runs", closed, SELVEDGE_OK, SELVEDGE_ERR_BAD_HANDLE);
  shared.engine = open_rain();
  fill_ground(&g, NULL);
  for (i = 0; i < ROUNDS; i++) {
    must(selvedge_engine_start(shared.engine, &g.structs.tensors.s, NULL, &run, NULL), "a run", NULL);
    shared.handle = run;
    add(&freed, together(step_or_free));
    must(selvedge_cancel_new(&shared.cancel, NULL), "a cancel", NULL);
    add(&cancelled, together(cancel_or_free));
  }
  ONLY("a run freed while it is stepped", freed, SELVEDGE_OK, SELVEDGE_ERR_BUSY, SELVEDGE_ERR_CANCELLED,
       SELVEDGE_ERR_BAD_HANDLE, SELVEDGE_ERR_INVALID_ARGUMENT);
  ONLY("a cancel freed while it is set", cancelled, SELVEDGE_OK, SELVEDGE_ERR_CANCELLED, SELVEDGE_ERR_BAD_HANDLE);
  TRUTH("each run and each cancel was freed", freed.of[SELVEDGE_OK] >= ROUNDS && cancelled.of[SELVEDGE_OK] >= ROUNDS);
  must(selvedge_engine_close(shared.engine), "closing", NULL);
}

static void *log_and_open(void *tally) {
  int number = begin(tally), i;
  for (i = 0; i < 10; i++) {
    if (number < 2) count(tally, selvedge_log_set(number ? quiet_log : NULL, NULL, NULL, SELVEDGE_LOG_TRACE, NULL));
    else count(tally, selvedge_engine_close(open_rain()));
  }
  return NULL;
}

static void *watch_and_free(void *tally) {
  selvedge_engine *watched;
  selvedge_batch *batch;
  selvedge_alert alert = SELVEDGE_ALERT_INIT;
  int number = begin(tally), i, status;
  if (number == 0) {
    for (i = 0; i < 20; i++) count(tally, selvedge_monitor_close_window(shared.monitor, NULL));
    count(tally, selvedge_monitor_free(shared.monitor));
    return NULL;
  }
  for (i = 0; i < 30; i++) {
    count(tally, selvedge_monitor_next_alert(shared.monitor, &alert, NULL));
    status = selvedge_outbox_next_batch(shared.outbox, 4096, &batch, NULL);
    count(tally, status);
    selvedge_batch_free(batch);
    status = selvedge_monitor_engine(shared.monitor, &watched, NULL);
    count(tally, status);
    if (status != SELVEDGE_OK) continue;
    selvedge_answer_free(ask_rain(watched, NULL, &status));
    count(tally, status);
    count(tally, selvedge_engine_close(watched));
  }
  return NULL;
}

static void watched(void) {
  struct hands hands;
  struct tally tally;
  make_hands(&hands);
  shared.monitor = (selvedge_monitor *)hands.live[H_monitor];
  shared.outbox = (selvedge_outbox *)hands.live[H_outbox];
  hands.live[H_monitor] = NULL;
  tally = together(watch_and_free);
  ONLY("a monitor freed while its engine runs and its folder is posted", tally, SELVEDGE_OK, SELVEDGE_ERR_BUSY,
       SELVEDGE_ERR_BAD_HANDLE);
  free_hands(&hands);
}

void misuse_threads(void) {
  struct tally tally;
  freed_by_all();
  freed_while_used();
  watched();
  tally = together(log_and_open);
  ONLY("a log that is set while lines come", tally, SELVEDGE_OK);
  selvedge_log_set(NULL, NULL, NULL, SELVEDGE_LOG_OFF, NULL);
}
