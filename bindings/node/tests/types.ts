// What an app writes, as the compiler of TypeScript sees it.

import { Engine, Monitor, Outbox, Profile, SelvedgeError, Table, Telemetry, Tensor, open } from 'selvedge';

export async function use(path: string): Promise<number> {
  const engine: Engine = await open(path, { backend: 'tract', onProgress: (done, total) => console.log(done / total) });
  const answer = await engine.run({ weather: new Tensor(new Float32Array(4), [1, 4]) }, { signal: AbortSignal.timeout(1000) });
  const { data } = answer.outputs.rain_tomorrow;
  for await (const event of engine.generate({ messages: [{ role: 'user', content: 'Hi' }] }, { maxTokens: null })) {
    if (event.kind === 'text') console.log(event.text, event.tokens[0].logprob?.toFixed(2));
    else if (event.kind === 'done') console.log(event.finish);
  }
  const tools = [{ name: 'clock', parameters: { type: 'object' } }];
  const said = await engine.generate({ messages: [{ role: 'user', content: 'Noon?' }] }, { tools, toolChoice: { name: 'clock' } }).answer();
  const results = said.toolCalls.map(({ id }) => ({ role: 'tool', content: 'yes', toolCallId: id }));
  engine.render([{ role: 'assistant', content: said.text, toolCalls: said.toolCalls }, ...results]);
  const { logprobs } = await engine.score('Noon is at', [' twelve', ' one'], { adapters: { formal: 0.5 } });
  const { order } = await engine.rerank('noon', ['twelve']);
  console.log(logprobs[0].toFixed(2), order[0] === 0n, engine.savePrefixes('kept').tokens);
  // @ts-expect-error: a tool is named in an object
  engine.generate('a', { toolChoice: 'clock' });
  const profile = Profile.fit({ temp: [1, 2], sky: ['clear', 'rain'], wind: { data: new Float64Array(2), source: 'input' } });
  const monitor = new Monitor(engine, new Telemetry('telemetry'), { probe: { kind: 'tokens' } }, profile);
  monitor.alerts().map(({ kind, severity }) => `${kind} ${severity}`);
  // @ts-expect-error: a verdict is a name
  monitor.feedback(1n, { class: 3 }) === 'fine';
  const batch = new Outbox(new Telemetry('telemetry'), { app: 'rain' }).nextBatch();
  batch?.requests.forEach(({ path: where, body }) => console.log(where, body.length));
  try {
    return new Table('words.safetensors', 'embedding').search(new Float32Array(2), 1)[0].row;
  } catch (error) {
    return error instanceof SelvedgeError && error.code === 'NOT_FOUND' ? data.length : -1;
  }
}
