/* selvedge/telemetry.h: the telemetry folder and its report page. Include "selvedge.h". */
#ifndef SELVEDGE_TELEMETRY_H
#define SELVEDGE_TELEMETRY_H

#include "base.h"

SELVEDGE_BEGIN

SELVEDGE_ENUM_BEGIN(selvedge_durability)
  SELVEDGE_DURABILITY_PROCESS = 0,     /* what was recorded outlives the process, killed at any moment */
  SELVEDGE_DURABILITY_POWER = 1        /* and, once it is a segment, a loss of power */
SELVEDGE_ENUM_END(selvedge_durability)

typedef struct selvedge_telemetry selvedge_telemetry; /* an open telemetry folder */

/* How much telemetry may take. Where a number is outside its range, the nearest one in it is taken. */
typedef struct selvedge_limits {
  size_t struct_size;
  uint64_t bytes;                      /* of segments in the folder, at least 16 KiB; the oldest go first; 0: 2 MiB */
  uint64_t history_bytes;              /* of those kept after they were sent; 0: 1 MiB */
  uint64_t segment_bytes;              /* of one segment, from 4 KiB to a quarter of `bytes`; 0: 64 KiB */
  uint32_t lanes;                      /* threads that record at once, 3 to 64 (above 65,535: INVALID_ARGUMENT); 0: 16 */
  uint32_t slots;                      /* records of a lane until the next tick, 64 to 65,536; 0: 1,024 */
  selvedge_durability durability;
  uint32_t flags;                      /* 0 */
} selvedge_limits;
#define SELVEDGE_LIMITS_INIT { sizeof(selvedge_limits), 0, 0, 0, 0, 0, SELVEDGE_DURABILITY_PROCESS, 0 }

/* Opens the telemetry of a folder, which is made if it is not there; one open at a time writes to it. `limits` may be
 * NULL: as SELVEDGE_LIMITS_INIT. A folder that cannot be used (no room, no right, opened by another process or by this
 * one) is no failure: telemetry then only counts, and selvedge_telemetry_status_json says why, so that an app answers in
 * any case. Free it with selvedge_telemetry_free. */
SELVEDGE_API selvedge_status selvedge_telemetry_open(const char *folder, size_t folder_len,
                                                     const selvedge_limits *SELVEDGE_NULLABLE limits,
                                                     SELVEDGE_OUT(selvedge_telemetry) out, SELVEDGE_ERR err);

/* The state of the folder as a JSON object: mode ("durable" or "counting"), why (null, or a sentence), code (null, or a
 * selvedge_status as a number), bytes, history_bytes, segments, recovered, torn, quarantined, unacked, oldest (null, or
 * {epoch, seq}), dropped {reason: records} with the reasons "overwritten", "no_lane", "too_large", "torn", "limit",
 * "disk_full", "io" and "counting", as far as they occurred. Free the buffer with selvedge_buffer_free. */
SELVEDGE_API selvedge_status selvedge_telemetry_status_json(const selvedge_telemetry *telemetry,
                                                            SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* Frees the handle; monitors and outboxes made with it go on. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_telemetry_free(selvedge_telemetry *SELVEDGE_NULLABLE telemetry);

/* What happened on this device, of a folder that may be in use: a page of HTML that needs nothing else. Free the buffer
 * with selvedge_buffer_free. Errors: NOT_FOUND, IO, INVALID_ARGUMENT (no folder). */
SELVEDGE_API selvedge_status selvedge_report_html(const char *folder, size_t folder_len,
                                                  SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* The same, with the versions of the store in another folder, and what its standings say of them, and with the models that ended
 * the process, of a crash record. Either may be empty (length 0): without. Nothing is changed, and each may be in use. Free the
 * buffer with selvedge_buffer_free. Errors: NOT_FOUND (one of the folders is not there, or no store), CORRUPT and UNSUPPORTED (of
 * the store), IO, INVALID_ARGUMENT (no folder). */
SELVEDGE_API selvedge_status selvedge_report_html_with(const char *folder, size_t folder_len,
                                                       const char *SELVEDGE_NULLABLE store, size_t store_len,
                                                       const char *SELVEDGE_NULLABLE crashes, size_t crashes_len,
                                                       SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* Why models should be retrained, of a folder that may be in use: for each model with a standing alert that asks for it, a
 * folder in `to` with evidence.json, counts.csv and, if it was shipped, reference.profile. No input or answer is in them. A
 * count or a number tells of `min_count` rows at least; 0: the library's default, 10. With an `epsilon` above 0 no count is
 * told at all. Says how many alerts ask for it; with none, nothing is written. Errors: NOT_FOUND, IO, INVALID_ARGUMENT. */
SELVEDGE_API selvedge_status selvedge_report_evidence(const char *folder, size_t folder_len, const char *to, size_t to_len,
                                                      uint64_t min_count, double epsilon, uint64_t *alerts,
                                                      SELVEDGE_ERR err);

SELVEDGE_END
#endif /* SELVEDGE_TELEMETRY_H */
