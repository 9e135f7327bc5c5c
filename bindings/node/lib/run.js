// Runs: requests in flight, pulled event by event.

import { Answer } from './answer.js';
import { Cancel, Handle } from './handle.js';
import { call, callAsync, f32At, numbers, offsets, place, struct, text, u32At } from './native.js';

const FINISH = new Map(
  Object.entries(numbers)
    .filter(([name]) => name.startsWith('SELVEDGE_FINISH_'))
    .map(([name, number]) => [number, name.slice('SELVEDGE_FINISH_'.length).toLowerCase()]),
);

const AT = offsets('selvedge_event');

/** A request in flight: an iterator of events, `for await` or `for`. Leaving the loop early ends the work. */
export class Run extends Handle {
  #engine;
  #event = struct('selvedge_event', {}, []);
  #fields = new DataView(this.#event.buffer);
  #cancel;
  #unlisten;
  #state = 'running';

  constructor(signal, engine, start) {
    const cancel = new Cancel();
    if (signal?.aborted) cancel.set();
    try {
      super(start(cancel.handle), 'selvedge_run_free');
    } catch (error) {
      cancel.close();
      throw error;
    }
    this.#cancel = cancel;
    this.#engine = engine;
    const set = () => cancel.set();
    signal?.addEventListener('abort', set, { once: true });
    this.#unlisten = () => signal?.removeEventListener('abort', set);
  }

  async *[Symbol.asyncIterator]() {
    try {
      while (this.#state === 'running') yield await this.#next();
    } finally {
      this.#leave();
    }
  }

  *[Symbol.iterator]() {
    try {
      while (this.#state === 'running') yield this.nextSync();
    } finally {
      this.#leave();
    }
  }

  /** The next event, on this thread. */
  nextSync() {
    try {
      call('selvedge_run_next', this.handle, this.#event);
    } catch (error) {
      throw this.#failed(error);
    }
    return this.brought();
  }

  async #next() {
    try {
      return await this.during(async (run) => {
        await callAsync('selvedge_run_next', run, this.#event);
        return this.brought();
      });
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** The whole answer, once the run is done; pulls what is left. */
  async answer() {
    while (this.#state === 'running') await this.#next();
    const out = place();
    call('selvedge_run_answer', this.handle, out);
    return new Answer(out[0]);
  }

  /** Ends the run; a step under way ends with `CANCELLED`. */
  close() {
    this.#unlisten?.();
    this.#cancel?.set();
    this.#cancel?.close();
    super.close();
  }

  #leave() {
    if (this.#state === 'running') this.close();
  }

  #failed(error) {
    this.#state = 'failed';
    this.#unlisten();
    return error;
  }

  /** The event that the last step has brought, as an object. Not of the package: `bench.js` measures it. */
  brought() {
    switch (this.#fields.getInt32(AT.kind, true)) {
      case numbers.SELVEDGE_EVENT_WORKING:
        return { kind: 'working', done: this.#count(AT.done), total: this.#count(AT.total) };
      case numbers.SELVEDGE_EVENT_TEXT:
        return { kind: 'text', text: this.#text(), tokens: this.#tokens() };
      case numbers.SELVEDGE_EVENT_REASONING:
        return { kind: 'reasoning', text: this.#text(), tokens: this.#tokens() };
      case numbers.SELVEDGE_EVENT_CALL_PIECE:
        return { kind: 'call_piece', index: this.#count(AT.index), name: this.#at('name'), arguments: this.#text(), tokens: this.#tokens() };
      case numbers.SELVEDGE_EVENT_TOOL_CALL:
        return { kind: 'tool_call', id: this.#at('id'), name: this.#at('name'), arguments: this.#text() };
      case numbers.SELVEDGE_EVENT_MALFORMED_CALL:
        return { kind: 'malformed_call', index: this.#count(AT.index), text: this.#text(), reason: this.#at('reason') };
      default:
        this.#state = 'done';
        this.#unlisten();
        return {
          kind: 'done',
          finish: FINISH.get(this.#fields.getInt32(AT.finish, true)) ?? 'other',
          stop: this.#text(),
          inputTokens: this.#count(AT.input_tokens),
          cachedTokens: this.#count(AT.cached_tokens),
          outputTokens: this.#count(AT.output_tokens),
        };
    }
  }

  #count(at) {
    return Number(this.#fields.getBigUint64(at, true));
  }

  #text() {
    return this.#at('text');
  }

  /** A text of the event, by the field's name. */
  #at(field) {
    return text(this.#fields.getBigUint64(AT[field], true), this.#count(AT[`${field}_len`]));
  }

  #tokens() {
    const tokens = [];
    const first = this.#fields.getBigUint64(AT.tokens, true);
    for (let i = 0, count = this.#count(AT.token_count); i < count; i += 1) {
      const token = first + BigInt(i * 8);
      const logprob = f32At(token + 4n);
      tokens.push({ id: u32At(token), logprob: Number.isNaN(logprob) ? undefined : logprob });
    }
    return tokens;
  }
}
