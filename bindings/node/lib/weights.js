// Tables of vectors in a weight file.

import { number, sourceOf } from './engine.js';
import { Handle } from './handle.js';
import { call, numbers, place, texted } from './native.js';

/** Rows of numbers in a safetensors or GGUF file. */
export class Table extends Handle {
  #keep;

  constructor(source, tensor, loading = 'mapped') {
    const keep = [];
    const out = place();
    call('selvedge_table_open', sourceOf(source, keep), ...texted(tensor, keep), number('LOADING', loading), out);
    super(out[0], 'selvedge_table_free');
    this.#keep = keep;
    const [rows, width] = [place(), place()];
    call('selvedge_table_shape', this.handle, rows, width);
    this.rows = Number(rows[0]);
    this.width = Number(width[0]);
  }

  /** The rows of ids, one after the other, as f32; into `out` if it is given. */
  gather(ids, out = new Float32Array(ids.length * this.width)) {
    const list = Uint32Array.from(ids);
    call('selvedge_table_gather', this.handle, list, list.length, out, out.length);
    return out;
  }

  /** The mean or sum of the rows of ids. */
  pool(ids, { pool = 'mean', weights, normalize = false } = {}) {
    const list = Uint32Array.from(ids);
    const factors = weights ? Float32Array.from(weights) : null;
    if (factors && factors.length !== list.length) {
      throw new RangeError(`weights: expected ${list.length}, as many as ids, got ${factors.length}`);
    }
    const out = new Float32Array(this.width);
    const flags = normalize ? numbers.SELVEDGE_POOL_NORMALIZE : 0;
    call('selvedge_table_pool', this.handle, list, list.length, number('POOL', pool), factors, flags, out, out.length);
    return out;
  }

  /** The `k` rows whose inner product with the query is greatest: `[{ row, score }]`, best first. */
  search(query, k) {
    const vector = Float32Array.from(query);
    const most = Math.min(k, this.rows);
    const hits = new ArrayBuffer(8 * most);
    const found = place();
    call('selvedge_table_search', this.handle, vector, vector.length, most, new Uint8Array(hits), found);
    const [rows, scores] = [new Uint32Array(hits), new Float32Array(hits)];
    return Array.from({ length: Number(found[0]) }, (_, i) => ({ row: rows[2 * i], score: scores[2 * i + 1] }));
  }
}
