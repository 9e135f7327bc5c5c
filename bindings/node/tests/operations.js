// The operations of the conformance cases, by their names.

import { createHash } from 'node:crypto';
import { closeSync, openSync as openFile, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import * as selvedge from 'selvedge';

const ARRAYS = {
  f32: Float32Array, f64: Float64Array, i8: Int8Array, u8: Uint8Array, i16: Int16Array, u16: Uint16Array, i32: Int32Array,
  u32: Uint32Array, i64: BigInt64Array, u64: BigUint64Array, bool: Uint8Array, f16: Uint16Array, bf16: Uint16Array,
};

const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
const camels = (options = {}) => Object.fromEntries(Object.entries(options).map(([name, value]) => [camel(name), value]));

export const operations = {
  open({ path, options: { cancel, ...options } = {} }, run) {
    return selvedge.open(path, { ...camels(options), signal: cancel && run.get(cancel).signal });
  },
  open_bytes: ({ path, options }) => selvedge.openSync(readFileSync(path), camels(options)),
  open_file(step, run) {
    const model = readFileSync(step.path);
    const path = join(run.tmp, `part-${Math.random()}`);
    const before = step.prefix ?? 0;
    writeFileSync(path, Buffer.concat([Buffer.alloc(before), model]));
    const file = openFile(path);
    try {
      return selvedge.openSync({ file, offset: before, length: before ? model.length : 0 }, camels(step.options));
    } finally {
      closeSync(file);
    }
  },
  inspect: ({ path }) => selvedge.inspect(path),
  validate: ({ path }) => selvedge.validate(path),
  spec: (step, run) => run.get(step.engine).spec,
  trim: (step, run) => run.get(step.engine).trim(step.level),
  close(step, run) {
    const closed = run.get(step.what);
    closed.close?.();
    closed.close?.();
  },
  cancel(step) {
    const cancel = new AbortController();
    if (step.set) cancel.abort();
    return cancel;
  },
  async run(step, run) {
    if (step.into) return into(step, run);
    const signal = signalOf(step, run);
    const answer = await run.get(step.engine).run(inputs(step), { ...terms(step), signal });
    return outputs(answer, step);
  },
  async start(step, run) {
    const started = run.get(step.engine).start(inputs(step), { ...terms(step), signal: signalOf(step, run) });
    let last;
    for await (const event of started) last = event;
    if (last.kind !== 'done') throw new Error(`the last event is ${last.kind}`);
    return outputs(await started.answer(), step);
  },
  generate,
  async embed(step, run) {
    const answer = await run.get(step.engine).embed(step.texts, { normalize: !step.raw });
    const { dims, data } = answer.outputs.embedding;
    return { shape: dims, data };
  },
  async score(step, run) {
    return run.get(step.engine).score(prompt(step), step.continuations, { adapters: step.adapters });
  },
  rerank: (step, run) => run.get(step.engine).rerank(step.query, step.documents),
  save_prefixes: (step, run) => run.get(step.engine).savePrefixes(step.path),
  restore_prefixes: (step, run) => run.get(step.engine).restorePrefixes(step.path),
  tokenize: (step, run) => run.get(step.engine).tokenize(prompt(step)),
  detokenize: (step, run) => run.get(step.engine).detokenize(step.tokens),
  render: (step, run) => run.get(step.engine).render(step.messages),

  telemetry: ({ path }) => new selvedge.Telemetry(path),
  telemetry_status: (step, run) => run.get(step.telemetry).status,
  story: ({ path }) => selvedge.reportHtml(path),
  fit(step, run) {
    const { bins, block, seed, sha256 } = step;
    return selvedge.Profile.fit(columns(step, run), { bins, block, seed, model: sha256 });
  },
  encode(step, run) {
    const bytes = run.get(step.profile).encode();
    if (step.path) writeFileSync(step.path, bytes);
    return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  },
  decode: ({ path }) => selvedge.Profile.decode(readFileSync(path)),
  profile_json: (step, run) => run.get(step.profile).toJSON(),
  compare: (step, run) => run.get(step.profile).compare(columns(step, run)),

  monitor(step, run) {
    const profile = step.profile && run.get(step.profile);
    const monitor = new selvedge.Monitor(run.get(step.engine), run.get(step.telemetry), step.config, profile);
    run.keep(step.engine_as, monitor.engine);
    return monitor;
  },
  run_rows(step, run) {
    rowsOf(step, run).forEach((row, i) => {
      const tensor = new selvedge.Tensor(Float32Array.from(row), [1, row.length]);
      run.get(step.engine).runSync({ [step.input]: tensor }, { id: step.first_id + i }).close();
    });
  },
  feedback(step, run) {
    const verdicts = [];
    let id = step.first_id;
    for (const [value, times] of step.values) {
      for (let i = 0; i < times; i += 1, id += 1) {
        const label = step.label === 'class' ? { class: value } : { correct: value === 1 };
        const verdict = run.get(step.monitor).feedback(id, label);
        if (verdicts.at(-1)?.[0] === verdict) verdicts.at(-1)[1] += 1;
        else verdicts.push([verdict, 1]);
      }
    }
    return verdicts;
  },
  tick: (step, run) => run.get(step.monitor).tick(),
  close_window: (step, run) => run.get(step.monitor).closeWindow(),
  alerts(step, run) {
    const alerts = run.get(step.monitor).alerts().filter(({ feature }) => feature !== 'latency');
    return alerts.map(({ raised, ...alert }) => ({ event: raised ? 'raised' : 'cleared', ...alert }));
  },
  report: (step, run) => run.get(step.monitor).report,
  monitor_profile: (step, run) => run.get(step.monitor).profile,

  outbox: (step, run) => new selvedge.Outbox(run.get(step.telemetry), { folder: step.path, ...camels(step.options) }),
  outbox_status: (step, run) => run.get(step.outbox).status,
  reset_install_id: (step, run) => run.get(step.outbox).resetInstallId(),
  begin: (step, run) => judged(run.get(step.outbox).begin(flags(step.network), camels(step.retry))),
  judge(step, run) {
    const { status, content_type, retry_after, body } = step.response;
    const response = { status, contentType: content_type, retryAfter: retry_after, body: body && Buffer.from(body) };
    return judged(run.get(step.outbox).judge(run.get(step.batch), step.index, step.attempt, response, camels(step.retry)));
  },
  batch(step, run) {
    const batch = run.get(step.outbox).nextBatch(step.max_bytes);
    if (!batch) return null;
    const value = described(batch);
    if (step.same_as) run.equal(value, described(run.get(step.same_as)));
    run.show(value);
    return batch;
  },
  ack: (step, run) => run.get(step.outbox).ack(run.get(step.batch)),
  refuse: (step, run) => run.get(step.outbox).refuse(run.get(step.batch), step.refused),
  split: (step, run) => run.get(step.outbox).split(run.get(step.batch)),
  bisect: (step, run) => run.get(step.outbox).bisect(run.get(step.batch)),

  table(step, run) {
    const table = new selvedge.Table(step.path, step.tensor);
    run.show({ rows: table.rows, width: table.width });
    return table;
  },
  gather: (step, run) => run.get(step.table).gather(step.ids),
  pool: (step, run) => run.get(step.table).pool(step.ids, { pool: step.pool, normalize: step.normalize }),
  search: (step, run) => run.get(step.table).search(step.query, step.k).map(({ row, score }) => [row, score]),
  pack: ({ path, to, scheme, min_elements }) => selvedge.pack(path, to, { scheme, minElements: min_elements }),
};

async function generate(step, run) {
  const engine = run.get(step.engine);
  const names = ['max_tokens', 'seed', 'temperature', 'top_k', 'top_p', 'min_p', 'repeat_penalty', 'stop'];
  const options = { ...terms(step), signal: signalOf(step, run) };
  for (const name of names) options[camel(name)] = step[name];
  for (const [kind, form] of Object.entries(step.grammar ?? {})) options.grammar = { [camel(kind)]: form };
  const terms_ = ['tools', 'documents', 'thinking', 'variables', 'continue_last', 'separate_reasoning', 'adapters', 'ban', 'logprobs', 'top_logprobs'];
  for (const name of terms_) options[camel(name)] = step[name];
  options.bias = Object.fromEntries(step.bias ?? []);
  options.toolChoice = step.tool_name ? { name: step.tool_name } : step.tool_choice;
  const cancel = step.cancel_after_texts && new AbortController();
  const stream = engine.generate(prompt(step), { ...options, signal: cancel?.signal ?? options.signal });
  const [texts, tokens, calls] = [[], [], []];
  let done;
  for await (const event of stream) {
    if (event.kind === 'done') done = event;
    if (event.tokens) tokens.push(...event.tokens.map(({ id }) => id));
    if (event.kind === 'tool_call') calls.push({ id: event.id, name: event.name, arguments: event.arguments });
    if (event.kind !== 'text') continue;
    texts.push(event.text);
    if (texts.length === step.cancel_after_texts) cancel.abort();
    if (texts.length === step.take) return null;
  }
  const answer = await stream.answer();
  const whole = await engine.generate(prompt(step), options).answer();
  run.equal(texts.join(''), answer.text);
  run.equal(answer.text, whole.text);
  run.equal(calls, answer.toolCalls);
  run.equal(calls, whole.toolCalls);
  run.equal(tokens, answer.json.tokens.map((token) => token.id ?? token));
  run.answer(answer.json, step);
  return { text: texts.join(''), tool_calls: calls, finish: done.finish, stop: done.stop || null, output_tokens: done.outputTokens };
}

const prompt = ({ prompt: text, messages, tokens }) => text ?? (messages ? { messages: messages.map(camels) } : { tokens });
const terms = ({ id, timeout_ms, outputs: names }) => ({ id, timeoutMs: timeout_ms, outputs: names });
const flags = (names = []) => Object.fromEntries(names.map((name) => [name, true]));
const judged = ({ decision, waitMs, refused, reason }) => ({ decision, wait_ms: waitMs, refused, reason });

function signalOf(step, run) {
  if (step.cancel_after_ms !== undefined) return AbortSignal.timeout(step.cancel_after_ms);
  return step.cancel && run.get(step.cancel).signal;
}

function inputs(step) {
  const tensors = step.inputs.map(({ name, dtype, shape, data, fill }) => {
    if (dtype === 'string') return [name, new selvedge.Tensor(data, shape, dtype)];
    const elements = data ?? new Array(shape.reduce((product, dim) => product * dim, 1)).fill(fill);
    const wide = dtype === 'i64' || dtype === 'u64';
    return [name, new selvedge.Tensor(ARRAYS[dtype].from(elements, wide ? BigInt : Number), shape, dtype)];
  });
  return Object.fromEntries(tensors);
}

function outputs(answer, step) {
  step.run.answer(answer.json, step);
  return Object.entries(answer.outputs).map(([name, { dtype, dims, data }]) => ({ name, dtype, shape: dims, data }));
}

/** Into memory that is as large as expected, and refused where it is a byte too small. */
function into(step, run) {
  const { name, dtype, shape, data } = step.expect[0];
  const array = new ARRAYS[dtype](data.length);
  const engine = run.get(step.engine);
  run.fails('INVALID_ARGUMENT', () => engine.runInto(inputs(step), { [name]: new ARRAYS[dtype](data.length - 1) }, terms({})));
  const shapes = engine.runInto(inputs(step), { [name]: array }, terms({}));
  run.equal(shapes[name], shape);
  return [{ name, dtype, shape: shapes[name], data: array }];
}

function rowsOf({ rows, from, to }, run) {
  return run.tables[rows].slice(from, to);
}

function columns(step, run) {
  const rows = rowsOf(step, run);
  return Object.fromEntries(run.tables.columns.map((name, i) => [name, Float32Array.from(rows, (row) => row[i])]));
}

function described(batch) {
  const requests = batch.requests.map(({ path, headers, body }) => ({
    path,
    content_type: headers['content-type'],
    content_encoding: headers['content-encoding'] ?? '',
    body: headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body,
  }));
  return { requests, json: batch.toJSON() };
}
