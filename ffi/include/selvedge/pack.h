/* selvedge/pack.h: smaller models. Include "selvedge.h". */
#ifndef SELVEDGE_PACK_H
#define SELVEDGE_PACK_H

#include "base.h"
#include "engine.h"

SELVEDGE_BEGIN

SELVEDGE_ENUM_BEGIN(selvedge_scheme)
  SELVEDGE_SCHEME_UNSET = 0,           /* not a scheme */
  SELVEDGE_SCHEME_F16 = 1,
  SELVEDGE_SCHEME_INT8 = 2,
  SELVEDGE_SCHEME_INT4 = 3
SELVEDGE_ENUM_END(selvedge_scheme)

#define SELVEDGE_PACK_OVERWRITE 1u     /* selvedge_pack_options.flags: replace a packed model that is there */

/* How a model is packed. A pattern is a name in which * stands for any text and ? for one character: a tensor's own, or that
 * of a node that reads it, or the node's operator ("Gather"). */
typedef struct selvedge_pack_options {
  size_t struct_size;
  selvedge_scheme scheme;              /* must be given */
  uint32_t flags;                      /* SELVEDGE_PACK_* */
  uint64_t min_elements;               /* smaller tensors are kept as they are; 0: the library's default, 1024 */
  double mean_bits;                    /* INT4: the most bits that a weight takes on average, from 4.5; 0: default, 6.25 */
  const selvedge_text *SELVEDGE_NULLABLE only; /* patterns: only these are packed */
  size_t only_count;
  const selvedge_text *SELVEDGE_NULLABLE keep; /* patterns: these are kept as they are */
  size_t keep_count;
  const selvedge_text *SELVEDGE_NULLABLE finer; /* patterns: these take INT8 for INT4, F16 for INT8 */
  size_t finer_count;
  const selvedge_cancel *SELVEDGE_NULLABLE cancel; /* ends the packing; nothing is left behind */
  const selvedge_progress *SELVEDGE_NULLABLE progress; /* bytes of weights, before each tensor and at the
                                        * end; for another thread to look at */
  selvedge_progress_fn SELVEDGE_NULLABLE on_progress; /* the same, told */
  void *SELVEDGE_NULLABLE user_data;   /* of on_progress */
} selvedge_pack_options;
#define SELVEDGE_PACK_OPTIONS_INIT { sizeof(selvedge_pack_options), SELVEDGE_SCHEME_UNSET, 0, 0, 0.0, NULL, 0, NULL, 0, \
  NULL, 0, NULL, NULL, NULL, NULL }

/* Packs an ONNX model into a smaller one, a folder `to` that opens like a model file, whole or not at all, and says what became
 * of it as a JSON object: scheme ("f16", "int8", "int4"), before and after (bytes), keeps_most (more than half is left),
 * packed [{name, format, stored, dims, before, after, scale, relative_error, row_error, worst_error, operators}], kept
 * [{name, bytes, reason}], unmatched [pattern]. Free the buffer with selvedge_buffer_free. Errors: NOT_FOUND (the model, or
 * the folder that `to` is to be in), CORRUPT, UNSUPPORTED (no ONNX, nothing to pack), INVALID_ARGUMENT (something is there
 * at `to`, the model is packed, fewer bits than 4.5), IO, CANCELLED. */
SELVEDGE_API selvedge_status selvedge_pack(const selvedge_source *source, const char *to, size_t to_len,
                                           const selvedge_pack_options *options, SELVEDGE_OUT(selvedge_buffer) out,
                                           SELVEDGE_ERR err);

SELVEDGE_END
#endif /* SELVEDGE_PACK_H */
