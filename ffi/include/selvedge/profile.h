/* selvedge/profile.h: what a model was made for: fit, encode, compare. Include "selvedge.h". */
#ifndef SELVEDGE_PROFILE_H
#define SELVEDGE_PROFILE_H

#include "base.h"

SELVEDGE_BEGIN

SELVEDGE_ENUM_BEGIN(selvedge_feature_source)
  SELVEDGE_FEATURE_INPUT = 0,          /* a number or a category that goes into the model */
  SELVEDGE_FEATURE_CLASS = 1,          /* the class that the model gave */
  SELVEDGE_FEATURE_CONFIDENCE = 2,     /* how sure it was, in [0, 1] */
  SELVEDGE_FEATURE_ENTROPY = 3,        /* of its probabilities, in nats */
  SELVEDGE_FEATURE_LATENCY = 4,        /* of its answer, in milliseconds */
  SELVEDGE_FEATURE_LENGTH = 5          /* of a text, in any unit */
SELVEDGE_ENUM_END(selvedge_feature_source)

#define SELVEDGE_COLUMN_CATEGORY 1u    /* selvedge_column.flags: the numbers are names of categories, not amounts, as
                                        * those of SELVEDGE_FEATURE_CLASS are in any case */

typedef struct selvedge_profile selvedge_profile; /* the distributions that a model was made for */

/* A column of a table that lies somewhere else: of its own, or a part of rows. */
typedef struct selvedge_column {
  size_t struct_size;
  selvedge_text name;                  /* at most 255 bytes in a profile */
  const void *SELVEDGE_NULLABLE data;  /* the first element, at any alignment; NULL only if there are no rows */
  size_t stride;                       /* bytes from one element to the next, at least its size; 0: one after the other */
  selvedge_dtype dtype;                /* F32, F64, F16, the integers, BOOL: numbers, rounded to F32, NaN is missing;
                                        * STRING (selvedge_text): categories, data NULL is missing */
  selvedge_feature_source source;
  uint32_t flags;                      /* SELVEDGE_COLUMN_* */
  uint32_t reserved;                   /* 0 */
} selvedge_column;
#define SELVEDGE_COLUMN_INIT { sizeof(selvedge_column), { NULL, 0 }, NULL, 0, SELVEDGE_DTYPE_UNSET, SELVEDGE_FEATURE_INPUT, \
  0, 0 }

/* Rows of the data that a model was made for, or of what it sees now. Nothing is copied. */
typedef struct selvedge_rows {
  size_t struct_size;
  const selvedge_column *SELVEDGE_NULLABLE columns;
  size_t column_count;
  size_t row_count;                    /* of each column */
  const float *SELVEDGE_NULLABLE embeddings; /* row_count vectors, one after the other; NULL: none */
  size_t embedding_width;              /* numbers of each, at most 65,536; 0: none */
  const uint8_t *SELVEDGE_NULLABLE right; /* a byte a row: 1 if the model was right, 0 if not; NULL: not known */
} selvedge_rows;
#define SELVEDGE_ROWS_INIT { sizeof(selvedge_rows), NULL, 0, 0, NULL, 0, NULL }

/* How a profile is fitted. */
typedef struct selvedge_fit {
  size_t struct_size;
  uint32_t bins;                       /* most of a number, 2 to 64; 0: 16 */
  uint32_t categories;                 /* most that are kept of a column, 1 to 64; 0: 16 */
  uint32_t seed;                       /* of what is drawn for embeddings, and of the sample of a long column */
  uint32_t block;                      /* rows that depend on one another, at most half of them; 1: none do; 0: estimated */
  const uint8_t *SELVEDGE_NULLABLE sha256; /* 32 bytes: the digest of the model it is for; NULL: of any */
} selvedge_fit;
#define SELVEDGE_FIT_INIT { sizeof(selvedge_fit), 0, 0, 0, 0, NULL }

/* Fits a profile to the rows that a model was made for, in their order; they are read twice. `fit` may be NULL: as
 * SELVEDGE_FIT_INIT. Free it with selvedge_profile_free. Errors: INVALID_ARGUMENT (no rows, neither columns nor
 * embeddings, a name twice, a dtype that is none of a column, categories of a source that is a number). */
SELVEDGE_API selvedge_status selvedge_profile_fit(const selvedge_rows *rows, const selvedge_fit *SELVEDGE_NULLABLE fit,
                                                  SELVEDGE_OUT(selvedge_profile) out, SELVEDGE_ERR err);

/* Reads a profile from the bytes that selvedge_profile_encode gave, on any machine. Errors: CORRUPT, UNSUPPORTED (of a
 * later version). */
SELVEDGE_API selvedge_status selvedge_profile_decode(const void *bytes, size_t len, SELVEDGE_OUT(selvedge_profile) out,
                                                     SELVEDGE_ERR err);

/* The profile as bytes, a few kilobytes, for a file beside the model. Free the buffer with selvedge_buffer_free. */
SELVEDGE_API selvedge_status selvedge_profile_encode(const selvedge_profile *profile, SELVEDGE_OUT(selvedge_buffer) out,
                                                     SELVEDGE_ERR err);

/* What the profile holds as a JSON object: rows, block, learned, model (null, or a digest in hexadecimal),
 * features [{name, source ("input", "class", ...), kind ("number" or "category"), bins [name], counts}], embedding (null,
 * or {width, rows}).
 * Free the buffer with selvedge_buffer_free. */
SELVEDGE_API selvedge_status selvedge_profile_json(const selvedge_profile *profile, SELVEDGE_OUT(selvedge_buffer) out,
                                                   SELVEDGE_ERR err);

/* Whether these rows come from the world of the profile, all of them at once, as a JSON object: rows, level (the
 * probability of a false alarm), drifted, features [{name, drifted, finding (null, or a kind as of selvedge_alert.kind), p,
 * psi, js, hellinger, ks, wasserstein, missing, out_of_range, new_category}], embedding (null, or {p, mmd2, drifted}). A
 * number that is not known, or not finite, is null. Columns are found by name; those that the profile does not have are
 * ignored, and so is `right`. Free the buffer with selvedge_buffer_free. Errors: INVALID_ARGUMENT (a column of the profile
 * that is not there, or of another kind; embeddings of another width; no rows). */
SELVEDGE_API selvedge_status selvedge_profile_compare(const selvedge_profile *profile, const selvedge_rows *rows,
                                                      SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* Frees a profile; monitors made with it go on. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_profile_free(selvedge_profile *SELVEDGE_NULLABLE profile);

SELVEDGE_END
#endif /* SELVEDGE_PROFILE_H */
