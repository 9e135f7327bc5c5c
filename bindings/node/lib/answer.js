// Answers: what came back, read where it lies.

import { call, fields, numbers, place, plain, SelvedgeError, struct, text } from './native.js';
import { described } from './tensor.js';

/** What came back of a request. Its arrays look into memory of the library, which is freed when neither they nor it are reachable. */
export class Answer {
  #held;
  #outputs;
  #json;

  constructor(handle) {
    this.#held = new Held(handle);
    unreachable.register(this, this.#held, this);
  }

  /** The output tensors by name, in the model's order. */
  get outputs() {
    return (this.#outputs ??= this.#open().outputs());
  }

  /** The text of a generation. */
  get text() {
    return this.json.text;
  }

  /** What the model thought, if `separateReasoning` asked for it. */
  get reasoning() {
    return this.json.reasoning;
  }

  /** The calls of tools: `[{ id, name, arguments }]`. */
  get toolCalls() {
    return this.json.tool_calls;
  }

  /** Text, reasoning, calls, tokens and their log-probabilities, finish, adapters, usage and provenance. */
  get json() {
    return (this.#json ??= this.#open().json());
  }

  /** Lets go of it. Arrays of it that are still in use stay valid. */
  close() {
    if (!this.#held) return;
    unreachable.unregister(this);
    this.#held.release();
    this.#held = undefined;
    this.#outputs = undefined;
  }

  [Symbol.dispose]() {
    this.close();
  }

  #open() {
    if (!this.#held) {
      throw new SelvedgeError(numbers.SELVEDGE_ERR_BAD_HANDLE, 'Answer: used after it was closed');
    }
    return this.#held;
  }
}

/** The handle of an answer, counted: by the answer, and by each array that looks into it. */
class Held {
  #handle;
  #users = 1;

  constructor(handle) {
    this.#handle = handle;
  }

  outputs() {
    const count = place();
    call('selvedge_answer_output_count', this.#handle, count);
    const outputs = {};
    for (let index = 0; index < Number(count[0]); index += 1) {
      const tensor = struct('selvedge_tensor', {}, []);
      call('selvedge_answer_output', this.#handle, index, tensor);
      const { name, tensor: output, memory } = described(fields('selvedge_tensor', tensor));
      if (memory) {
        this.#users += 1;
        unreachable.register(memory, this);
      }
      outputs[name] = output;
    }
    return outputs;
  }

  json() {
    const [json, length] = [place(), place()];
    call('selvedge_answer_json', this.#handle, json, length);
    return JSON.parse(text(json[0], length[0]));
  }

  release() {
    this.#users -= 1;
    if (this.#users === 0) plain('selvedge_answer_free', this.#handle);
  }
}

const unreachable = new FinalizationRegistry((held) => held.release());
