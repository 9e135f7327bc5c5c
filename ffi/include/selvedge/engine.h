/* selvedge/engine.h: sources, options, engines, requests, runs, answers. Include "selvedge.h". */
#ifndef SELVEDGE_ENGINE_H
#define SELVEDGE_ENGINE_H

#include "base.h"

SELVEDGE_BEGIN

/* ---- Numbers ---- */

SELVEDGE_ENUM_BEGIN(selvedge_backend)
  SELVEDGE_BACKEND_AUTO = 0,           /* by the file's content */
  SELVEDGE_BACKEND_LLAMA = 1,          /* GGUF through llama.cpp */
  SELVEDGE_BACKEND_ORT = 2,            /* ONNX through ONNX Runtime */
  SELVEDGE_BACKEND_TRACT = 3,          /* ONNX through tract */
  SELVEDGE_BACKEND_TABLE = 4,          /* static embeddings in safetensors or GGUF */
  SELVEDGE_BACKEND_RTEN = 5            /* ONNX through rten */
SELVEDGE_ENUM_END(selvedge_backend)

SELVEDGE_ENUM_BEGIN(selvedge_source_kind)
  SELVEDGE_SOURCE_PATH = 0,
  SELVEDGE_SOURCE_FILE = 1,            /* an open file, or a part of one */
  SELVEDGE_SOURCE_MEMORY = 2           /* bytes of the caller's */
SELVEDGE_ENUM_END(selvedge_source_kind)

SELVEDGE_ENUM_BEGIN(selvedge_loading)
  SELVEDGE_LOADING_MAPPED = 0,             /* pages come as they are touched; the file must not be truncated meanwhile */
  SELVEDGE_LOADING_READ = 1                /* read whole into memory */
SELVEDGE_ENUM_END(selvedge_loading)

SELVEDGE_ENUM_BEGIN(selvedge_priority)
  SELVEDGE_PRIORITY_BACKGROUND = -1,   /* nobody waits */
  SELVEDGE_PRIORITY_NORMAL = 0,
  SELVEDGE_PRIORITY_INTERACTIVE = 1    /* a person waits */
SELVEDGE_ENUM_END(selvedge_priority)

SELVEDGE_ENUM_BEGIN(selvedge_trim)
  SELVEDGE_TRIM_CACHES = 1,            /* what was kept to be faster: prefixes, plans */
  SELVEDGE_TRIM_ALL = 2                /* also what the next call makes anew */
SELVEDGE_ENUM_END(selvedge_trim)

/* How the form of a generated text is written. */
SELVEDGE_ENUM_BEGIN(selvedge_grammar_kind)
  SELVEDGE_GRAMMAR_NONE = 0,           /* any text */
  SELVEDGE_GRAMMAR_JSON_SCHEMA = 1,    /* JSON that a JSON Schema allows */
  SELVEDGE_GRAMMAR_REGEX = 2,          /* the whole text matches, in the syntax of Rust's crate regex */
  SELVEDGE_GRAMMAR_LARK = 3,           /* Lark, as llguidance reads it */
  SELVEDGE_GRAMMAR_GBNF = 4            /* the notation of llama.cpp */
SELVEDGE_ENUM_END(selvedge_grammar_kind)

/* Whether a model calls tools, and which. */
SELVEDGE_ENUM_BEGIN(selvedge_tool_choice)
  SELVEDGE_TOOL_CHOICE_AUTO = 0,       /* as the model decides; nothing holds its calls to the schemas */
  SELVEDGE_TOOL_CHOICE_NONE = 1,       /* no calls: the model is not told of the tools */
  SELVEDGE_TOOL_CHOICE_REQUIRED = 2,   /* at least one call, of the form that its tool's schema allows */
  SELVEDGE_TOOL_CHOICE_NAMED = 3       /* the same of one tool, `tool_name` */
SELVEDGE_ENUM_END(selvedge_tool_choice)

/* Whether a model that can do either thinks before it answers. */
SELVEDGE_ENUM_BEGIN(selvedge_thinking)
  SELVEDGE_THINKING_AUTO = 0,          /* as its template has it */
  SELVEDGE_THINKING_ON = 1,
  SELVEDGE_THINKING_OFF = 2
SELVEDGE_ENUM_END(selvedge_thinking)

SELVEDGE_ENUM_BEGIN(selvedge_event_kind)
  SELVEDGE_EVENT_NONE = 0,             /* the call failed */
  SELVEDGE_EVENT_WORKING = 1,          /* nothing to be seen yet: `done` of `total` */
  SELVEDGE_EVENT_TEXT = 2,             /* a piece of the answer: `text`, `tokens` */
  SELVEDGE_EVENT_DONE = 3,             /* the answer is complete: `finish` and the counts */
  SELVEDGE_EVENT_REASONING = 4,        /* a piece of what the model thinks, where that was asked for by itself: `text`,
                                        * `tokens` */
  SELVEDGE_EVENT_CALL_PIECE = 5,       /* a piece of a call that is being written, and may turn out to be none: `index`,
                                        * `name`, `text` of its arguments, `tokens` */
  SELVEDGE_EVENT_TOOL_CALL = 6,        /* a call that is whole: `id`, `name`, `text`: its arguments, a JSON object */
  SELVEDGE_EVENT_MALFORMED_CALL = 7    /* what began like a call and is none: `index`, `text` as it was written, `reason` */
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

/* The part in a rollout in which a version of a deployment gave an answer. */
SELVEDGE_ENUM_BEGIN(selvedge_arm)
  SELVEDGE_ARM_NONE = 0,               /* the call failed */
  SELVEDGE_ARM_CURRENT = 1,            /* the current version */
  SELVEDGE_ARM_CANARY = 2,             /* the one on trial, for a share of the calls */
  SELVEDGE_ARM_OTHER = 255
SELVEDGE_ENUM_END(selvedge_arm)

#define SELVEDGE_OPTIONS_NO_SYMLINKS 1u     /* selvedge_options.flags: a path that is a symbolic link is refused */
#define SELVEDGE_OPTIONS_SEARCH_PYTHON 2u   /* selvedge_options.flags: look for ONNX Runtime in Python packages too */
#define SELVEDGE_OPTIONS_OWN_PRODUCTS 4u    /* selvedge_options.flags: llama computes prompts and texts to embed with this
                                             * library's products of matrices, for about the memory of its weights again */
#define SELVEDGE_RUNG_ONE_THREAD 1u         /* selvedge_options.crash_rungs: computes on one thread */
#define SELVEDGE_RUNG_READ_WHOLE 2u         /* selvedge_options.crash_rungs: reads the file whole, and maps nothing */
#define SELVEDGE_RUNG_OTHER_RUNTIME 4u      /* selvedge_options.crash_rungs: another runtime, where the build has one for
                                             * the model and `backend` leaves the choice */
#define SELVEDGE_ACCELERATOR_ALL UINT32_MAX /* selvedge_options.accelerator_layers: all, and the output */
#define SELVEDGE_MAX_TOKENS_NONE UINT32_MAX /* selvedge_generate.max_tokens: no limit but the context */
#define SELVEDGE_GENERATE_SEEDED 1u         /* selvedge_generate.flags: `seed` counts, also if it is 0 */
#define SELVEDGE_GENERATE_LOGPROBS 2u       /* selvedge_generate.flags: report each token's log-probability */
#define SELVEDGE_GENERATE_CONTINUE_LAST 4u  /* selvedge_generate.flags: go on with the last message, the assistant's */
#define SELVEDGE_GENERATE_SEPARATE_REASONING 8u /* selvedge_generate.flags: part what the model thinks from its answer */
#define SELVEDGE_EMBED_RAW 1u               /* selvedge_embed.flags: do not scale vectors to length 1 */

/* ---- Types ---- */

typedef struct selvedge_engine selvedge_engine; /* a loaded model */
typedef struct selvedge_run selvedge_run;       /* a request in flight */
typedef struct selvedge_answer selvedge_answer; /* what came back */

/* Where a model is. Fields of another kind are not looked at. */
typedef struct selvedge_source {
  size_t struct_size;
  selvedge_source_kind kind;
  uint32_t flags;                      /* 0 */
  selvedge_text path;                  /* PATH */
  int64_t file;                        /* FILE: an open descriptor (Windows: a HANDLE); it is duplicated, and the caller
                                        * goes on owning his own */
  uint64_t offset;                     /* FILE: where the model begins, such as an asset within an Android package, */
  uint64_t length;                     /* and its bytes; 0: to the end of the file */
  const void *SELVEDGE_NULLABLE data;  /* MEMORY: the model; it must not change until `release` is called, */
  size_t data_len;
  selvedge_release_fn SELVEDGE_NULLABLE release; /* which is once for each call that took it: when the last that uses it
                                        * is freed, or earlier, where the model was copied, or when the call fails (but
                                        * not where the struct is refused for its size, for then nothing else of it is
                                        * believed); NULL: the memory stays for ever */
  void *SELVEDGE_NULLABLE user_data;   /* of release */
} selvedge_source;
#define SELVEDGE_SOURCE_INIT { sizeof(selvedge_source), SELVEDGE_SOURCE_PATH, 0, { NULL, 0 }, 0, 0, 0, NULL, 0, NULL, NULL }

/* How to open a model. */
typedef struct selvedge_options {
  size_t struct_size;
  selvedge_backend backend;            /* 0: by content; any other wins, and fails if it cannot */
  selvedge_loading loading;
  uint32_t threads;                    /* of one computation; 0: the backend's choice */
  uint32_t context_tokens;             /* for text; 0: the model's own, at most 4096 */
  uint32_t parallel;                   /* runs side by side, for text; 0: 4 */
  uint32_t flags;                      /* SELVEDGE_OPTIONS_* */
  uint64_t memory_limit;               /* bytes; more by estimate is OUT_OF_MEMORY before loading; 0: none */
  const uint8_t *SELVEDGE_NULLABLE sha256; /* 32 bytes: a model with another provenance.digest is CORRUPT */
  selvedge_text onnxruntime;           /* path of the ONNX Runtime library; empty: it is searched for */
  const selvedge_cancel *SELVEDGE_NULLABLE cancel; /* ends the open */
  const selvedge_pair *SELVEDGE_NULLABLE session_entries; /* configuration of an ONNX Runtime session */
  size_t session_entry_count;
  const selvedge_progress *SELVEDGE_NULLABLE progress; /* bytes hashed, then loaded; for another thread to look at */
  selvedge_progress_fn SELVEDGE_NULLABLE on_progress; /* the same, told */
  void *SELVEDGE_NULLABLE user_data;   /* of on_progress, until the call returns */
  selvedge_text crash_folder;          /* of the crash record (crash.h), made at the first open; empty: none is kept */
  selvedge_text crash_app_version;     /* a new version of the app begins with an empty record */
  const uint32_t *SELVEDGE_NULLABLE crash_rungs; /* the ladder: SELVEDGE_RUNG_* bits, how to open the model after each
                                        * death; NULL: one rung, of all of them; not NULL and a count of 0: none, so that
                                        * the first death is the last */
  size_t crash_rung_count;
  const selvedge_pair *SELVEDGE_NULLABLE adapters; /* LoRA adapters in GGUF files, for requests to use: names, and paths */
  size_t adapter_count;
  uint32_t prompt_threads;             /* of one computation of a prompt, with llama; 0: as `threads` */
  uint32_t reserved;                   /* 0 */
  selvedge_text measurements;          /* folder of what was measured: an ONNX model goes to the runtime that is fastest at it
                                        * here, which its first open finds out; empty: nothing is measured */
  selvedge_text accelerator_device;    /* the GPU's name, as llama.cpp has it ("Vulkan0"); empty: the first */
  uint32_t accelerator_layers;         /* so many of the last layers of a GGUF model are computed on a GPU, in a build with one
                                        * of llama.cpp's backends for it; 0: none, SELVEDGE_ACCELERATOR_ALL: all */
  uint32_t accelerator_flags;          /* 0 */
} selvedge_options;
#define SELVEDGE_OPTIONS_INIT { sizeof(selvedge_options), SELVEDGE_BACKEND_AUTO, SELVEDGE_LOADING_MAPPED, 0, 0, 0, 0, 0, \
  NULL, { NULL, 0 }, NULL, NULL, 0, NULL, NULL, NULL, { NULL, 0 }, { NULL, 0 }, NULL, 0, NULL, 0, 0, 0, { NULL, 0 }, { NULL, 0 }, 0, 0 }

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
  size_t byte_len;                     /* exactly elements times the dtype's size; a STRING element is a
                                        * selvedge_text, and is always copied */
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

/* Memory of the caller's for an output. */
typedef struct selvedge_output {
  size_t struct_size;
  selvedge_text name;                  /* which output */
  void *SELVEDGE_NULLABLE data;        /* aligned for the dtype; NULL only if capacity is 0 */
  size_t capacity;                     /* bytes there */
  int64_t *SELVEDGE_NULLABLE dims;     /* written: the shape, outermost first; NULL only if dim_capacity is 0 */
  size_t dim_capacity;                 /* dimensions that fit there */
  selvedge_dtype dtype;                /* written; unless UNSET before: what it must be */
  uint32_t flags;                      /* 0 */
  size_t rank;                         /* written */
  size_t byte_len;                     /* written; also where it did not fit */
} selvedge_output;
#define SELVEDGE_OUTPUT_INIT { sizeof(selvedge_output), { NULL, 0 }, NULL, 0, NULL, 0, SELVEDGE_DTYPE_UNSET, 0, 0, 0 }

/* A function of the app's that the model may call. The app runs what is called, and gives the result back in a message of
 * the role "tool". */
typedef struct selvedge_tool {
  size_t struct_size;
  selvedge_text name;                  /* 1 to 128 ASCII letters, digits, '_', '-' and '.'; each name once */
  selvedge_text description;           /* what it does and when to call it; the model reads this */
  selvedge_text parameters;            /* a JSON Schema of the arguments, an object */
} selvedge_tool;
#define SELVEDGE_TOOL_INIT { sizeof(selvedge_tool), { NULL, 0 }, { NULL, 0 }, { NULL, 0 } }

/* A call that the assistant made, as an earlier answer has it. */
typedef struct selvedge_tool_call {
  size_t struct_size;
  selvedge_text id;                    /* what the result refers to */
  selvedge_text name;                  /* the tool */
  selvedge_text arguments;             /* a JSON object */
} selvedge_tool_call;
#define SELVEDGE_TOOL_CALL_INIT { sizeof(selvedge_tool_call), { NULL, 0 }, { NULL, 0 }, { NULL, 0 } }

/* One message of a conversation. */
typedef struct selvedge_message {
  size_t struct_size;
  selvedge_text role;                  /* "system", "user", "assistant", "tool", or what else the model's template knows */
  selvedge_text content;
  selvedge_text reasoning;             /* what the model thought before it, for templates that show it; empty: nothing */
  const selvedge_tool_call *SELVEDGE_NULLABLE tool_calls; /* of "assistant": the calls that it made */
  size_t tool_call_count;
  selvedge_text tool_call_id;          /* of "tool": the call of which it is the result; empty: the role is but a name */
} selvedge_message;
#define SELVEDGE_MESSAGE_INIT { sizeof(selvedge_message), { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, NULL, 0, { NULL, 0 } }

/* A document that the model may draw on. */
typedef struct selvedge_document {
  size_t struct_size;
  selvedge_text title;
  selvedge_text text;
} selvedge_document;
#define SELVEDGE_DOCUMENT_INIT { sizeof(selvedge_document), { NULL, 0 }, { NULL, 0 } }

/* An adapter that a request uses. */
typedef struct selvedge_adapter {
  size_t struct_size;
  selvedge_text name;                  /* one of selvedge_options.adapters */
  float scale;                         /* what its changes are multiplied with, and not 0; 1: as it was trained */
  uint32_t flags;                      /* 0 */
} selvedge_adapter;
#define SELVEDGE_ADAPTER_INIT { sizeof(selvedge_adapter), { NULL, 0 }, 1.0f, 0 }

/* What is added to the logit of a token. This struct does not grow. */
typedef struct selvedge_bias {
  uint32_t token;                      /* in the model's vocabulary; each once */
  float bias;                          /* a finite number, or minus infinity: the token never comes */
} selvedge_bias;

/* A prompt in, text out. The defaults are greedy. */
typedef struct selvedge_generate {
  size_t struct_size;
  selvedge_text prompt;                /* plain text; or, with data NULL, one of the next two: */
  const selvedge_message *SELVEDGE_NULLABLE messages; /* a conversation, by the model's own chat template */
  size_t message_count;
  const uint32_t *SELVEDGE_NULLABLE tokens; /* or ids of the model's vocabulary, as they are */
  size_t token_count;                  /* at most 65,536 */
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
  selvedge_text grammar;               /* the form that the text must have; empty: any. An answer that ends by itself is of
                                        * the form; what a limit, a stop text or a full context ended is the beginning of
                                        * such a text. What cannot be held to is refused: INVALID_ARGUMENT */
  selvedge_grammar_kind grammar_kind;  /* how it is written */
  uint32_t grammar_flags;              /* 0 */
  const selvedge_tool *SELVEDGE_NULLABLE tools; /* what the model may call; this, and all up to variables, with messages */
  size_t tool_count;                   /* at most 1,000 */
  selvedge_text tool_name;             /* with SELVEDGE_TOOL_CHOICE_NAMED: the tool */
  selvedge_tool_choice tool_choice;
  selvedge_thinking thinking;          /* UNSUPPORTED where the template has no such switch */
  const selvedge_document *SELVEDGE_NULLABLE documents; /* UNSUPPORTED where the template has no place for them */
  size_t document_count;
  const selvedge_pair *SELVEDGE_NULLABLE variables; /* of the template, each a name and a JSON value; UNSUPPORTED: one that
                                        * it does not use */
  size_t variable_count;
  const selvedge_adapter *SELVEDGE_NULLABLE adapters; /* each once */
  size_t adapter_count;
  const selvedge_bias *SELVEDGE_NULLABLE biases; /* added before anything else is done with the logits; log-probabilities
                                        * are without it */
  size_t bias_count;
  uint32_t top_logprobs;               /* report so many of the likeliest tokens at each place, in the answer's JSON; at most
                                        * 64 */
  uint32_t text_flags;                 /* 0 */
} selvedge_generate;
#define SELVEDGE_GENERATE_INIT { sizeof(selvedge_generate), { NULL, 0 }, NULL, 0, NULL, 0, NULL, 0, \
  0, 0, 0, 0.0f, 0, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0, 0, { NULL, 0 }, SELVEDGE_GRAMMAR_NONE, 0, \
  NULL, 0, { NULL, 0 }, SELVEDGE_TOOL_CHOICE_AUTO, SELVEDGE_THINKING_AUTO, NULL, 0, NULL, 0, NULL, 0, NULL, 0, 0, 0 }

/* Texts in, one vector each out. */
typedef struct selvedge_embed {
  size_t struct_size;
  const selvedge_text *SELVEDGE_NULLABLE texts; /* at least one */
  size_t text_count;
  uint32_t flags;                      /* SELVEDGE_EMBED_RAW */
  uint32_t reserved;                   /* 0 */
} selvedge_embed;
#define SELVEDGE_EMBED_INIT { sizeof(selvedge_embed), NULL, 0, 0, 0 }

/* A prompt and continuations in, how likely each is out. */
typedef struct selvedge_score {
  size_t struct_size;
  selvedge_text prompt;                /* as of selvedge_generate: plain text; or, with data NULL, one of the next two */
  const selvedge_message *SELVEDGE_NULLABLE messages;
  size_t message_count;
  const uint32_t *SELVEDGE_NULLABLE tokens;
  size_t token_count;
  const selvedge_text *SELVEDGE_NULLABLE continuations; /* at least one, and none of them empty */
  size_t continuation_count;
  const selvedge_adapter *SELVEDGE_NULLABLE adapters; /* as of selvedge_generate */
  size_t adapter_count;
} selvedge_score;
#define SELVEDGE_SCORE_INIT { sizeof(selvedge_score), { NULL, 0 }, NULL, 0, NULL, 0, NULL, 0, NULL, 0 }

/* A query and documents in, how relevant each is out. */
typedef struct selvedge_rerank {
  size_t struct_size;
  selvedge_text query;                 /* not empty */
  const selvedge_text *SELVEDGE_NULLABLE documents; /* at least one */
  size_t document_count;
} selvedge_rerank;
#define SELVEDGE_RERANK_INIT { sizeof(selvedge_rerank), { NULL, 0 }, NULL, 0 }

/* What was saved of a prefix cache, or restored. */
typedef struct selvedge_prefixes {
  size_t struct_size;
  uint64_t prefixes;                   /* beginnings of prompts, */
  uint64_t tokens;                     /* their tokens all together, */
  uint64_t bytes;                      /* and the bytes of the file */
} selvedge_prefixes;
#define SELVEDGE_PREFIXES_INIT { sizeof(selvedge_prefixes), 0, 0, 0 }

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
  const char *SELVEDGE_NULLABLE text;  /* TEXT: whole UTF-8; DONE: the stop text, if one came up; else as the kind says */
  size_t text_len;
  const selvedge_token *SELVEDGE_NULLABLE tokens; /* TEXT: the tokens that made it; may be none, or several. So of
                                        * REASONING and CALL_PIECE: those of all events are the answer's */
  size_t token_count;
  uint64_t input_tokens;               /* DONE: prompt tokens, */
  uint64_t cached_tokens;              /* of which a cache saved so many, */
  uint64_t output_tokens;              /* and generated ones */
  const char *SELVEDGE_NULLABLE name;  /* CALL_PIECE, TOOL_CALL: the tool */
  size_t name_len;
  const char *SELVEDGE_NULLABLE id;    /* TOOL_CALL: what the result refers to */
  size_t id_len;
  const char *SELVEDGE_NULLABLE reason; /* MALFORMED_CALL: what is wrong with it */
  size_t reason_len;
  uint64_t index;                      /* CALL_PIECE, MALFORMED_CALL: the place among the calls of the answer, those
                                        * included that are none. Pieces of a call that is none are void */
} selvedge_event;
#define SELVEDGE_EVENT_INIT { sizeof(selvedge_event), SELVEDGE_EVENT_NONE, SELVEDGE_FINISH_NONE, 0, 0, NULL, 0, \
  NULL, 0, 0, 0, 0, NULL, 0, NULL, 0, NULL, 0, 0 }

/* ---- Inspect ---- */

/* What a model file holds, without opening it, as a JSON object: name, format, bytes, parameters, inputs, outputs,
 * tensors [{name, element, shape, bytes, location}], metadata, operators, opsets, warnings, backends [{backend, memory}
 * or {backend, code, message}], flaw (null, or the {code, message} with which opening it would fail). A code is its
 * name, such as "CORRUPT"; inputs, outputs and memory are those of selvedge_engine_spec_json. Of `options` only those
 * count that say how to read, and those that the estimate of memory depends on. Free the buffer with selvedge_buffer_free. Errors: NOT_FOUND, IO, CORRUPT,
 * UNSUPPORTED (no format that Selvedge knows). */
SELVEDGE_API selvedge_status selvedge_inspect(const selvedge_source *source,
                                              const selvedge_options *SELVEDGE_NULLABLE options,
                                              SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* OK if all of the file is well formed and a backend of this build takes it by its spec, without loading it. Of `options`
 * those count that count for selvedge_inspect, backend and memory_limit; sha256 is not compared. Errors: those of
 * selvedge_engine_open that can be seen without loading. */
SELVEDGE_API selvedge_status selvedge_validate(const selvedge_source *source,
                                               const selvedge_options *SELVEDGE_NULLABLE options, SELVEDGE_ERR err);

/* ---- Engines ---- */

/* Opens the model file at `path` and blocks until it is loaded; close it with selvedge_engine_close. `options` may be
 * NULL. Errors: NOT_FOUND, IO, CORRUPT, UNSUPPORTED (a format or model that no backend of this build takes),
 * OUT_OF_MEMORY, MISSING_RUNTIME, CANCELLED, BACKEND, QUARANTINED (with a crash record: the message says when, where and by
 * what the process ended). */
SELVEDGE_API selvedge_status selvedge_engine_open(const char *path, size_t path_len,
                                                  const selvedge_options *SELVEDGE_NULLABLE options,
                                                  SELVEDGE_OUT(selvedge_engine) out, SELVEDGE_ERR err);

/* Opens a model from a path, an open file or memory; else as selvedge_engine_open. */
SELVEDGE_API selvedge_status selvedge_engine_open_source(const selvedge_source *source,
                                                         const selvedge_options *SELVEDGE_NULLABLE options,
                                                         SELVEDGE_OUT(selvedge_engine) out, SELVEDGE_ERR err);

/* Closes the handle. Calls and runs in flight go on to their end; the model's memory is given back with the last of
 * them. Answers stay valid. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_engine_close(selvedge_engine *SELVEDGE_NULLABLE engine);

/* What the engine takes, gives, can do and costs, as a JSON object: provenance {model, version, digest, backend, runtime,
 * route}, inputs and outputs [{name, dtype, shape, optional} or {name, other, optional}] (a dimension is a number, a
 * symbol's name, or null; a shape of unknown rank is null), abilities {tensors, generate, chat, embed, score, rerank,
 * interrupt}, context_tokens, embedding_size, adapters [{name, digest, applied, total}] (of how many weights that it has
 * changes for it changes how many), memory {weights, context, scratch, total}, metadata, choice (null, or why this runtime,
 * and why in another way than the app asked). The digest is the SHA-256 of the file; of a split GGUF model, of all its
 * parts, one after the other; with a tokenizer beside it, of both; of an ONNX model without its external data. The text
 * lives as long as the engine's handle. */
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

/* Runs tensors through the engine, and puts the outputs named by `outputs` into the caller's memory, without an answer
 * to free; request->outputs must be NULL. Nothing is written beyond a capacity. The memory of an output must not overlap
 * that of another, or of an input. Else as selvedge_engine_run. Errors: those, and INVALID_ARGUMENT (a name that is no
 * output, another dtype, or too little room: then dtype, byte_len and rank of all outputs say what is needed, and data
 * and dims are as they were), UNSUPPORTED (a string output). After any other error byte_len and rank are 0. */
SELVEDGE_API selvedge_status selvedge_engine_run_into(const selvedge_engine *engine, const selvedge_tensors *request,
                                                      selvedge_output *outputs, size_t output_count,
                                                      const selvedge_call *SELVEDGE_NULLABLE call, SELVEDGE_ERR err);

/* Starts to run tensors, to be pulled step by step with selvedge_run_next, so that an app may stop between two; its
 * events are WORKING and DONE. The request is copied. Free the run with selvedge_run_free. Errors: as of
 * selvedge_engine_run. */
SELVEDGE_API selvedge_status selvedge_engine_start(const selvedge_engine *engine, const selvedge_tensors *request,
                                                   const selvedge_call *SELVEDGE_NULLABLE call,
                                                   SELVEDGE_OUT(selvedge_run) out, SELVEDGE_ERR err);

/* Starts to generate text, without heavy work yet; pull it with selvedge_run_next and free it with selvedge_run_free.
 * `call` may be NULL. The request is copied. Errors: INVALID_ARGUMENT (a parameter out of its range, a tool whose schema no
 * call can be held to, an adapter that the engine has not), UNSUPPORTED (an engine without text, or chat; a parameter that
 * it or the model's template does not serve), CONTEXT_FULL, CANCELLED, DEADLINE_EXCEEDED, BACKEND. */
SELVEDGE_API selvedge_status selvedge_engine_generate(const selvedge_engine *engine, const selvedge_generate *request,
                                                      const selvedge_call *SELVEDGE_NULLABLE call,
                                                      SELVEDGE_OUT(selvedge_run) out, SELVEDGE_ERR err);

/* Embeds texts and blocks until the answer is there: one output named "embedding", f32 [texts, dimensions]; free it
 * with selvedge_answer_free. `call` may be NULL. Errors: as of selvedge_engine_run, and CONTEXT_FULL. */
SELVEDGE_API selvedge_status selvedge_engine_embed(const selvedge_engine *engine, const selvedge_embed *request,
                                                   const selvedge_call *SELVEDGE_NULLABLE call,
                                                   SELVEDGE_OUT(selvedge_answer) out, SELVEDGE_ERR err);

/* How likely each continuation of the prompt is, by the model; blocks until the answer is there, with one element for each
 * continuation in three outputs: "logprob", f32: the natural logarithm of its probability, the sum over its tokens;
 * "tokens", i64: how many those are; "greedy", bool: whether each of them is the likeliest. Free it with
 * selvedge_answer_free. `call` may be NULL. Errors: as of selvedge_engine_generate. */
SELVEDGE_API selvedge_status selvedge_engine_score(const selvedge_engine *engine, const selvedge_score *request,
                                                   const selvedge_call *SELVEDGE_NULLABLE call,
                                                   SELVEDGE_OUT(selvedge_answer) out, SELVEDGE_ERR err);

/* How well each document answers the query, by a model that reads both together; blocks until the answer is there, with one
 * element for each document in two outputs: "score", f32, in the order of the documents: a number of any size, the larger
 * the more relevant; "order", i64: their places from 0, the most relevant first. Free it with selvedge_answer_free. `call`
 * may be NULL. Errors: as of selvedge_engine_embed. */
SELVEDGE_API selvedge_status selvedge_engine_rerank(const selvedge_engine *engine, const selvedge_rerank *request,
                                                    const selvedge_call *SELVEDGE_NULLABLE call,
                                                    SELVEDGE_OUT(selvedge_answer) out, SELVEDGE_ERR err);

/* Writes what finished runs have left in the engine's prefix cache to a file, in the place of an earlier one, durably: what
 * it has computed of prompts, which prompts that begin alike reuse. The file can be read back as text by whoever has the
 * model, and is readable for its owner alone. Errors: IO (the file is as it was), UNSUPPORTED (an engine without such a
 * cache, a model whose state cannot be cut), OUT_OF_MEMORY, BACKEND. */
SELVEDGE_API selvedge_status selvedge_engine_save_prefixes(const selvedge_engine *engine, const char *path, size_t path_len,
                                                           selvedge_prefixes *saved, SELVEDGE_ERR err);

/* Takes the prefixes of a file into the engine's prefix cache, in the place of what was used longest ago. Answers are the
 * same, to the last bit, as without. Those that find no place are left out: `restored` says how many were taken. Errors:
 * NOT_FOUND, IO, CORRUPT (a damaged file, or none of these), INVALID_ARGUMENT (of another model, build, kind of processor,
 * or number of context_tokens), UNSUPPORTED (an engine without such a cache, a later version of the file). The engine is
 * then as it was. */
SELVEDGE_API selvedge_status selvedge_engine_restore_prefixes(const selvedge_engine *engine, const char *path,
                                                              size_t path_len, selvedge_prefixes *restored,
                                                              SELVEDGE_ERR err);

/* Gives memory back, as much as the level says, and says how many bytes; the next call is slower. For the system's
 * warnings of low memory. Errors: BACKEND. */
SELVEDGE_API selvedge_status selvedge_engine_trim(const selvedge_engine *engine, selvedge_trim level,
                                                  uint64_t *freed, SELVEDGE_ERR err);

/* The tokens of the request's prompt, as uint32_t in a buffer: of a conversation, those of its rendered text. Only prompt,
 * messages and tokens of `request` count. Errors: UNSUPPORTED (an engine without a tokenizer, or chat), INVALID_ARGUMENT. */
SELVEDGE_API selvedge_status selvedge_engine_tokenize(const selvedge_engine *engine, const selvedge_generate *request,
                                                      SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* The text of tokens, at most 65,536, in a buffer. Errors: UNSUPPORTED, INVALID_ARGUMENT (an id beyond the vocabulary). */
SELVEDGE_API selvedge_status selvedge_engine_detokenize(const selvedge_engine *engine,
                                                        const uint32_t *SELVEDGE_NULLABLE tokens, size_t token_count,
                                                        SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

/* The conversation as the model sees it, by its chat template, in a buffer. Only messages of `request` count. Errors:
 * UNSUPPORTED, INVALID_ARGUMENT (no messages). */
SELVEDGE_API selvedge_status selvedge_engine_render(const selvedge_engine *engine, const selvedge_generate *request,
                                                    SELVEDGE_OUT(selvedge_buffer) out, SELVEDGE_ERR err);

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
 * answer. The elements of a string tensor are selvedge_text. Errors: NOT_FOUND (no such index). */
SELVEDGE_API selvedge_status selvedge_answer_output(const selvedge_answer *answer, size_t index,
                                                    selvedge_tensor *tensor, SELVEDGE_ERR err);

/* The answer as a JSON object: text, reasoning, tool_calls [{id, name, arguments}] (arguments are a text of JSON),
 * malformed_calls [{index, text, reason}], tokens [id], logprobs (null, or one number for each token), top_logprobs
 * [[{id, logprob}]] (for each token, the likeliest at its place first; empty if not asked for), finish, stop,
 * adapters [{name, scale, applied, total}] (those applied), usage {input_tokens, cached_tokens, output_tokens, queued_ns,
 * prepare_ns, compute_ns, generate_ns, peak_bytes, cache_hits, saved_ns}, provenance, id, outputs [{name, dtype, shape}].
 * The text lives as long as the answer. */
SELVEDGE_API selvedge_status selvedge_answer_json(const selvedge_answer *answer, SELVEDGE_OUT(const char) json,
                                                  size_t *len, SELVEDGE_ERR err);

/* The version of a deployment that gave the answer, such as "v3", and its part in the rollout; of several deployments on the
 * route, the outermost. The text lives as long as the answer. Errors: NOT_FOUND (no deployment gave it). */
SELVEDGE_API selvedge_status selvedge_answer_version(const selvedge_answer *answer, SELVEDGE_OUT(const char) version,
                                                     size_t *len, selvedge_arm *arm, SELVEDGE_ERR err);

/* Frees an answer, its tensors and texts. OK for NULL. Errors: BAD_HANDLE. */
SELVEDGE_API selvedge_status selvedge_answer_free(selvedge_answer *SELVEDGE_NULLABLE answer);

SELVEDGE_END
#endif /* SELVEDGE_ENGINE_H */
