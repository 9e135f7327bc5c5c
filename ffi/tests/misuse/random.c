/* Random sequences of calls: any function, with handles that are live, freed, of another type or never were, and mostly one
 * argument or none that is wrong. No call may crash, hang, panic, or break what is true after every call; a handle is freed
 * once; all that is live at the end can be freed.
 *
 * usage: random MODEL.onnx TABLE.safetensors SCRATCH_FOLDER CALLS [SEED] */
#include "misuse.h"

/* What takes long is rarer, and what frees, so that there is something to call. */
enum { POOL = 8, DEAR = 30, FREES = 12 };

static uint64_t state;

static uint32_t draw(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)((state * 0x2545f4914f6cdd1du) >> 33) % below;
}

static void *pool[HANDLE_TYPES][POOL];
static void *stale[HANDLE_TYPES];
static unsigned long statuses[256], gained, freed;
static const char *called;

/* Engines whose runs wait for each other: one that has begun and is kept would let a later call of this thread wait for ever,
 * as the headers say. */
static int waits(void) {
  return strcmp(called, "selvedge_schedule_around") == 0 || strcmp(called, "selvedge_models_engine") == 0;
}

/* Takes a handle in; what had its place is freed, which must go well. */
static void take(struct hands *hands, int type, void *handle) {
  uint32_t place = draw(POOL);
  (void)hands;
  gained++;
  if (type == H_engine && waits()) {
    must(free_handle(type, handle), handle_names[type], NULL);
    freed++;
    return;
  }
  if (pool[type][place] != NULL) {
    must(free_handle(type, pool[type][place]), handle_names[type], NULL);
    stale[type] = pool[type][place];
    freed++;
  }
  pool[type][place] = handle;
}

static void *any_handle(int type) {
  void *handle = NULL;
  int i;
  switch (draw(40)) {
    case 0: return stale[type];
    case 1: return pool[draw(HANDLE_TYPES)][draw(POOL)];
    case 2: return (void *)((uintptr_t)draw(1000) << draw(50));
    default: break;
  }
  /* An empty place is drawn again now and then. */
  for (i = 0; i < 8 && handle == NULL; i++) handle = pool[type][draw(POOL)];
  return handle;
}

static void deal(struct hands *hands) {
  int type;
  for (type = 0; type < HANDLE_TYPES; type++) {
    hands->live[type] = any_handle(type);
    hands->freed[type] = stale[type];
  }
  if (draw(2)) hands->embedder = hands->live[H_engine];
  if (draw(4)) hands->ended_run = hands->live[H_run];
}

/* What a call that frees may come to is known. */
static void freed_by_call(const struct entry *entry, const struct hands *hands, struct outcome outcome) {
  void *handle = hands->live[entry->frees];
  int i, live = 0;
  for (i = 0; i < POOL; i++) {
    if (pool[entry->frees][i] == handle && handle != NULL) {
      live = 1;
      pool[entry->frees][i] = NULL;
    }
  }
  if (live) {
    stale[entry->frees] = handle;
    freed++;
  }
  judge(entry->name, live ? "live" : "not live", outcome,
        live || handle == NULL ? SELVEDGE_OK : SELVEDGE_ERR_BAD_HANDLE);
}

static void one_call(struct hands *hands) {
  struct ground g;
  const struct entry *entry;
  struct outcome outcome;
  int spoil;
  do entry = &entries[draw((uint32_t)entry_count)];
  while ((entry->dear && draw(DEAR) != 0) || (entry->frees >= 0 && draw(FREES) != 0));
  deal(hands);
  fill_ground(&g, hands);
  if (strcmp(entry->name, "selvedge_table_open") == 0) prepare(entry->name, hands, &g);
  /* A handle to be freed is as it was dealt, so that it is known what becomes of it. */
  spoil = entry->frees >= 0 || draw(3) ? 0 : (int)draw((uint32_t)entry->spoil_count);
  called = entry->name;
  outcome = entry->call(hands, &g, spoil);
  statuses[outcome.status & 255]++;
  if (entry->frees >= 0) freed_by_call(entry, hands, outcome);
  else judge(entry->name, entry->spoils[spoil].label, outcome, ANY_STATUS);
}

static void report(unsigned long calls, unsigned long long seed) {
  int i;
  printf("random: %lu calls from seed %llu:", calls, seed);
  for (i = 0; i < 256; i++) {
    if (statuses[i] != 0) printf(" %lu %s", statuses[i], status_name(i));
  }
  printf("; %lu handles given, %lu freed; %d failed\n", gained, freed, cases_failed);
}

int main(int argc, char **argv) {
  struct hands hands, own;
  unsigned long calls, i;
  unsigned long long seed;
  int type, place;
  if (argc < 5) {
    fprintf(stderr, "usage: %s MODEL.onnx TABLE.safetensors SCRATCH_FOLDER CALLS [SEED]\n", argv[0]);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  rain_path = argv[1];
  table_path = argv[2];
  scratch = argv[3];
  calls = strtoul(argv[4], NULL, 10);
  seed = argc > 5 ? strtoull(argv[5], NULL, 10) : 1;
  state = seed * 0x9e3779b97f4a7c15u | 1;
  make_folders();
  make_hands(&own);
  hands = own;
  hands.got = take;
  for (type = 0; type < HANDLE_TYPES; type++) {
    pool[type][0] = own.live[type];
    stale[type] = own.freed[type];
    own.live[type] = NULL;
  }
  for (i = 0; i < calls && cases_failed < 20; i++) one_call(&hands);
  for (type = 0; type < HANDLE_TYPES; type++) {
    for (place = 0; place < POOL; place++) must(free_handle(type, pool[type][place]), handle_names[type], NULL);
  }
  free_hands(&own);
  report(i, seed);
  return cases_failed != 0;
}
