/** Selvedge for Node.js: models asked offline, and watched for drift. Objects are freed when they are closed or no longer reachable. */

export type DType =
  | 'f32' | 'f64' | 'f16' | 'bf16' | 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'i64' | 'u64' | 'bool' | 'string';
/** Numbers of a tensor: those of `f16` and `bf16` are their bits, those of `bool` bytes of 0 and 1. */
export type TypedArray =
  | Float32Array | Float64Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array
  | BigInt64Array | BigUint64Array;

/** A call of the library that failed: what failed, what was expected and what was got. */
export class SelvedgeError extends Error {
  /** `INVALID_ARGUMENT`, `NOT_FOUND`, `UNSUPPORTED`, `OUT_OF_MEMORY`, `CANCELLED`, `BUSY`, `IO`, `CORRUPT`, `BACKEND`, `DEADLINE_EXCEEDED`, `CONTEXT_FULL`, `MISSING_RUNTIME`, `BAD_HANDLE`, `INTERNAL`, `QUARANTINED`, `UNTRUSTED`, `PANIC`; more may come. */
  readonly code: string;
  readonly status: number;
}

/** Row-major numbers or texts with a shape. Without `dims`, of one dimension; without `dtype`, that of the array. */
export class Tensor {
  constructor(data: TypedArray | string[], dims?: readonly number[], dtype?: DType);
  readonly dtype: DType;
  readonly dims: number[];
  readonly data: TypedArray | string[];
}

/** A path, a part of an open file (its descriptor, where it begins, its bytes; 0: to the end), or bytes in memory, which must not change. */
export type Source = string | URL | { file: number; offset?: number; length?: number } | Uint8Array | ArrayBuffer;

export interface OpenOptions {
  backend?: 'auto' | 'llama' | 'ort' | 'tract' | 'table' | 'rten';
  loading?: 'mapped' | 'read';
  /** Of one computation. */
  threads?: number;
  /** For text; the model's own, at most 4096. */
  contextTokens?: number;
  /** Runs side by side, for text; 4. */
  parallel?: number;
  /** Bytes; a model that needs more by estimate is `OUT_OF_MEMORY`. */
  memoryLimit?: number;
  /** In hexadecimal: a model of another digest is `CORRUPT`. */
  sha256?: string;
  /** Path of the ONNX Runtime library. */
  onnxruntime?: string;
  /** Look for it in Python packages too. */
  searchPython?: boolean;
  sessionEntries?: Record<string, string>;
  /** LoRA adapters: paths of GGUF files by the names that requests use. */
  adapters?: Record<string, string>;
  /** Of one computation of a prompt, where not `threads`. */
  promptThreads?: number;
  /** llama computes prompts and texts to embed with this library's products, for about the memory of its weights again. */
  ownProducts?: boolean;
  /** Folder of what was measured: an ONNX model goes to the runtime that is fastest at it here. */
  measurements?: string;
  /** So many of the last layers of a GGUF model are computed on a GPU; `'all'`: all. None if not given. */
  acceleratorLayers?: number | 'all';
  /** The GPU's name, as llama.cpp has it, such as `Vulkan0`; the first if not given. */
  acceleratorDevice?: string;
  noSymlinks?: boolean;
}

/** What a run has computed so far, a piece of its answer, or its end. */
export type Event =
  | { kind: 'working'; done: number; total: number }
  | { kind: 'text' | 'reasoning'; text: string; tokens: { id: number; logprob?: number }[] }
  | { kind: 'call_piece'; index: number; name: string; arguments: string; tokens: { id: number; logprob?: number }[] }
  | ({ kind: 'tool_call' } & ToolCall)
  | { kind: 'malformed_call'; index: number; text: string; reason: string }
  | {
      kind: 'done';
      finish: 'complete' | 'end_of_text' | 'stop' | 'length' | 'context_full' | 'other';
      stop: string;
      inputTokens: number;
      cachedTokens: number;
      outputTokens: number;
    };

export interface CallOptions {
  /** Ends the call with `CANCELLED`. */
  signal?: AbortSignal;
  timeoutMs?: number;
  /** The caller's own number: it comes back, and feedback names it. */
  id?: number | bigint;
  priority?: 'background' | 'normal' | 'interactive';
}

export interface GenerateOptions extends CallOptions {
  /** 256; `null`: no limit but the context. */
  maxTokens?: number | null;
  stop?: string[];
  seed?: number;
  /** 0 is greedy. */
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repeatPenalty?: number;
  frequencyPenalty?: number;
  presencePenalty?: number;
  penaltyLastN?: number;
  logprobs?: boolean;
  /** The form that the text must have: an answer that ends by itself is of it, the whole of it. */
  grammar?: Grammar;
  /** What the model may call; this, and all up to `separateReasoning`, of a conversation. */
  tools?: Tool[];
  /** `'required'` and a name hold the calls to the schemas. */
  toolChoice?: 'auto' | 'none' | 'required' | { name: string };
  documents?: { title: string; text: string }[];
  /** Of a model that can do either. */
  thinking?: boolean;
  /** Of the chat template. */
  variables?: Record<string, unknown>;
  /** Go on with the last message, the assistant's. */
  continueLast?: boolean;
  /** Part what the model thinks from its answer. */
  separateReasoning?: boolean;
  /** Names of adapters, or names with the scales of their changes. */
  adapters?: string[] | Record<string, number>;
  /** Added to the logits of tokens. */
  bias?: Record<number, number>;
  /** Tokens that never come. */
  ban?: number[];
  /** The likeliest tokens at each place, so many, in the answer's `json`. */
  topLogprobs?: number;
}

/** A function of the app's that the model may call; `parameters` is a JSON Schema of its arguments, an object. */
export interface Tool {
  name: string;
  description?: string;
  parameters?: string | object;
}

/** A call of a tool; its arguments are a JSON object, as its text. */
export interface ToolCall {
  id: string;
  name: string;
  arguments: string;
}

export interface Message {
  role: string;
  content: string;
  reasoning?: string;
  /** Of `'assistant'`: the calls that it made. */
  toolCalls?: ToolCall[];
  /** Of `'tool'`: the call of which it is the result. */
  toolCallId?: string;
}

/** A JSON Schema, as its text or as an object; a regular expression, of Rust's crate regex, for the whole text; or a grammar. */
export type Grammar = { jsonSchema: string | object } | { regex: string } | { lark: string } | { gbnf: string };

/** A text, a conversation by the model's own template, or ids of its vocabulary. */
export type Prompt = string | { messages: Message[] } | { tokens: readonly number[] | Uint32Array };
export type Inputs = Record<string, Tensor | TypedArray | string[]>;

/** What came back. Its arrays look into memory of the library, which is freed when neither they nor the answer are reachable. */
export class Answer implements Disposable {
  readonly outputs: Record<string, Tensor>;
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: ToolCall[];
  /** Text, reasoning, calls, tokens and their log-probabilities, finish, adapters, usage, provenance, id. */
  readonly json: any;
  close(): void;
  [Symbol.dispose](): void;
}

/** A request in flight. `for await` waits on another thread, `for` on this one; leaving the loop early ends the work. */
export class Run implements AsyncIterable<Event>, Iterable<Event>, Disposable {
  [Symbol.asyncIterator](): AsyncIterator<Event>;
  [Symbol.iterator](): Iterator<Event>;
  nextSync(): Event;
  /** The whole answer; pulls what is left. */
  answer(): Promise<Answer>;
  close(): void;
  [Symbol.dispose](): void;
}

/** A loaded model. Any number of requests may be under way at once. */
export class Engine implements Disposable {
  /** What the engine takes, gives, can do and costs. */
  readonly spec: any;
  /** On another thread; inputs must not change until it has ended. */
  run(inputs: Inputs, options?: CallOptions & { outputs?: string[] }): Promise<Answer>;
  runSync(inputs: Inputs, options?: CallOptions & { outputs?: string[] }): Answer;
  /** Puts outputs into arrays of the caller's, and gives their shapes. */
  runInto(inputs: Inputs, outputs: Record<string, TypedArray>, options?: CallOptions): Record<string, number[]>;
  /** Tensors step by step. */
  start(inputs: Inputs, options?: CallOptions & { outputs?: string[] }): Run;
  generate(prompt: Prompt, options?: GenerateOptions): Run;
  /** One output named "embedding", f32 [texts, dimensions], of length 1 unless `normalize` is false. */
  embed(texts: string[], options?: CallOptions & { normalize?: boolean }): Promise<Answer>;
  /** How likely each continuation is: the logarithm of its probability, its tokens, and whether each of them is the likeliest (1). */
  score(
    prompt: Prompt,
    continuations: string[],
    options?: CallOptions & { adapters?: string[] | Record<string, number> },
  ): Promise<{ logprobs: Float32Array; tokens: BigInt64Array; greedy: Uint8Array }>;
  /** How relevant each document is, and their places, the most relevant first. */
  rerank(query: string, documents: string[], options?: CallOptions): Promise<{ scores: Float32Array; order: BigInt64Array }>;
  /** What the engine has computed of prompts, into a file. */
  savePrefixes(path: string): { prefixes: number; tokens: number; bytes: number };
  /** Takes the prefixes of a file; what finds no place is left out. */
  restorePrefixes(path: string): { prefixes: number; tokens: number; bytes: number };
  tokenize(prompt: Prompt): Uint32Array;
  detokenize(tokens: ArrayLike<number>): string;
  render(messages: Message[]): string;
  /** Gives memory back; says how many bytes. */
  trim(level?: 'caches' | 'all'): number;
  close(): void;
  [Symbol.dispose](): void;
}

/** Opens a model; the promise is settled when it is loaded. */
export function open(
  source: Source,
  options?: OpenOptions & { signal?: AbortSignal; onProgress?: (done: number, total: number) => void },
): Promise<Engine>;
export function openSync(source: Source, options?: OpenOptions): Engine;
/** What a model file holds, without opening it. */
export function inspect(source: Source, options?: OpenOptions): any;
/** Throws what opening the model would throw, as far as it can be seen without loading. */
export function validate(source: Source, options?: OpenOptions): void;

/** The folder that answers are recorded in. */
export class Telemetry implements Disposable {
  constructor(
    folder: string,
    limits?: {
      bytes?: number;
      historyBytes?: number;
      segmentBytes?: number;
      lanes?: number;
      slots?: number;
      durability?: 'process' | 'power';
    },
  );
  readonly folder: string;
  readonly status: any;
  close(): void;
  [Symbol.dispose](): void;
}

/** The page of a telemetry folder. */
export function reportHtml(folder: string): string;

export type Column =
  | TypedArray
  | readonly number[]
  | readonly string[]
  | {
      data: TypedArray | readonly number[] | readonly string[];
      source?: 'input' | 'class' | 'confidence' | 'entropy' | 'latency' | 'length';
      /** The numbers are names of categories. */
      category?: boolean;
    };
export interface RowOptions {
  /** A vector a row, one after the other. */
  embeddings?: Float32Array;
  embeddingWidth?: number;
  /** Whether the model was right, a row. */
  right?: readonly boolean[];
}

/** What a model was made for. */
export class Profile implements Disposable {
  static fit(
    columns: Record<string, Column>,
    options?: RowOptions & { bins?: number; categories?: number; seed?: number; block?: number; model?: string },
  ): Profile;
  static decode(bytes: Uint8Array): Profile;
  encode(): Buffer;
  toJSON(): any;
  /** Whether these rows come from the world of the profile. */
  compare(columns: Record<string, Column>, options?: RowOptions): any;
  close(): void;
  [Symbol.dispose](): void;
}

export interface Alert {
  raised: boolean;
  severity: 'warning' | 'critical';
  action: 'check_pipeline' | 'retrain' | 'roll_back';
  kind: string;
  feature: string;
  evidence: string;
  since: number;
  at: number;
}

/** An engine that is watched. `config` is described in `selvedge/monitor.h`. */
export class Monitor implements Disposable {
  constructor(engine: Engine, telemetry: Telemetry, config: Record<string, unknown>, profile?: Profile);
  /** Ask this in the place of the engine. */
  readonly engine: Engine;
  /** Those raised or cleared since they were last asked for. */
  alerts(): Alert[];
  feedback(id: number | bigint, label: { class: number } | { correct: boolean }): 'unknown' | 'steady' | 'suspect' | 'drifted';
  tick(): void;
  closeWindow(): void;
  readonly report: any;
  readonly profile: Profile;
  close(): void;
  [Symbol.dispose](): void;
}

export interface Retry {
  attempts?: number;
  baseMs?: number;
  capMs?: number;
  onMetered?: boolean;
}
export interface Judgement {
  decision: 'accepted' | 'wait' | 'later' | 'split' | 'drop';
  waitMs: number;
  refused: number;
  reason: string;
}

/** What is posted at once. */
export class Batch implements Disposable {
  readonly requests: { path: string; headers: Record<string, string>; body: Buffer }[];
  toJSON(): any;
  close(): void;
  [Symbol.dispose](): void;
}

/** What is to be posted of a telemetry folder. */
export class Outbox implements Disposable {
  constructor(
    telemetry: Telemetry,
    options: {
      app: string;
      appVersion?: string;
      folder?: string;
      attributes?: Record<string, string>;
      intervalMs?: number;
      minCount?: number;
      epsilon?: number;
      encoding?: 'default' | 'identity' | 'gzip' | 'zstd';
      exactCounts?: boolean;
      anyCount?: boolean;
    },
  );
  nextBatch(maxBytes?: number): Batch | null;
  begin(network?: { offline?: boolean; metered?: boolean }, retry?: Retry): Judgement;
  judge(
    batch: Batch,
    index: number,
    attempt: number,
    response: { status: number; contentType?: string; retryAfter?: string; body?: Uint8Array },
    retry?: Retry,
  ): Judgement;
  ack(batch: Batch): void;
  refuse(batch: Batch, refused: number): void;
  split(batch: Batch): boolean;
  bisect(batch: Batch): boolean;
  readonly status: any;
  resetInstallId(): string;
  close(): void;
  [Symbol.dispose](): void;
}

/** Rows of numbers in a safetensors or GGUF file. */
export class Table implements Disposable {
  constructor(source: Source, tensor: string, loading?: 'mapped' | 'read');
  readonly rows: number;
  readonly width: number;
  gather(ids: ArrayLike<number>, out?: Float32Array): Float32Array;
  pool(ids: ArrayLike<number>, options?: { pool?: 'mean' | 'sum'; weights?: ArrayLike<number>; normalize?: boolean }): Float32Array;
  search(query: ArrayLike<number>, k: number): { row: number; score: number }[];
  close(): void;
  [Symbol.dispose](): void;
}

/** Packs an ONNX model into a smaller one, and says what became of it. */
export function pack(
  source: Source,
  to: string,
  options: {
    scheme: 'f16' | 'int8' | 'int4';
    overwrite?: boolean;
    minElements?: number;
    meanBits?: number;
    only?: string[];
    keep?: string[];
    finer?: string[];
    signal?: AbortSignal;
  },
): Promise<any>;

/** The library's version, its features, and the instruction set of its kernels. */
export const version: string;
export const features: string[];
export const kernel: string;
