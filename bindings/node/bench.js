// What a call costs: `node bench.js` in a folder where the package is installed; prints `RATIO name value <=bar` lines.
// Rounds of both sides alternate, and the median of their differences is taken.

import { Tensor, openSync } from 'selvedge';
import { call, place, plain, struct } from './node_modules/selvedge/lib/native.js';

const [model, gguf] = process.argv.slice(2);
const ROUNDS = 15;

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const now = () => Number(process.hrtime.bigint());

/** Nanoseconds that `body` takes more than `empty`, a time. */
function nanoseconds(times, body, empty = () => {}) {
  const differences = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const spans = [empty, body].map((side) => {
      const begun = now();
      for (let i = 0; i < times; i += 1) side();
      return (now() - begun) / times;
    });
    if (round > 0) differences.push(spans[1] - spans[0]);
  }
  return median(differences);
}

const cancel = place();
call('selvedge_cancel_new', cancel);
const report = (name, value, bar) => console.log(`RATIO ${name} ${value.toFixed(1)} <=${bar}`);
report('node_call_ns', nanoseconds(100000, () => plain('selvedge_cancel_set', cancel[0])), 500);

const engine = openSync(model);
const weather = new Tensor(new Float32Array([10.9, 10.6, 2.8, 4.5]), [1, 4]);
const out = new Float32Array(1);
if (!(engine.runInto({ weather }, { rain_tomorrow: out }).rain_tomorrow.length === 2 && out[0] > 0.5)) throw new Error(`wrong: ${out}`);
console.log(`a run into an array of the caller's: ${(nanoseconds(2000, () => engine.runInto({ weather }, { rain_tomorrow: out })) / 1000).toFixed(1)} us`);

if (gguf) {
  // What is made of an event of text: the event is read again and again from where the run has left it.
  const run = openSync(gguf).generate('Once upon a time', { maxTokens: 8 });
  let event;
  do event = run.nextSync();
  while (event.kind !== 'text');
  if (run.brought().text !== event.text) throw new Error(`wrong: ${run.brought().text}`);
  report('node_token_us', nanoseconds(20000, () => run.brought()) / 1000, 2);
  run.close();
}
