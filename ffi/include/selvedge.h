/* selvedge.h: the C ABI of Selvedge. C99, C++17, Objective-C.
 *
 * 1 HANDLES    A handle (selvedge_engine *, selvedge_run *, ...) is a number in a pointer's clothes: it is
 *              never dereferenced. A handle that was freed, is of another type or was never one is
 *              SELVEDGE_ERR_BAD_HANDLE, also when it is freed a second time. NULL is
 *              SELVEDGE_ERR_INVALID_ARGUMENT, except for the functions that free: there it is OK and nothing.
 * 2 ERRORS     Every call that can fail returns a selvedge_status. Its last argument `err` may be NULL; else it is
 *              always written: NULL on success, on failure an error object that the caller frees. On failure every
 *              other thing the call would have written is zero. Any call may return INVALID_ARGUMENT (NULL, a length
 *              above the address space, bytes that are not UTF-8, a wrong struct_size), BAD_HANDLE, OUT_OF_MEMORY
 *              (16 million live handles of a type), UNSUPPORTED (after fork, see 7) or PANIC (a defect below;
 *              contained). Treat a code that you do not know as failure.
 * 3 MEMORY     What the library takes, it has copied when the call returns, or it needs it no more: no memory of the
 *              caller's is touched after a call. What the library gives out stays in its hands: a pointer is valid
 *              until the handle it was asked of is freed (an event's: until the next selvedge_run_next).
 * 4 TEXT       UTF-8. Taken with its length, and needs no NUL; given out with its length, and a NUL follows it. Names,
 *              roles and paths have at most 65,536 bytes.
 * 5 STRUCTS    Those that begin with struct_size may grow. Set it to sizeof, or use the *_INIT macro; a field that is
 *              zero stands for its default. A struct smaller than the library's first version of it is
 *              INVALID_ARGUMENT; in a larger one, the fields the library does not know must be zero, and are zeroed
 *              where it writes. All elements of an array have the same struct_size; one that has another is
 *              INVALID_ARGUMENT, and nothing else of it is read. So are more than 65,536 elements.
 * 6 THREADS    Any call may come from any thread. Where a handle is `const`, any number of threads may use it at once;
 *              where it is not, a second thread gets SELVEDGE_ERR_BUSY, or, if it frees, ends what the first one does.
 *              Functions that free are safe at any time, but pointers that were given out end with their handle.
 * 7 PROCESS    No callbacks, no signal handlers, no sockets, no output. After fork(), a child must not go on using the
 *              library: every call returns UNSUPPORTED (exec is free). It must stay loaded: on Linux, Android and
 *              FreeBSD dlclose() leaves it where it is, elsewhere do not unload it.
 *
 * Not in this version: string tensors, progress of an open, models from memory or an open file, refusing symbolic
 * links, token prompts, giving memory back. */
#ifndef SELVEDGE_H
#define SELVEDGE_H

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

/* Nullability for Swift and Objective-C: a pointer without a mark is not NULL. */
#ifdef __clang__
#  pragma clang diagnostic push
#  pragma clang diagnostic ignored "-Wnullability-extension"
#  pragma clang diagnostic ignored "-Wfixed-enum-extension"
#  pragma clang diagnostic ignored "-Wmicrosoft-fixed-enum"
#  pragma clang assume_nonnull begin
#  define SELVEDGE_NULLABLE _Nullable
#  define SELVEDGE_NONNULL _Nonnull
#  define SELVEDGE_ENUM_BEGIN(n) typedef enum __attribute__((enum_extensibility(open))) n : int32_t {
#  define SELVEDGE_ENUM_END(n) } n;
#else
#  define SELVEDGE_NULLABLE
#  define SELVEDGE_NONNULL
#  define SELVEDGE_ENUM_BEGIN(n) enum {
#  define SELVEDGE_ENUM_END(n) }; typedef int32_t n;
#endif
/* Where a call puts a T*; NULL on failure. */
#define SELVEDGE_OUT(T) T *SELVEDGE_NULLABLE *SELVEDGE_NONNULL
/* Where a call puts its error, or NULL. */
#define SELVEDGE_ERR selvedge_error *SELVEDGE_NULLABLE *SELVEDGE_NULLABLE

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Numbers: never changed, never reused; new ones may come. ---- */

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
  SELVEDGE_ERR_PANIC = 255             /* a defect below the call; it was contained */
SELVEDGE_ENUM_END(selvedge_status)

SELVEDGE_ENUM_BEGIN(selvedge_backend)
  SELVEDGE_BACKEND_AUTO = 0,           /* by the file's content */
  SELVEDGE_BACKEND_LLAMA = 1,          /* GGUF through llama.cpp */
  SELVEDGE_BACKEND_ORT = 2,            /* ONNX through ONNX Runtime */
  SELVEDGE_BACKEND_TRACT = 3,          /* ONNX through tract */
  SELVEDGE_BACKEND_TABLE = 4           /* static embeddings in safetensors or GGUF */
SELVEDGE_ENUM_END(selvedge_backend)

SELVEDGE_ENUM_BEGIN(selvedge_loading)
  SELVEDGE_LOADING_MAPPED = 0,             /* pages come as they are touched; the file must not be truncated meanwhile */
  SELVEDGE_LOADING_READ = 1                /* read whole into memory */
SELVEDGE_ENUM_END(selvedge_loading)

SELVEDGE_ENUM_BEGIN(selvedge_priority)
  SELVEDGE_PRIORITY_BACKGROUND = -1,   /* nobody waits */
  SELVEDGE_PRIORITY_NORMAL = 0,
  SELVEDGE_PRIORITY_INTERACTIVE = 1    /* a person waits */
SELVEDGE_ENUM_END(selvedge_priority)

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
  SELVEDGE_STRING = 14                 /* UNSUPPORTED here, in and out */
SELVEDGE_ENUM_END(selvedge_dtype)

SELVEDGE_ENUM_BEGIN(selvedge_event_kind)
  SELVEDGE_EVENT_NONE = 0,             /* the call failed */
  SELVEDGE_EVENT_WORKING = 1,          /* nothing to be seen yet: `done` of `total` */
  SELVEDGE_EVENT_TEXT = 2,             /* a piece of the answer: `text`, `tokens` */
  SELVEDGE_EVENT_DONE = 3              /* the answer is complete: `finish` and the counts */
SELVEDGE_ENUM_END(selvedge_event_kind)

SELVEDGE_ENUM_BEGIN(selvedge_finish)
  SELVEDGE_FINISH_NONE = 0,            /* not done yet */
  SELVEDGE_FINISH_COMPLETE = 1,        /* all outputs were computed */
  SELVEDGE_FINISH_END_OF_TEXT = 2,     /* the model ended its text */
  SELVEDGE_FINISH_STOP = 3,            /* a stop text came up */
  SELVEDGE_FINISH_LENGTH = 4,          /* max_tokens was reached */
  SELVEDGE_FINISH_CONTEXT_FULL = 5,    /* the context is full */
  SELVEDGE_FINISH_OTHER = 255          /* a reason younger than this header */
SELVEDGE_ENUM_END(selvedge_finish)

#define SELVEDGE_MAX_TOKENS_NONE UINT32_MAX /* selvedge_generate.max_tokens: no limit but the context */
#define SELVEDGE_GENERATE_SEEDED 1u         /* selvedge_generate.flags: `seed` counts, also if it is 0 */
#define SELVEDGE_GENERATE_LOGPROBS 2u       /* selvedge_generate.flags: report each token's log-probability */
#define SELVEDGE_EMBED_RAW 1u               /* selvedge_embed.flags: do not scale vectors to length 1 */

/* ---- Types ---- */

typedef struct selvedge_error selvedge_error;   /* why a call failed */
typedef struct selvedge_cancel selvedge_cancel; /* a switch that ends calls; it stays set */
typedef struct selvedge_engine selvedge_engine; /* a loaded model */
typedef struct selvedge_run selvedge_run;       /* a generation in flight */
typedef struct selvedge_answer selvedge_answer; /* what came back */

/* A text to take. This struct does not grow. */
typedef struct selvedge_text {
  const char *SELVEDGE_NULLABLE data;  /* NULL only if len is 0 */
  size_t len;                          /* bytes */
} selvedge_text;

/* How to open a model. */
typedef struct selvedge_options {
  size_t struct_size;
  selvedge_backend backend;            /* 0: by content; any other wins, and fails if it cannot */
  selvedge_loading loading;
  uint32_t threads;                    /* of one computation; 0: the backend's choice */
  uint32_t context_tokens;             /* for text; 0: the model's own, at most 4096 */
  uint32_t parallel;                   /* runs side by side, for text; 0: 4 */
  uint32_t flags;                      /* 0 */
  uint64_t memory_limit;               /* bytes; more by estimate is OUT_OF_MEMORY before loading; 0: none */
  const uint8_t *SELVEDGE_NULLABLE sha256; /* 32 bytes: a model with another provenance.digest is CORRUPT */
  selvedge_text onnxruntime;           /* path of the ONNX Runtime library; empty: it is searched for */
  const selvedge_cancel *SELVEDGE_NULLABLE cancel; /* ends the open */
} selvedge_options;
#define SELVEDGE_OPTIONS_INIT { sizeof(selvedge_options), SELVEDGE_BACKEND_AUTO, SELVEDGE_LOADING_MAPPED, 0, 0, 0, 0, 0, \
  NULL, { NULL, 0 }, NULL }

/* The terms of one call. */
typedef struct selvedge_call {
  size_t struct_size;
  const selvedge_cancel *SELVEDGE_NULLABLE cancel; /* ends the call; may be freed at any time */
  uint64_t timeout_ms;                 /* from now; 0: none */
  uint64_t id;                         /* the caller's own number; it comes back in the answer's JSON */
  selvedge_priority priority;
  uint32_t flags;                      /* 0 */
} selvedge_call;
#define SELVEDGE_CALL_INIT { sizeof(selvedge_call), NULL, 0, 0, SELVEDGE_PRIORITY_NORMAL, 0 }

/* A tensor that lies somewhere else: row-major, little-endian. The same struct goes in and comes out, so that an
 * output can be the next call's input (while its answer lives). */
typedef struct selvedge_tensor {
  size_t struct_size;
  const char *SELVEDGE_NULLABLE name;
  size_t name_len;
  const int64_t *SELVEDGE_NULLABLE dims; /* outermost first; NULL only if rank is 0 */
  size_t rank;                         /* at most 64; 0 is a scalar */
  const void *SELVEDGE_NULLABLE data;  /* NULL only if byte_len is 0 */
  size_t byte_len;                     /* exactly elements times the dtype's size */
  selvedge_dtype dtype;
  uint32_t flags;                      /* 0 */
} selvedge_tensor;
#define SELVEDGE_TENSOR_INIT { sizeof(selvedge_tensor), NULL, 0, NULL, 0, NULL, 0, SELVEDGE_DTYPE_UNSET, 0 }

/* Named tensors in, named tensors out. */
typedef struct selvedge_tensors {
  size_t struct_size;
  const selvedge_tensor *SELVEDGE_NULLABLE inputs; /* in any order, each name once */
  size_t input_count;
  const selvedge_text *SELVEDGE_NULLABLE outputs;  /* names wanted, in this order; NULL: all, in the model's */
  size_t output_count;
} selvedge_tensors;
#define SELVEDGE_TENSORS_INIT { sizeof(selvedge_tensors), NULL, 0, NULL, 0 }

/* One message of a conversation. */
typedef struct selvedge_message {
  size_t struct_size;
  selvedge_text role;                  /* "system", "user", "assistant", or what else the model's template knows */
  selvedge_text content;
} selvedge_message;
#define SELVEDGE_MESSAGE_INIT { sizeof(selvedge_message), { NULL, 0 }, { NULL, 0 } }

/* A prompt in, text out. The defaults are greedy. */
typedef struct selvedge_generate {
  size_t struct_size;
  selvedge_text prompt;                /* plain text; or, with data NULL: */
  const selvedge_message *SELVEDGE_NULLABLE messages; /* a conversation, by the model's own chat template */
  size_t message_count;
  const selvedge_text *SELVEDGE_NULLABLE stop; /* texts that end the answer; it does not contain them */
  size_t stop_count;
  uint32_t flags;                      /* SELVEDGE_GENERATE_* */
  uint32_t max_tokens;                 /* 0: 256 */
  uint32_t seed;                       /* with SELVEDGE_GENERATE_SEEDED; else one is drawn */
  float temperature;                   /* 0: greedy */
  uint32_t top_k;                      /* 0: off */
  float top_p;                         /* (0, 1]; 0: off */
  float min_p;                         /* [0, 1]; 0: off */
  float repeat_penalty;                /* > 0, 1 is off; 0: off */
  float frequency_penalty;             /* 0: off */
  float presence_penalty;              /* 0: off */
  uint32_t penalty_last_n;             /* tokens that the penalties look back; 0: 64 */
  uint32_t reserved;                   /* 0 */
} selvedge_generate;
#define SELVEDGE_GENERATE_INIT { sizeof(selvedge_generate), { NULL, 0 }, NULL, 0, NULL, 0, \
  0, 0, 0, 0.0f, 0, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0, 0 }

/* Texts in, one vector each out. */
typedef struct selvedge_embed {
  size_t struct_size;
  const selvedge_text *SELVEDGE_NULLABLE texts; /* at least one */
  size_t text_count;
  uint32_t flags;                      /* SELVEDGE_EMBED_RAW */
  uint32_t reserved;                   /* 0 */
} selvedge_embed;
#define SELVEDGE_EMBED_INIT { sizeof(selvedge_embed), NULL, 0, 0, 0 }

/* A sampled token. This struct does not grow. */
typedef struct selvedge_token {
  uint32_t id;                         /* in the model's vocabulary */
  float logprob;                       /* <= 0; NaN unless SELVEDGE_GENERATE_LOGPROBS */
} selvedge_token;

/* What a step of a run brought. */
typedef struct selvedge_event {
  size_t struct_size;
  selvedge_event_kind kind;
  selvedge_finish finish;              /* DONE */
  uint64_t done;                       /* WORKING: prompt tokens computed, */
  uint64_t total;                      /* of so many; 0 if not known */
  const char *SELVEDGE_NULLABLE text;  /* TEXT: whole UTF-8; DONE: the stop text, if one came up */
  size_t text_len;
  const selvedge_token *SELVEDGE_NULLABLE tokens; /* TEXT: the tokens that made it; may be none, or several */
  size_t token_count;
  uint64_t input_tokens;               /* DONE: prompt tokens, */
  uint64_t cached_tokens;              /* of which a cache saved so many, */
  uint64_t output_tokens;              /* and generated ones */
} selvedge_event;
#define SELVEDGE_EVENT_INIT { sizeof(selvedge_event), SELVEDGE_EVENT_NONE, SELVEDGE_FINISH_NONE, 0, 0, NULL, 0, \
  NULL, 0, 0, 0, 0 }

/* ---- Version ---- */

/* The library's ABI, major << 16 | minor. A caller needs the major it was compiled with, and at least its minor:
 * within a major, functions, fields and numbers are only added. Never fails. */
SELVEDGE_API uint32_t selvedge_abi_version(void);

/* The library's version, such as "0.1.0", for people. Static memory. Never fails. */
SELVEDGE_API const char *selvedge_version(void);

/* ---- Errors ---- */

/* The status that the call returned. OK for NULL, BAD_HANDLE if it is not a live error. */
SELVEDGE_API selvedge_status selvedge_error_code(const selvedge_error *SELVEDGE_NULLABLE error);

/* What failed, what was expected and what was got, in English; never NULL. Puts its length in `len` unless that is
 * NULL. Lives as long as the error; for NULL it is "", and a fixed sentence if it is not a live error. */
SELVEDGE_API const char *selvedge_error_message(const selvedge_error *SELVEDGE_NULLABLE error,
                                                size_t *SELVEDGE_NULLABLE len);

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

/* ---- Engines ---- */

/* Opens the model file at `path` and blocks until it is loaded; close it with selvedge_engine_close. `options` may be
 * NULL. Errors: NOT_FOUND, IO, CORRUPT, UNSUPPORTED (a format or model that no backend of this build takes),
 * OUT_OF_MEMORY, MISSING_RUNTIME, CANCELLED, BACKEND. */
SELVEDGE_API selvedge_status selvedge_engine_open(const char *path, size_t path_len,
                                                  const selvedge_options *SELVEDGE_NULLABLE options,
                                                  SELVEDGE_OUT(selvedge_engine) out, SELVEDGE_ERR err);

/* Closes the handle. Calls and runs in flight go on to their end; the model's memory is given back with the last of
 * them. Answers stay valid. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_engine_close(selvedge_engine *SELVEDGE_NULLABLE engine);

/* What the engine takes, gives, can do and costs, as a JSON object: provenance {model, version, digest, backend,
 * runtime, route}, inputs and outputs [{name, dtype, shape, optional} or {name, other, optional}] (a dimension is a
 * number, a symbol's name, or null; a shape of unknown rank is null), abilities {tensors, generate, chat, embed,
 * interrupt}, context_tokens, embedding_size, memory {weights, context, scratch, total}, metadata. The digest is the
 * SHA-256 of the file; of a split GGUF model, of all its parts, one after the other; with a tokenizer beside it, of
 * both; of an ONNX model without its external data. The text lives as long as the engine's handle. */
SELVEDGE_API selvedge_status selvedge_engine_spec_json(const selvedge_engine *engine, SELVEDGE_OUT(const char) json,
                                                       size_t *len, SELVEDGE_ERR err);

/* Runs tensors through the engine and blocks until the answer is there; free it with selvedge_answer_free. `call` may
 * be NULL. Inputs are borrowed, not copied (but for those of at most 4 KiB, and data that is not aligned for its
 * dtype); they must not change until the call returns, and whatever its status, nobody reads them after that. A
 * cancelled call returns when the step under way ends, or at once where the engine can interrupt.
 * Errors: INVALID_ARGUMENT (a name, dtype or shape that the engine does not take), UNSUPPORTED, CANCELLED,
 * DEADLINE_EXCEEDED, OUT_OF_MEMORY, BACKEND. */
SELVEDGE_API selvedge_status selvedge_engine_run(const selvedge_engine *engine, const selvedge_tensors *request,
                                                 const selvedge_call *SELVEDGE_NULLABLE call,
                                                 SELVEDGE_OUT(selvedge_answer) out, SELVEDGE_ERR err);

/* Starts to generate text, without heavy work yet; pull it with selvedge_run_next and free it with selvedge_run_free.
 * `call` may be NULL. The request is copied. Errors: INVALID_ARGUMENT (a parameter out of its range), UNSUPPORTED (an
 * engine without text, or chat; a parameter it does not serve), CONTEXT_FULL, CANCELLED, DEADLINE_EXCEEDED, BACKEND. */
SELVEDGE_API selvedge_status selvedge_engine_generate(const selvedge_engine *engine, const selvedge_generate *request,
                                                      const selvedge_call *SELVEDGE_NULLABLE call,
                                                      SELVEDGE_OUT(selvedge_run) out, SELVEDGE_ERR err);

/* Embeds texts and blocks until the answer is there: one output named "embedding", f32 [texts, dimensions]; free it
 * with selvedge_answer_free. `call` may be NULL. Errors: as of selvedge_engine_run, and CONTEXT_FULL. */
SELVEDGE_API selvedge_status selvedge_engine_embed(const selvedge_engine *engine, const selvedge_embed *request,
                                                   const selvedge_call *SELVEDGE_NULLABLE call,
                                                   SELVEDGE_OUT(selvedge_answer) out, SELVEDGE_ERR err);

/* ---- Runs ---- */

/* One bounded unit of work on the calling thread, and what it brought. Pointers in the event live until the next
 * selvedge_run_next or selvedge_run_free of the run. After DONE or an error the run has ended: free it; a further call
 * is INVALID_ARGUMENT. Errors: BUSY (another thread is in this call), CANCELLED (the switch was set, or the run was
 * freed meanwhile), DEADLINE_EXCEEDED, CONTEXT_FULL, BACKEND. */
SELVEDGE_API selvedge_status selvedge_run_next(selvedge_run *run, selvedge_event *event, SELVEDGE_ERR err);

/* The whole answer of a run that is DONE; free it with selvedge_answer_free. It outlives the run.
 * Errors: INVALID_ARGUMENT if the run is not done or has failed, BUSY. */
SELVEDGE_API selvedge_status selvedge_run_answer(selvedge_run *run, SELVEDGE_OUT(selvedge_answer) out,
                                                 SELVEDGE_ERR err);

/* Frees a run at any time; one that is not done is cancelled. If another thread is in selvedge_run_next, that call ends
 * with CANCELLED. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_run_free(selvedge_run *SELVEDGE_NULLABLE run);

/* ---- Answers ---- */

/* The number of output tensors. */
SELVEDGE_API selvedge_status selvedge_answer_output_count(const selvedge_answer *answer, size_t *count,
                                                          SELVEDGE_ERR err);

/* Describes output `index`; set tensor->struct_size before. Nothing is copied: the pointers live as long as the
 * answer. Errors: NOT_FOUND (no such index), UNSUPPORTED (a string tensor). */
SELVEDGE_API selvedge_status selvedge_answer_output(const selvedge_answer *answer, size_t index,
                                                    selvedge_tensor *tensor, SELVEDGE_ERR err);

/* The answer as a JSON object: text, tokens [id], finish, stop, usage {input_tokens, cached_tokens, output_tokens,
 * queued_ns, prepare_ns, compute_ns, generate_ns, peak_bytes}, provenance, id, outputs [{name, dtype, shape}].
 * The text lives as long as the answer. */
SELVEDGE_API selvedge_status selvedge_answer_json(const selvedge_answer *answer, SELVEDGE_OUT(const char) json,
                                                  size_t *len, SELVEDGE_ERR err);

/* Frees an answer, its tensors and texts. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_answer_free(selvedge_answer *SELVEDGE_NULLABLE answer);

#ifdef __cplusplus
}
#endif
#ifdef __clang__
#  pragma clang assume_nonnull end
#  pragma clang diagnostic pop
#endif
#endif /* SELVEDGE_H */
