/* What the misuse suite is made of: handles that are live and handles that are not, arguments that are right, and what is
 * looked at after every call. */
#ifndef MISUSE_H
#define MISUSE_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

enum { ANY_STATUS = -1, TABLE_WIDTH = 32, FEATURES = 4 };

/* Handles for a call. */
struct hands {
  void *live[HANDLE_TYPES];
  void *freed[HANDLE_TYPES];
  void *embedder;  /* an engine that embeds */
  void *ended_run; /* a run that is done */
  void *rubbish;   /* what an output holds before a call */
  /* Takes a handle that a call gave. */
  void (*got)(struct hands *hands, int type, void *handle);
};

/* Arguments for a call, right until one is spoilt. */
struct ground {
  struct structs structs;
  const char *model;
  const char *folder;
  const char *other_folder;
  const char *packed;
  const char *kept;       /* a file of prefixes */
  const char *store;
  const char *other_store;
  const char *deployment; /* its configuration, */
  const char *plan;       /* and a plan of it */
  const char *probe;
  const char *evidence;   /* a folder */
  uint8_t right[TABLE_WIDTH];
  double scores[TABLE_WIDTH];
  const void *profile;
  size_t profile_len;
  float numbers[4 * TABLE_WIDTH];
  uint32_t ids[4];
  int64_t dims[2];
  int64_t negative[2];
  int64_t written_dims[4];
  selvedge_hit hits[4];
  selvedge_text text;
  selvedge_pair variable;
  selvedge_bias bias;
};

/* What a call came to; `flaw` is a promise of the headers that it broke, whatever its status. */
struct outcome {
  int status;
  const char *flaw;
};

struct spoil {
  const char *label;
  int expected;
};

/* A function of the library. */
struct entry {
  const char *name;
  struct outcome (*call)(struct hands *hands, struct ground *ground, int spoil);
  const struct spoil *spoils; /* the first is none */
  size_t spoil_count;
  int dear;  /* takes long */
  int frees; /* the type of handle that it frees; -1: none */
};

extern const struct entry entries[];
extern const size_t entry_count;
extern const selvedge_text null_text, huge_text, latin_text, half_text;
extern const selvedge_pair null_pair, huge_pair, latin_pair;

/* ground.c */
selvedge_text long_text(void);
double not_a_number(void);
void quiet_log(void *user_data, const selvedge_log_line *line);
void fill_ground(struct ground *ground, const struct hands *hands);
void prepare(const char *function, struct hands *hands, struct ground *ground);

/* hands.c */
void make_folders(void);
void make_hands(struct hands *hands);
void free_hands(struct hands *hands);
void renew_run(struct hands *hands);
void renew_batch(struct hands *hands);
void renew_store(struct hands *hands);
void renew_staged(struct hands *hands);
void *foreign(const struct hands *hands, int type);
void *next_generation(void *handle);
selvedge_engine *open_rain(void);
selvedge_answer *ask_rain(const selvedge_engine *engine, const selvedge_call *call, int *status);
extern const char *scratch, *rain_path, *table_path;
extern unsigned char profile_bytes[1 << 16];
extern size_t profile_bytes_len;
extern char key_pem[1024], package_path[512], version_id[65];
extern const char some_digest[];

/* checks.c */
void check_error(struct outcome *outcome, selvedge_error **err);
void got_handle(struct hands *hands, struct outcome *outcome, int type, void *handle);
void check_zeroed(struct outcome *outcome, const void *place, size_t known);
void fill_behind_size(void *place, size_t size);
void judge(const char *what, const char *how, struct outcome outcome, int expected);
const char *status_name(int status);
void must(int status, const char *what, selvedge_error *err);
extern int cases_run, cases_failed;

/* Judges one call that was written by hand. */
#define CASE(what, call, expected) \
  do { \
    struct outcome outcome_ = { SELVEDGE_OK, NULL }; \
    outcome_.status = (int)(call); \
    judge(what, #call, outcome_, expected); \
  } while (0)
/* And something that must be true. */
#define TRUTH(what, condition) \
  do { \
    struct outcome outcome_ = { SELVEDGE_OK, NULL }; \
    if (!(condition)) outcome_.flaw = #condition; \
    judge(what, "", outcome_, SELVEDGE_OK); \
  } while (0)

/* shapes.c, stores.c, layers.c, callbacks.c, threads.c, versions.c */
void misuse_shapes(void);
void misuse_stores(void);
void misuse_layers(void);
void misuse_callbacks(void);
void misuse_threads(void);
void misuse_versions(void);

#endif
