// Profiles: what a model was made for.

import { number } from './engine.js';
import { Handle } from './handle.js';
import { call, numbers, place, struct, structs, taken, takenJson } from './native.js';
import { Tensor, textArray } from './tensor.js';

/** The distributions that a model was made for. */
export class Profile extends Handle {
  constructor(handle) {
    super(handle, 'selvedge_profile_free');
  }

  /** Fits a profile to the rows a model was made for: columns by name, as typed arrays, arrays of strings, or `{ data, source, category }`. */
  static fit(columns, options = {}) {
    const keep = [];
    const fit = struct(
      'selvedge_fit',
      {
        bins: options.bins,
        categories: options.categories,
        seed: options.seed,
        block: options.block,
        sha256: options.model && Buffer.from(options.model, 'hex'),
      },
      keep,
    );
    const out = place();
    call('selvedge_profile_fit', rowsOf(columns, options, keep), fit, out);
    return new Profile(out[0]);
  }

  /** Reads a profile from the bytes that `encode` gave. */
  static decode(bytes) {
    const out = place();
    call('selvedge_profile_decode', bytes, bytes.byteLength, out);
    return new Profile(out[0]);
  }

  /** The profile as bytes, for a file beside the model. */
  encode() {
    return taken('selvedge_profile_encode', this.handle);
  }

  /** What the profile holds. */
  toJSON() {
    return takenJson('selvedge_profile_json', this.handle);
  }

  /** Whether these rows come from the world of the profile. */
  compare(columns, options = {}) {
    return takenJson('selvedge_profile_compare', this.handle, rowsOf(columns, options, []));
  }
}

function rowsOf(columns, { embeddings, embeddingWidth, right }, keep) {
  const list = Object.entries(columns).map(([name, column]) => columnOf(name, column, keep));
  const counts = new Set(list.map(({ count }) => count));
  if (embeddings) counts.add(embeddings.length / embeddingWidth);
  if (right) counts.add(right.length);
  if (counts.size > 1) throw new RangeError(`columns: expected the same number of rows in all, got ${[...counts]}`);
  const fields = {
    columns: list.length ? structs('selvedge_column', list.map(({ fields }) => fields), keep) : 0n,
    column_count: list.length,
    row_count: [...counts][0] ?? 0,
    embeddings: embeddings ?? 0n,
    embedding_width: embeddingWidth,
    right: right ? Uint8Array.from(right, Number) : 0n,
  };
  return struct('selvedge_rows', fields, keep);
}

function columnOf(name, column, keep) {
  const { data, source = 'input', category = false } = ArrayBuffer.isView(column) || Array.isArray(column)
    ? { data: column }
    : column;
  const numeric = Array.isArray(data) && data.every((value) => typeof value === 'number');
  const values = numeric ? Float64Array.from(data) : data;
  const { dtype } = new Tensor(values);
  const fields = {
    name,
    data: dtype === 'string' ? textArray(values, keep) : values,
    dtype: numbers[`SELVEDGE_${dtype.toUpperCase()}`],
    source: number('FEATURE', source),
    flags: category ? numbers.SELVEDGE_COLUMN_CATEGORY : 0,
  };
  return { count: values.length, fields };
}
