/* selvedge/sync.h: batches of telemetry to post. Include "selvedge.h".
 *
 * The library opens no socket: the app posts each request of a batch to its endpoint (URL + path), by what its system has
 * for that, asks selvedge_outbox_judge about the answer, and does as it says. A batch that is neither acknowledged nor
 * refused comes again, with the same bytes, also after a restart or an update of the app. */
#ifndef SELVEDGE_SYNC_H
#define SELVEDGE_SYNC_H

#include "base.h"
#include "telemetry.h"

SELVEDGE_BEGIN

SELVEDGE_ENUM_BEGIN(selvedge_encoding)
  SELVEDGE_ENCODING_DEFAULT = 0,       /* gzip */
  SELVEDGE_ENCODING_IDENTITY = 1,      /* as it is */
  SELVEDGE_ENCODING_GZIP = 2,
  SELVEDGE_ENCODING_ZSTD = 3
SELVEDGE_ENUM_END(selvedge_encoding)

SELVEDGE_ENUM_BEGIN(selvedge_decision)
  SELVEDGE_DECISION_NONE = 0,          /* the call failed */
  SELVEDGE_DECISION_ACCEPTED = 1,      /* post the next request; after the last of the batch: selvedge_outbox_ack, or
                                        * selvedge_outbox_refuse with the sum of `refused` if that is not 0 */
  SELVEDGE_DECISION_WAIT = 2,          /* post the same request again after wait_ms */
  SELVEDGE_DECISION_LATER = 3,         /* keep the batch and stop; another time */
  SELVEDGE_DECISION_SPLIT = 4,         /* too large: selvedge_outbox_split, and take the next batch */
  SELVEDGE_DECISION_DROP = 5           /* refused for what it holds: selvedge_outbox_bisect, and take the next batch */
SELVEDGE_ENUM_END(selvedge_decision)

#define SELVEDGE_OUTBOX_EXACT_COUNTS 1u /* selvedge_outbox_options.flags: no noise, whatever epsilon is */
#define SELVEDGE_OUTBOX_ANY_COUNT 2u    /* selvedge_outbox_options.flags: what few rows decide leaves, too, whatever
                                        * min_count is */
#define SELVEDGE_RETRY_ON_METERED 1u    /* selvedge_retry.flags: post over networks that cost, too */
#define SELVEDGE_NETWORK_OFFLINE 1u     /* `network`: there is none */
#define SELVEDGE_NETWORK_METERED 2u     /* `network`: it costs */

typedef struct selvedge_outbox selvedge_outbox; /* what is to be posted of a telemetry folder */
typedef struct selvedge_batch selvedge_batch;   /* what is posted at once */

/* How telemetry is posted. */
typedef struct selvedge_outbox_options {
  size_t struct_size;
  selvedge_text app;                   /* service.name; not empty */
  selvedge_text app_version;           /* service.version; empty: none */
  const selvedge_pair *SELVEDGE_NULLABLE attributes; /* further attributes of the resource; nothing that tells one user
                                        * from another */
  size_t attribute_count;
  uint64_t interval_ms;                /* a point of a metric at most so often; 1: every window; 0: the library's default,
                                        * an hour */
  uint64_t min_count;                  /* rows by which a count must grow before it leaves; 0: the library's default, 10 */
  double epsilon;                      /* of the noise of differential privacy on counts, 0.001 to 100; 0: the library's
                                        * default, which is no noise */
  selvedge_encoding encoding;          /* of bodies */
  uint32_t flags;                      /* SELVEDGE_OUTBOX_* */
} selvedge_outbox_options;
#define SELVEDGE_OUTBOX_OPTIONS_INIT { sizeof(selvedge_outbox_options), { NULL, 0 }, { NULL, 0 }, NULL, 0, 0, 0, 0.0, \
  SELVEDGE_ENCODING_DEFAULT, 0 }

/* A request to post, by POST: Content-Type and Content-Encoding are to be sent as they stand here. */
typedef struct selvedge_http_request {
  size_t struct_size;
  selvedge_text path;                  /* "/v1/metrics" or "/v1/logs" */
  selvedge_text content_type;
  selvedge_text content_encoding;      /* empty: no such header */
  const void *SELVEDGE_NULLABLE body;
  size_t body_len;
} selvedge_http_request;
#define SELVEDGE_HTTP_REQUEST_INIT { sizeof(selvedge_http_request), { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, NULL, 0 }

/* What came back for a request. */
typedef struct selvedge_http_response {
  size_t struct_size;
  uint32_t status;                     /* at most 999; 0: nothing came, or not all of it: the network failed */
  uint32_t reserved;                   /* 0 */
  selvedge_text content_type;          /* header; empty: none */
  selvedge_text retry_after;           /* header as it came: seconds or a date; empty: none */
  const void *SELVEDGE_NULLABLE body;  /* all of it, decompressed: a part of one is no answer of a receiver */
  size_t body_len;
} selvedge_http_response;
#define SELVEDGE_HTTP_RESPONSE_INIT { sizeof(selvedge_http_response), 0, 0, { NULL, 0 }, { NULL, 0 }, NULL, 0 }

/* When it is tried again. */
typedef struct selvedge_retry {
  size_t struct_size;
  uint32_t attempts;                   /* of a request, until it is left for later; 0: the library's default, 8 */
  uint32_t flags;                      /* SELVEDGE_RETRY_* */
  uint64_t base_ms;                    /* the bound of the first wait, which doubles with each; 0: default, a second */
  uint64_t cap_ms;                     /* the bound of all waits, but for a longer Retry-After; 0: default, 5 minutes */
} selvedge_retry;
#define SELVEDGE_RETRY_INIT { sizeof(selvedge_retry), 0, 0, 0, 0 }

/* What to do after an answer. */
typedef struct selvedge_judgement {
  size_t struct_size;
  selvedge_decision decision;
  uint32_t reserved;                   /* 0 */
  uint64_t wait_ms;                    /* WAIT */
  uint64_t refused;                    /* ACCEPTED: points or log records of the request that the receiver did not take */
  selvedge_text reason;                /* for people, empty if all is well; lives until the next judgement of the outbox, or
                                        * until the outbox is freed */
} selvedge_judgement;
#define SELVEDGE_JUDGEMENT_INIT { sizeof(selvedge_judgement), SELVEDGE_DECISION_NONE, 0, 0, 0, { NULL, 0 } }

/* Opens the outbox of a telemetry, whose state lies in `folder`: for the most part the telemetry's own. Free it with
 * selvedge_outbox_free. Errors: INVALID_ARGUMENT (no app; an attribute without a name, with one that is there twice or one
 * of the library's own; a number out of its range), NOT_FOUND (no such folder), BUSY (another outbox is open on it, in this
 * process or another), UNSUPPORTED (a state of a later version), IO. */
SELVEDGE_API selvedge_status selvedge_outbox_open(const selvedge_telemetry *telemetry, const char *folder,
                                                  size_t folder_len, const selvedge_outbox_options *options,
                                                  SELVEDGE_OUT(selvedge_outbox) out, SELVEDGE_ERR err);

/* The next batch, of at most `max_bytes` before it is encoded, but of one record at least; until it is acknowledged, refused
 * or split, the same again. NULL when there is nothing to post. Free it with selvedge_batch_free. Errors: IO, BUSY. */
SELVEDGE_API selvedge_status selvedge_outbox_next_batch(selvedge_outbox *outbox, size_t max_bytes,
                                                        SELVEDGE_OUT(selvedge_batch) out, SELVEDGE_ERR err);

/* Whether to begin to post now, by what the app knows of its network: ACCEPTED or LATER. `retry` may be NULL; `network`
 * is SELVEDGE_NETWORK_*, or 0. Errors: BUSY. */
SELVEDGE_API selvedge_status selvedge_outbox_begin(selvedge_outbox *outbox,
                                                   const selvedge_retry *SELVEDGE_NULLABLE retry, uint32_t network,
                                                   selvedge_judgement *judgement, SELVEDGE_ERR err);

/* What to do after the answer to request `index` of the batch, tried for the `attempt`th time, from 1. `retry` may be
 * NULL. Errors: INVALID_ARGUMENT (attempt 0), NOT_FOUND (no such index), BUSY. */
SELVEDGE_API selvedge_status selvedge_outbox_judge(selvedge_outbox *outbox, const selvedge_batch *batch, size_t index,
                                                   uint32_t attempt, const selvedge_retry *SELVEDGE_NULLABLE retry,
                                                   const selvedge_http_response *response,
                                                   selvedge_judgement *judgement, SELVEDGE_ERR err);

/* Notes that a batch has arrived, durably: it does not come again. Once more for the same batch is OK and nothing. Errors:
 * INVALID_ARGUMENT (not the next batch), IO, BUSY. */
SELVEDGE_API selvedge_status selvedge_outbox_ack(selvedge_outbox *outbox, const selvedge_batch *batch, SELVEDGE_ERR err);

/* As selvedge_outbox_ack, but `refused` points or log records were not taken, for good: they are counted, and the count is
 * posted. What is more than the batch holds stands for all of it. Errors: as of selvedge_outbox_ack. */
SELVEDGE_API selvedge_status selvedge_outbox_refuse(selvedge_outbox *outbox, const selvedge_batch *batch,
                                                    uint64_t refused, SELVEDGE_ERR err);

/* Puts two smaller batches in the place of this one, which was too large; both come, and hold all of it. Puts 1 in `split`, or
 * 0 if it is one point or log record, and stays: give it up by selvedge_outbox_refuse with UINT64_MAX. Errors: as of
 * selvedge_outbox_ack. */
SELVEDGE_API selvedge_status selvedge_outbox_split(selvedge_outbox *outbox, const selvedge_batch *batch, int32_t *split,
                                                   SELVEDGE_ERR err);

/* As selvedge_outbox_split, of a batch that was refused for what it holds, so that only what is at fault is lost. Puts 0 also
 * when 20 batches or parts in a row were refused, for then the receiver takes nothing. Errors: as of selvedge_outbox_ack. */
SELVEDGE_API selvedge_status selvedge_outbox_bisect(selvedge_outbox *outbox, const selvedge_batch *batch, int32_t *split,
                                                    SELVEDGE_ERR err);

/* The outbox as a JSON object: install_id, refused (points and log records, over the life of the folder), through (null, or
 * {epoch, seq}: the last record that is in a batch), damage (null, or a sentence: the state had to be set aside). Free the
 * buffer with selvedge_buffer_free. Errors: BUSY. */
SELVEDGE_API selvedge_status selvedge_outbox_status_json(selvedge_outbox *outbox, SELVEDGE_OUT(selvedge_buffer) out,
                                                         SELVEDGE_ERR err);

/* Draws another random install id, as a person may ask for; batches before and after cannot be put together by it. A batch that
 * is on its way is forgotten. Gives the id, a UUID, in a buffer; free it with selvedge_buffer_free. Errors: IO, BUSY. */
SELVEDGE_API selvedge_status selvedge_outbox_reset_install_id(selvedge_outbox *outbox,
                                                              SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* Frees an outbox; batches of it stay valid. Its folder can be opened again once no call of it runs any more. OK for NULL.
 * Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_outbox_free(selvedge_outbox *SELVEDGE_NULLABLE outbox);

/* The number of requests to post: 1 or 2. */
SELVEDGE_API selvedge_status selvedge_batch_request_count(const selvedge_batch *batch, size_t *count, SELVEDGE_ERR err);

/* Describes request `index`; set request->struct_size before. Nothing is copied: the pointers live as long as the batch.
 * Errors: NOT_FOUND (no such index). */
SELVEDGE_API selvedge_status selvedge_batch_request(const selvedge_batch *batch, size_t index,
                                                    selvedge_http_request *request, SELVEDGE_ERR err);

/* The batch as a JSON object: id (64 hexadecimal digits, of the content before it is encoded; a receiver may tell copies by
 * it), records, points, log_records, through (null, or {epoch, seq}). Free the buffer with selvedge_buffer_free. */
SELVEDGE_API selvedge_status selvedge_batch_json(const selvedge_batch *batch, SELVEDGE_OUT(selvedge_buffer) out,
                                                 SELVEDGE_ERR err);

/* Frees a batch. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_batch_free(selvedge_batch *SELVEDGE_NULLABLE batch);

SELVEDGE_END
#endif /* SELVEDGE_SYNC_H */
