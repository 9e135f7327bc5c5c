/* selvedge/base.h: numbers, texts, errors, cancel, progress, buffers, log, version. Include "selvedge.h". */
#ifndef SELVEDGE_BASE_H
#define SELVEDGE_BASE_H

#include <stddef.h>
#include <stdint.h>

#define SELVEDGE_ABI_MAJOR 1
#define SELVEDGE_ABI_MINOR 0

#if defined(_WIN32) && defined(SELVEDGE_SHARED)
#  define SELVEDGE_API __declspec(dllimport)
#elif defined(__GNUC__)
#  define SELVEDGE_API __attribute__((visibility("default")))
#else
#  define SELVEDGE_API
#endif

#ifdef __cplusplus
#  define SELVEDGE_EXTERN_BEGIN extern "C" {
#  define SELVEDGE_EXTERN_END }
#else
#  define SELVEDGE_EXTERN_BEGIN
#  define SELVEDGE_EXTERN_END
#endif
/* Around the declarations of each header. Nullability is for Swift and Objective-C: a pointer without a mark is not
 * NULL. */
#ifdef __clang__
#  define SELVEDGE_BEGIN \
     _Pragma("clang diagnostic push") \
     _Pragma("clang diagnostic ignored \"-Wnullability-extension\"") \
     _Pragma("clang diagnostic ignored \"-Wfixed-enum-extension\"") \
     _Pragma("clang diagnostic ignored \"-Wmicrosoft-fixed-enum\"") \
     _Pragma("clang assume_nonnull begin") SELVEDGE_EXTERN_BEGIN
#  define SELVEDGE_END SELVEDGE_EXTERN_END _Pragma("clang assume_nonnull end") _Pragma("clang diagnostic pop")
#  define SELVEDGE_NULLABLE _Nullable
#  define SELVEDGE_NONNULL _Nonnull
#  define SELVEDGE_ENUM_BEGIN(n) typedef enum __attribute__((enum_extensibility(open))) n : int32_t {
#  define SELVEDGE_ENUM_END(n) } n;
#else
#  define SELVEDGE_BEGIN SELVEDGE_EXTERN_BEGIN
#  define SELVEDGE_END SELVEDGE_EXTERN_END
#  define SELVEDGE_NULLABLE
#  define SELVEDGE_NONNULL
#  define SELVEDGE_ENUM_BEGIN(n) enum {
#  define SELVEDGE_ENUM_END(n) }; typedef int32_t n;
#endif
/* Where a call puts a T*; NULL on failure. */
#define SELVEDGE_OUT(T) T *SELVEDGE_NULLABLE *SELVEDGE_NONNULL
/* Where a call puts its error, or NULL. */
#define SELVEDGE_ERR selvedge_error *SELVEDGE_NULLABLE *SELVEDGE_NULLABLE

SELVEDGE_BEGIN

/* ---- Numbers, here and in all headers: never changed, never reused; new ones may come. ---- */

SELVEDGE_ENUM_BEGIN(selvedge_status)
  SELVEDGE_OK = 0,
  SELVEDGE_ERR_INVALID_ARGUMENT = 1,   /* an argument, name, dtype, shape or option is not what is taken */
  SELVEDGE_ERR_NOT_FOUND = 2,          /* a file, tensor or other named thing does not exist */
  SELVEDGE_ERR_UNSUPPORTED = 3,        /* well formed, but this engine or build cannot do it */
  SELVEDGE_ERR_OUT_OF_MEMORY = 4,      /* the memory limit, or the machine's memory, is too small */
  SELVEDGE_ERR_CANCELLED = 5,          /* the caller's cancel switch was set */
  SELVEDGE_ERR_BUSY = 6,               /* in use by another thread */
  SELVEDGE_ERR_IO = 7,                 /* the operating system refused a read or a write */
  SELVEDGE_ERR_CORRUPT = 8,            /* the bytes of a file break its format's rules */
  SELVEDGE_ERR_BACKEND = 9,            /* a runtime below failed for a reason of its own */
  SELVEDGE_ERR_DEADLINE_EXCEEDED = 10, /* the call's deadline passed */
  SELVEDGE_ERR_CONTEXT_FULL = 11,      /* more tokens than the context holds */
  SELVEDGE_ERR_MISSING_RUNTIME = 12,   /* a runtime that is loaded at run time is absent or too old */
  SELVEDGE_ERR_BAD_HANDLE = 13,        /* closed, of another type, or never a handle */
  SELVEDGE_ERR_INTERNAL = 14,          /* Selvedge broke a promise of its own: a defect, worth a report */
  SELVEDGE_ERR_QUARANTINED = 15,       /* the model ended the process before, in every way its crash record allows */
  SELVEDGE_ERR_UNTRUSTED = 16,         /* nobody who is trusted vouches for it, or it is older than what was admitted */
  SELVEDGE_ERR_PANIC = 255             /* a defect below the call; it was contained */
SELVEDGE_ENUM_END(selvedge_status)

SELVEDGE_ENUM_BEGIN(selvedge_dtype)
  SELVEDGE_DTYPE_UNSET = 0,            /* not a dtype */
  SELVEDGE_F32 = 1,
  SELVEDGE_F16 = 2,
  SELVEDGE_BF16 = 3,
  SELVEDGE_I8 = 4,
  SELVEDGE_U8 = 5,
  SELVEDGE_I32 = 6,
  SELVEDGE_I64 = 7,
  SELVEDGE_BOOL = 8,                   /* one byte, 0 or 1 */
  SELVEDGE_F64 = 9,
  SELVEDGE_I16 = 10,
  SELVEDGE_U16 = 11,
  SELVEDGE_U32 = 12,
  SELVEDGE_U64 = 13,
  SELVEDGE_STRING = 14                 /* selvedge_text elements */
SELVEDGE_ENUM_END(selvedge_dtype)

SELVEDGE_ENUM_BEGIN(selvedge_log_level)
  SELVEDGE_LOG_OFF = 0,                /* no lines */
  SELVEDGE_LOG_ERROR = 1,
  SELVEDGE_LOG_WARN = 2,
  SELVEDGE_LOG_INFO = 3,
  SELVEDGE_LOG_DEBUG = 4,
  SELVEDGE_LOG_TRACE = 5
SELVEDGE_ENUM_END(selvedge_log_level)

/* ---- Types ---- */

typedef struct selvedge_error selvedge_error;       /* why a call failed */
typedef struct selvedge_cancel selvedge_cancel;     /* a switch that ends calls; it stays set */
typedef struct selvedge_progress selvedge_progress; /* how far a long call is, to be looked at by another thread */
typedef struct selvedge_buffer selvedge_buffer;     /* bytes or a text that a call made */

/* A text to take. This struct does not grow. */
typedef struct selvedge_text {
  const char *SELVEDGE_NULLABLE data;  /* NULL only if len is 0 */
  size_t len;                          /* bytes */
} selvedge_text;

/* A name and its value. This struct does not grow. */
typedef struct selvedge_pair {
  selvedge_text name;
  selvedge_text value;
} selvedge_pair;

/* Tells that the library needs what came with `user_data` no more. Called once, by any thread. */
typedef void (*selvedge_release_fn)(void *SELVEDGE_NULLABLE user_data);

/* Tells how far a call is: `done` of `total` units, bytes for the most part; `total` is 0 while it is not known. A call
 * that works in phases begins anew with each: an open hashes all bytes, then loads them. */
typedef void (*selvedge_progress_fn)(void *SELVEDGE_NULLABLE user_data, uint64_t done, uint64_t total);

/* A line of the log. It lives until the callback returns. */
typedef struct selvedge_log_line {
  size_t struct_size;
  selvedge_log_level level;
  uint32_t reserved;                   /* 0 */
  selvedge_text target;                /* the part it comes from, such as "selvedge::backend::llama" */
  selvedge_text message;               /* with its fields: "model opened backend=tract" */
} selvedge_log_line;
#define SELVEDGE_LOG_LINE_INIT { sizeof(selvedge_log_line), SELVEDGE_LOG_OFF, 0, { NULL, 0 }, { NULL, 0 } }

typedef void (*selvedge_log_fn)(void *SELVEDGE_NULLABLE user_data, const selvedge_log_line *line);

/* ---- Version ---- */

/* The library's ABI, major << 16 | minor. A caller needs the major it was compiled with, and at least its minor:
 * within a major, functions, fields and numbers are only added. Never fails. */
SELVEDGE_API uint32_t selvedge_abi_version(void);

/* The library's version, such as "0.1.0", for people. Static memory. Never fails. */
SELVEDGE_API const char *selvedge_version(void);

/* The features of this build, sorted, with commas between: "llama,table,tract". Static memory. Never fails. */
SELVEDGE_API const char *selvedge_features(void);

/* The instruction set that the kernels use on this machine: "avx512", "avx2", "neon" or "scalar"; there may be others.
 * Static memory. Never fails. */
SELVEDGE_API const char *selvedge_kernel_name(void);

/* ---- Errors ---- */

/* The status that the call returned. OK for NULL, BAD_HANDLE if it is not a live error. */
SELVEDGE_API selvedge_status selvedge_error_code(const selvedge_error *SELVEDGE_NULLABLE error);

/* What failed, what was expected and what was got, in English; never NULL. Puts its length in `len` unless that is
 * NULL. Lives as long as the error; for NULL it is "", and a fixed sentence if it is not a live error. */
SELVEDGE_API const char *selvedge_error_message(const selvedge_error *SELVEDGE_NULLABLE error,
                                                size_t *SELVEDGE_NULLABLE len);

/* Milliseconds after which it may be worth to ask again, of an error that is BUSY; 0 without such a hint. */
SELVEDGE_API uint64_t selvedge_error_retry_after_ms(const selvedge_error *SELVEDGE_NULLABLE error);

/* Frees an error. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_error_free(selvedge_error *SELVEDGE_NULLABLE error);

/* ---- Cancel ---- */

/* Makes a switch that is not set; free it with selvedge_cancel_free. */
SELVEDGE_API selvedge_status selvedge_cancel_new(SELVEDGE_OUT(selvedge_cancel) out, SELVEDGE_ERR err);

/* Sets the switch: calls and runs that carry it end with CANCELLED, at the latest before their next step. To be called
 * from any thread, but not from a signal handler. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_cancel_set(const selvedge_cancel *cancel);

/* Frees the handle; what carries the switch goes on, and can no longer be ended by it. OK for NULL.
 * Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_cancel_free(selvedge_cancel *SELVEDGE_NULLABLE cancel);

/* ---- Progress ---- */

/* Makes a progress, to be given to a call; free it with selvedge_progress_free. */
SELVEDGE_API selvedge_status selvedge_progress_new(SELVEDGE_OUT(selvedge_progress) out, SELVEDGE_ERR err);

/* How far the call is that carries it: `done` of `total` units, as of selvedge_progress_fn; both 0 before it begins. */
SELVEDGE_API selvedge_status selvedge_progress_read(const selvedge_progress *progress, uint64_t *done, uint64_t *total,
                                                    SELVEDGE_ERR err);

/* Frees the handle; the call that carries it goes on. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_progress_free(selvedge_progress *SELVEDGE_NULLABLE progress);

/* ---- Buffers ---- */

/* The bytes of a buffer, with a NUL behind them; aligned for any dtype. Puts their number in `len` unless that is NULL.
 * They live as long as the buffer; for NULL and what is no live buffer they are "" of length 0. */
SELVEDGE_API const void *selvedge_buffer_data(const selvedge_buffer *SELVEDGE_NULLABLE buffer,
                                              size_t *SELVEDGE_NULLABLE len);

/* Frees a buffer. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_buffer_free(selvedge_buffer *SELVEDGE_NULLABLE buffer);

/* ---- Log ---- */

/* Tells the lines of the library's log, up to `level`, to `log`, in the place of an earlier one; NULL for none, as it is
 * at first. One for the process. Lines come from any thread; those of runtimes below come with the same levels. A line
 * that is written while `log` itself runs on the thread is not told. `release`, unless NULL, is called once
 * `log` is called no more, or when this call fails. Errors: INVALID_ARGUMENT (a level that is none), BUSY (a Rust host has a subscriber of its own). */
SELVEDGE_API selvedge_status selvedge_log_set(selvedge_log_fn SELVEDGE_NULLABLE log, void *SELVEDGE_NULLABLE user_data,
                                              selvedge_release_fn SELVEDGE_NULLABLE release, selvedge_log_level level,
                                              SELVEDGE_ERR err);

SELVEDGE_END
#endif /* SELVEDGE_BASE_H */
