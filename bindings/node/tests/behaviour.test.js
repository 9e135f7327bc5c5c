// What an app may do, and what it must not be able to break.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SelvedgeError, Tensor, features, open, openSync } from 'selvedge';

const repo = process.env.SELVEDGE_REPO;
const rain = join(repo, 'examples/quickstart/rain.onnx');
const corpus = process.env.SELVEDGE_CORPUS;
const gguf = corpus && join(corpus, 'smollm2', process.env.SELVEDGE_GGUF ?? 'SmolLM2-135M-Instruct.Q4_1.gguf');
const text = { skip: !(gguf && existsSync(gguf) && features.includes('llama')) && 'no SELVEDGE_CORPUS' };
const row = () => new Tensor(new Float32Array([10.9, 10.6, 2.8, 4.5]), [1, 4]);

test('an output lives as long as its array, also after its answer was closed', async () => {
  const engine = openSync(rain);
  const answer = engine.runSync({ weather: row() });
  const { data } = answer.outputs.rain_tomorrow;
  const [before] = data;
  answer.close();
  for (let i = 0; i < 50; i += 1) {
    globalThis.gc();
    engine.runSync({ weather: row() }).close();
    await sleep(1);
  }
  assert.equal(data[0], before);
  assert.throws(() => answer.outputs, { code: 'BAD_HANDLE' });
});

test('outputs of the caller are written where they lie', () => {
  const engine = openSync(rain);
  const place = new Float32Array(1);
  const shapes = engine.runInto({ weather: row() }, { rain_tomorrow: place });
  assert.deepEqual(shapes, { rain_tomorrow: [1, 1] });
  assert.equal(place[0], engine.runSync({ weather: row() }).outputs.rain_tomorrow.data[0]);
});

test('bytes that a model was opened from live as long as the engine', async () => {
  let bytes = new Uint8Array(readFileSync(rain));
  const engine = openSync(bytes);
  bytes = undefined;
  globalThis.gc();
  await sleep(5);
  assert.equal(engine.runSync({ weather: row() }).outputs.rain_tomorrow.dims.length, 2);
});

test('misuse throws, and names what is wrong', async () => {
  const engine = openSync(rain);
  assert.throws(() => openSync('no/such.onnx'), (e) => e instanceof SelvedgeError && e.code === 'NOT_FOUND');
  assert.throws(() => openSync(rain, { backend: 'abacus' }), /abacus/);
  const accelerated = { acceleratorLayers: 'all', acceleratorDevice: 'Vulkan0' };
  assert.throws(() => openSync(rain, accelerated), { code: 'UNSUPPORTED', message: /accelerator: only a language model/ });
  assert.throws(() => new Tensor(new Float32Array(3), [2]), /2 elements, got 3/);
  assert.throws(() => new Tensor(new Float32Array(3), [3], 'i32'), /Int32Array, got Float32Array/);
  assert.throws(() => new Tensor([1, 2]), /typed array/);
  assert.throws(() => engine.runSync({ wether: row() }), { code: 'INVALID_ARGUMENT', message: /wether/ });
  assert.throws(() => engine.runSync({ weather: row() }, { id: 1.5 }), /whole number/);
  assert.throws(() => engine.runSync({ weather: row() }, { id: -1 }), /expected 0/);
  await assert.rejects(engine.run({ weather: new Int32Array(4) }), { code: 'INVALID_ARGUMENT' });
  engine.close();
  engine.close();
  assert.throws(() => engine.spec, { code: 'BAD_HANDLE' });
  assert.throws(() => engine.runSync({ weather: row() }), { code: 'BAD_HANDLE' });
});

test('closing an engine lets its calls end', async () => {
  const engine = openSync(rain);
  const calls = Array.from({ length: 8 }, () => engine.run({ weather: row() }));
  engine.close();
  for (const answer of await Promise.all(calls)) assert.equal(answer.outputs.rain_tomorrow.data.length, 1);
});

test('ten thousand calls leave nothing behind', async () => {
  const engine = openSync(rain);
  const pass = async (times) => {
    for (let i = 0; i < times; i += 1) engine.runSync({ weather: row() }).close();
    globalThis.gc();
    await sleep(20);
    globalThis.gc();
    return process.memoryUsage().rss;
  };
  await pass(2000);
  const before = await pass(2000);
  const after = await pass(10000);
  assert.ok(after - before < 24 << 20, `grew by ${(after - before) >> 10} KiB`);
});

test('a stream is left after three texts', text, async () => {
  const engine = await open(gguf);
  let texts = 0;
  for await (const event of engine.generate('Once upon a time', { maxTokens: 400 })) {
    if (event.kind === 'text' && (texts += 1) === 3) break;
  }
  assert.equal(texts, 3);
  // A plain loop does the same on this thread.
  for (const event of engine.generate('Once upon a time', { maxTokens: 400 })) if (event.kind === 'text') break;
  const answer = await engine.generate('The capital of France is', { maxTokens: 2 }).answer();
  assert.match(answer.text, /^ Paris/);
});

test('a signal ends a stream, before and while it runs', text, async () => {
  const engine = await open(gguf);
  const controller = new AbortController();
  const stream = engine.generate('Once upon a time', { maxTokens: 2000, signal: controller.signal });
  await assert.rejects(
    (async () => {
      for await (const event of stream) if (event.kind === 'text') controller.abort();
    })(),
    { code: 'CANCELLED' },
  );
  assert.throws(() => engine.generate('Hi', { signal: AbortSignal.abort() }).nextSync(), { code: 'CANCELLED' });
  await assert.rejects(engine.generate('Once upon a time', { maxTokens: 4000, timeoutMs: 20 }).answer(), {
    code: 'DEADLINE_EXCEEDED',
  });
});

test('a stream that is closed while it computes ends, and so does one whose engine is closed', text, async () => {
  const engine = await open(gguf);
  const stream = engine.generate('Once upon a time', { maxTokens: 2000 });
  const iterator = stream[Symbol.asyncIterator]();
  await iterator.next();
  const pending = iterator.next();
  stream.close();
  await pending.catch((error) => assert.match(error.code, /CANCELLED|BAD_HANDLE/));
  await iterator.next().then(
    ({ done }) => assert.ok(done),
    (error) => assert.match(error.code, /CANCELLED|BAD_HANDLE/),
  );
  const last = engine.generate('The capital of France is', { maxTokens: 2 });
  engine.close();
  assert.match((await last.answer()).text, /^ Paris/);
});

test('the README does as it says', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-readme-'));
  const blocks = [...readFileSync(join('node_modules/selvedge/README.md'), 'utf8').matchAll(/```js\n([\s\S]*?)```/g)];
  const [answer, alert] = blocks.map(([, code]) => code);
  assert.ok(answer.trim().split('\n').length <= 10 && alert.trim().split('\n').filter((l) => l && !l.startsWith('import')).length <= 10);
  cpSync(rain, join(folder, 'rain.onnx'));
  const rows = JSON.parse(readFileSync(join(repo, 'bindings/conformance/rows.json'), 'utf8'));
  writeFileSync(join(folder, 'weather.js'), `export const home = ${JSON.stringify(rows.made_for)};\nexport const away = ${JSON.stringify(rows.away)};\n`);
  symlinkSync(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'app.mjs'), `${answer}\n${alert}`);
  const said = execFileSync(process.execPath, ['app.mjs'], { cwd: folder, encoding: 'utf8' });
  const promised = [...`${answer}${alert}`.matchAll(/\/\/ (0\.\d+|alert: .*)$/gm)].map(([, line]) => line);
  assert.equal(promised.length, 2);
  for (const line of promised) assert.ok(said.split('\n').includes(line), `expected ${line}, got ${said}`);
});
