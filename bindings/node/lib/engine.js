// Engines: loaded models that take requests.

import { Answer } from './answer.js';
import { generateOf, listed, scoreOf } from './generate.js';
import { Handle, cancellable } from './handle.js';
import { call, callAsync, fields, numbers, place, struct, structs, taken, takenJson, text, texted } from './native.js';
import { Run } from './run.js';
import { Tensor, lent, textArray } from './tensor.js';

/** Opens a model: a path, or a source. The promise is settled when it is loaded. */
export function open(source, options = {}) {
  const keep = [];
  const where = sourceOf(source, keep);
  return cancellable(options.signal, async (cancel) => {
    const progress = options.onProgress && new Progress(options.onProgress);
    const how = optionsOf(options, cancel, progress?.handle ?? 0n, keep);
    const out = place();
    try {
      await callAsync('selvedge_engine_open_source', where, how, out);
    } finally {
      progress?.close();
    }
    return new Engine(out[0], keep);
  });
}

/** The same, on this thread. */
export function openSync(source, options = {}) {
  const keep = [];
  const out = place();
  call('selvedge_engine_open_source', sourceOf(source, keep), optionsOf(options, 0n, 0n, keep), out);
  return new Engine(out[0], keep);
}

/** What a model file holds, without opening it. */
export function inspect(source, options = {}) {
  const keep = [];
  return takenJson('selvedge_inspect', sourceOf(source, keep), optionsOf(options, 0n, 0n, keep));
}

/** Throws what opening the model would throw, as far as it can be seen without loading. */
export function validate(source, options = {}) {
  const keep = [];
  call('selvedge_validate', sourceOf(source, keep), optionsOf(options, 0n, 0n, keep));
}

/** A loaded model. Any number of requests may be under way at once. */
export class Engine extends Handle {
  #spec;
  #keep;

  /** `keep` is what the engine goes on reading: the bytes it was opened from. */
  constructor(handle, keep) {
    super(handle, 'selvedge_engine_close');
    this.#keep = keep;
  }

  /** What the engine takes, gives, can do and costs. */
  get spec() {
    if (!this.#spec) {
      const [json, length] = [place(), place()];
      call('selvedge_engine_spec_json', this.handle, json, length);
      this.#spec = JSON.parse(text(json[0], length[0]));
    }
    return this.#spec;
  }

  /** Runs named tensors, typed arrays or `Tensor`s, on another thread. They must not change until it has ended. */
  run(inputs, options = {}) {
    const keep = [this];
    const request = tensorsOf(inputs, options.outputs, keep);
    return cancellable(options.signal, async (cancel) => {
      const out = place();
      const terms = callOf(options, cancel, keep);
      await this.during((engine) => callAsync('selvedge_engine_run', engine, request, terms, out));
      return new Answer(out[0]);
    });
  }

  /** The same, on this thread. */
  runSync(inputs, options = {}) {
    const keep = [];
    const request = tensorsOf(inputs, options.outputs, keep);
    return cancellable(options.signal, (cancel) => {
      const out = place();
      call('selvedge_engine_run', this.handle, request, callOf(options, cancel, keep), out);
      return new Answer(out[0]);
    });
  }

  /** Runs named tensors on this thread, and puts outputs into typed arrays of the caller's: `{ name: array }`. Gives their shapes. */
  runInto(inputs, outputs, options = {}) {
    const keep = [];
    const request = tensorsOf(inputs, undefined, keep);
    const names = Object.keys(outputs);
    const shapes = names.map(() => new BigInt64Array(64));
    const places = structs(
      'selvedge_output',
      names.map((name, i) => ({
        name,
        data: outputs[name],
        capacity: outputs[name].byteLength,
        dims: shapes[i],
        dim_capacity: 64,
        dtype: numbers[`SELVEDGE_${new Tensor(outputs[name]).dtype.toUpperCase()}`],
      })),
      keep,
    );
    return cancellable(options.signal, (cancel) => {
      call('selvedge_engine_run_into', this.handle, request, places, names.length, callOf(options, cancel, keep));
      const size = places.byteLength / Math.max(names.length, 1);
      return Object.fromEntries(
        names.map((name, i) => [name, shapeOf(shapes[i], new DataView(places.buffer, i * size, size))]),
      );
    });
  }

  /** Starts to run tensors, step by step: an iterator of events. */
  start(inputs, options = {}) {
    return this.#started('selvedge_engine_start', (keep) => tensorsOf(inputs, options.outputs, keep), options);
  }

  /** Starts to generate text from a prompt, `{ messages }` or `{ tokens }`: an iterator of events. */
  generate(prompt, options = {}) {
    return this.#started('selvedge_engine_generate', (keep) => generateOf(prompt, options, keep), options);
  }

  #started(name, request, options) {
    const keep = [];
    return new Run(options.signal, this, (cancel) => {
      const out = place();
      call(name, this.handle, request(keep), callOf(options, cancel, keep), out);
      return out[0];
    });
  }

  /** Embeds texts: one output named "embedding", f32 [texts, dimensions]. */
  embed(texts, options = {}) {
    const keep = [this];
    const list = textArray(texts, keep);
    const flags = options.normalize === false ? numbers.SELVEDGE_EMBED_RAW : 0;
    const request = struct('selvedge_embed', { texts: list, text_count: texts.length, flags }, keep);
    return cancellable(options.signal, async (cancel) => {
      const out = place();
      const terms = callOf(options, cancel, keep);
      await this.during((engine) => callAsync('selvedge_engine_embed', engine, request, terms, out));
      return new Answer(out[0]);
    });
  }

  /** How likely each continuation of a prompt is: `{ logprobs, tokens, greedy }`, an element for each. */
  async score(prompt, continuations, options = {}) {
    const keep = [this];
    const { outputs } = await this.#asked('selvedge_engine_score', scoreOf(prompt, continuations, options, keep), options, keep);
    return { logprobs: outputs.logprob.data, tokens: outputs.tokens.data, greedy: outputs.greedy.data };
  }

  /** How well each document answers a query: `{ scores, order }`, the places in `order` with the most relevant first. */
  async rerank(query, documents, options = {}) {
    const keep = [this];
    const list = textArray(documents, keep);
    const request = struct('selvedge_rerank', { query, documents: list, document_count: documents.length }, keep);
    const { outputs } = await this.#asked('selvedge_engine_rerank', request, options, keep);
    return { scores: outputs.score.data, order: outputs.order.data };
  }

  #asked(name, request, options, keep) {
    return cancellable(options.signal, async (cancel) => {
      const out = place();
      const terms = callOf(options, cancel, keep);
      await this.during((engine) => callAsync(name, engine, request, terms, out));
      return new Answer(out[0]);
    });
  }

  /** Writes what the engine has computed of prompts to a file: `{ prefixes, tokens, bytes }`. */
  savePrefixes(path) {
    return this.#kept('selvedge_engine_save_prefixes', path);
  }

  /** Takes the prefixes of a file; what finds no place is left out. */
  restorePrefixes(path) {
    return this.#kept('selvedge_engine_restore_prefixes', path);
  }

  #kept(name, path) {
    const keep = [];
    const told = struct('selvedge_prefixes', {}, keep);
    call(name, this.handle, ...texted(path, keep), told);
    return fields('selvedge_prefixes', told);
  }

  /** The tokens of a prompt or `{ messages }`. */
  tokenize(prompt) {
    const keep = [];
    const found = taken('selvedge_engine_tokenize', this.handle, generateOf(prompt, {}, keep));
    return new Uint32Array(found.buffer.slice(found.byteOffset, found.byteOffset + found.length));
  }

  /** The text of tokens. */
  detokenize(tokens) {
    const ids = Uint32Array.from(tokens);
    return taken('selvedge_engine_detokenize', this.handle, ids, ids.length).toString();
  }

  /** A conversation as the model sees it. */
  render(messages) {
    return taken('selvedge_engine_render', this.handle, generateOf({ messages }, {}, [])).toString();
  }

  /** Gives memory back: `'caches'`, or `'all'`. Says how many bytes. */
  trim(level = 'caches') {
    const freed = place();
    call('selvedge_engine_trim', this.handle, number('TRIM', level), freed);
    return Number(freed[0]);
  }
}

/** How far an open is, looked at now and then. */
class Progress extends Handle {
  #timer;

  constructor(report) {
    const out = place();
    call('selvedge_progress_new', out);
    super(out[0], 'selvedge_progress_free');
    let last = -1;
    this.#timer = setInterval(() => {
      const [done, total] = [place(), place()];
      call('selvedge_progress_read', this.handle, done, total);
      if (Number(done[0]) !== last) report((last = Number(done[0])), Number(total[0]));
    }, 20);
  }

  close() {
    clearInterval(this.#timer);
    super.close();
  }
}

/** A number of the header by its name in JavaScript: `number('BACKEND', 'tract')`. */
export function number(kind, name) {
  const found = numbers[`SELVEDGE_${kind}_${`${name}`.toUpperCase()}`];
  if (found === undefined) throw new TypeError(`expected a ${kind.toLowerCase()}, got ${name}`);
  return found;
}

/** A path, `{ file, offset, length }`, or bytes in memory. */
export function sourceOf(source, keep) {
  if (typeof source === 'string' || source instanceof URL) {
    const path = source instanceof URL ? decodeURIComponent(source.pathname) : source;
    return struct('selvedge_source', { kind: numbers.SELVEDGE_SOURCE_PATH, path }, keep);
  }
  if (ArrayBuffer.isView(source) || source instanceof ArrayBuffer) {
    const data = source instanceof ArrayBuffer ? new Uint8Array(source) : source;
    // The engine keeps `data`, for as long as it is reachable, and what it gave out keeps the engine.
    const fields = { kind: numbers.SELVEDGE_SOURCE_MEMORY, data, data_len: data.byteLength };
    return struct('selvedge_source', fields, keep);
  }
  const { file, offset = 0, length = 0 } = source;
  return struct('selvedge_source', { kind: numbers.SELVEDGE_SOURCE_FILE, file, offset, length }, keep);
}

function optionsOf(options, cancel, progress, keep) {
  const entries = Object.entries(options.sessionEntries ?? {}).map(([name, value]) => ({ name, value }));
  const adapters = Object.entries(options.adapters ?? {}).map(([name, value]) => ({ name, value }));
  const fields = {
    backend: number('BACKEND', options.backend ?? 'auto'),
    loading: number('LOADING', options.loading ?? 'mapped'),
    threads: options.threads,
    context_tokens: options.contextTokens,
    parallel: options.parallel,
    memory_limit: options.memoryLimit,
    sha256: options.sha256 && Buffer.from(options.sha256, 'hex'),
    onnxruntime: options.onnxruntime,
    flags: (options.noSymlinks ? numbers.SELVEDGE_OPTIONS_NO_SYMLINKS : 0)
      | (options.searchPython ? numbers.SELVEDGE_OPTIONS_SEARCH_PYTHON : 0)
      | (options.ownProducts ? numbers.SELVEDGE_OPTIONS_OWN_PRODUCTS : 0),
    cancel,
    progress,
    session_entries: entries.length ? structs('selvedge_pair', entries, keep) : 0n,
    session_entry_count: entries.length,
    prompt_threads: options.promptThreads,
    measurements: options.measurements,
    accelerator_layers: options.acceleratorLayers === 'all' ? numbers.SELVEDGE_ACCELERATOR_ALL : options.acceleratorLayers,
    accelerator_device: options.acceleratorDevice,
    ...listed('adapters', 'adapter_count', 'selvedge_pair', adapters, keep),
  };
  return struct('selvedge_options', fields, keep);
}


function callOf(options, cancel, keep) {
  const fields = {
    cancel,
    timeout_ms: options.timeoutMs,
    id: options.id,
    priority: number('PRIORITY', options.priority ?? 'normal'),
  };
  return struct('selvedge_call', fields, keep);
}

function tensorsOf(inputs, outputs, keep) {
  const list = Object.entries(inputs).map(([name, tensor]) => lent(name, tensor, keep));
  const fields = { inputs: list.length ? structs('selvedge_tensor', list, keep) : 0n, input_count: list.length };
  if (outputs) {
    fields.outputs = textArray(outputs, keep);
    fields.output_count = outputs.length;
  }
  return struct('selvedge_tensors', fields, keep);
}

/** The shape that was written for an output, whose struct ends with its rank and its length. */
function shapeOf(dims, output) {
  const rank = Number(output.getBigUint64(output.byteLength - 16, true));
  return [...dims.subarray(0, rank)].map(Number);
}
