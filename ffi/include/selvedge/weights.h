/* selvedge/weights.h: tables of vectors in a weight file: gather, pool, search. Include "selvedge.h".
 *
 * What is read and written lies in the caller's arrays, which may be as long as memory is, and must not overlap. Where a call
 * fails, an array that it would have written is zero, or as it was: the latter if the handle or a length is refused. */
#ifndef SELVEDGE_WEIGHTS_H
#define SELVEDGE_WEIGHTS_H

#include "base.h"
#include "engine.h"

SELVEDGE_BEGIN

SELVEDGE_ENUM_BEGIN(selvedge_pool)
  SELVEDGE_POOL_MEAN = 0,
  SELVEDGE_POOL_SUM = 1                /* with weights: of each row times its weight */
SELVEDGE_ENUM_END(selvedge_pool)

#define SELVEDGE_POOL_NORMALIZE 1u     /* selvedge_table_pool, flags: scale the vector to length 1 */

typedef struct selvedge_table selvedge_table; /* rows of numbers in a safetensors or GGUF file */

/* A row that was found. This struct does not grow. */
typedef struct selvedge_hit {
  uint32_t row;
  float score;                         /* the inner product with the query */
} selvedge_hit;

/* Opens the tensor `tensor` of a safetensors or GGUF file as a table: two dimensions, of floating or quantized numbers, or of
 * whole ones of 8 bits. Rows are read as they are asked for. Free it with selvedge_table_free. Errors: NOT_FOUND (file or
 * tensor), CORRUPT, INVALID_ARGUMENT (another number of dimensions), UNSUPPORTED (another format, other numbers), IO. */
SELVEDGE_API selvedge_status selvedge_table_open(const selvedge_source *source, const char *tensor, size_t tensor_len,
                                                 selvedge_loading loading, SELVEDGE_OUT(selvedge_table) out,
                                                 SELVEDGE_ERR err);

/* The number of rows, and of numbers in each. */
SELVEDGE_API selvedge_status selvedge_table_shape(const selvedge_table *table, uint64_t *rows, uint64_t *width,
                                                  SELVEDGE_ERR err);

/* Writes the rows of `ids`, one after the other, as f32: out_len must be id_count * width. Errors: INVALID_ARGUMENT (an id
 * beyond the rows, another out_len). */
SELVEDGE_API selvedge_status selvedge_table_gather(const selvedge_table *table, const uint32_t *SELVEDGE_NULLABLE ids,
                                                   size_t id_count, float *SELVEDGE_NULLABLE out, size_t out_len,
                                                   SELVEDGE_ERR err);

/* Writes the mean or sum of the rows of `ids`, or zeros if there are none: out_len must be the width. `weights` has id_count
 * numbers, or is NULL for equal ones; with MEAN it must be NULL. `flags` is SELVEDGE_POOL_*. Errors: INVALID_ARGUMENT (an id
 * beyond the rows, another out_len, weights with MEAN). */
SELVEDGE_API selvedge_status selvedge_table_pool(const selvedge_table *table, const uint32_t *SELVEDGE_NULLABLE ids,
                                                 size_t id_count, selvedge_pool pool,
                                                 const float *SELVEDGE_NULLABLE weights, uint32_t flags, float *out,
                                                 size_t out_len, SELVEDGE_ERR err);

/* The `k` rows whose inner product with the query is greatest, best first, and in `found` how many they are: `k`, or all rows
 * if those are fewer, which is what `hits` must have room for. In a table of Q8_0 or Q4_0, scores are exact, but a row may
 * be missed if 4 k + 32 others seem better by the rounding of the query to 8 bits. Errors: INVALID_ARGUMENT (a query of
 * another width, a number that is not finite). */
SELVEDGE_API selvedge_status selvedge_table_search(const selvedge_table *table, const float *query, size_t query_len,
                                                   size_t k, selvedge_hit *SELVEDGE_NULLABLE hits, size_t *found,
                                                   SELVEDGE_ERR err);

/* Frees a table. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_table_free(selvedge_table *SELVEDGE_NULLABLE table);

SELVEDGE_END
#endif /* SELVEDGE_WEIGHTS_H */
