// Handles: objects of the library, freed when they are closed or no longer reachable.

import { call, numbers, place, plain, SelvedgeError } from './native.js';

const registry = new FinalizationRegistry(({ free, handle }) => plain(free, handle));

/** An object of the library. Closing it twice is harmless; using it after that is an error. */
export class Handle {
  #handle;
  #free;
  #pending = 0;
  #closed = false;

  constructor(handle, free) {
    this.#handle = handle;
    this.#free = free;
    registry.register(this, { free, handle }, this);
  }

  /** Its handle, for a call. */
  get handle() {
    if (this.#closed) {
      throw new SelvedgeError(numbers.SELVEDGE_ERR_BAD_HANDLE, `${this.constructor.name}: used after it was closed`);
    }
    return this.#handle;
  }

  get closed() {
    return this.#closed;
  }

  /** Makes a call on another thread, for whose time the object is not freed. */
  async during(body) {
    const handle = this.handle;
    this.#pending += 1;
    try {
      return await body(handle);
    } finally {
      this.#pending -= 1;
      if (this.#closed) this.#give();
    }
  }

  /** Gives back what it holds, as soon as calls under way have ended. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#give();
  }

  #give() {
    if (this.#pending > 0) return;
    registry.unregister(this);
    plain(this.#free, this.#handle);
  }

  [Symbol.dispose]() {
    this.close();
  }
}

/** Runs `body` with a cancel switch that `signal` sets; with 0 where there is no signal. */
export function cancellable(signal, body) {
  if (!signal) return body(0n);
  const cancel = new Cancel();
  const set = () => cancel.set();
  if (signal.aborted) set();
  else signal.addEventListener('abort', set, { once: true });
  const end = () => {
    signal.removeEventListener('abort', set);
    cancel.close();
  };
  return ended(() => body(cancel.handle), end);
}

/** Calls `end` when `body` has returned, thrown, or its promise is settled. */
function ended(body, end) {
  let result;
  try {
    result = body();
  } catch (error) {
    end();
    throw error;
  }
  if (typeof result?.then !== 'function') {
    end();
    return result;
  }
  return result.finally(end);
}


/** A switch that ends calls. */
export class Cancel extends Handle {
  constructor() {
    const out = place();
    call('selvedge_cancel_new', out);
    super(out[0], 'selvedge_cancel_free');
  }

  set() {
    if (!this.closed) plain('selvedge_cancel_set', this.handle);
  }
}
