// Tensors: typed arrays with a shape, in both directions without a copy.

import { address, bytes, numbers, structs, view } from './native.js';

const TYPES = {
  f32: Float32Array,
  f64: Float64Array,
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  // No array of JavaScript's holds these: their bits, and bytes of 0 and 1.
  f16: Uint16Array,
  bf16: Uint16Array,
  bool: Uint8Array,
};
const BY_NUMBER = new Map(
  [...Object.keys(TYPES), 'string'].map((name) => [numbers[`SELVEDGE_${name.toUpperCase()}`], name]),
);

/** A tensor: `dtype`, `dims` (outermost first) and `data`, a typed array, or an array of strings. */
export class Tensor {
  constructor(data, dims, dtype) {
    this.dtype = dtype ?? dtypeOf(data);
    this.data = data;
    this.dims = dims ? [...dims] : [data.length];
    const type = TYPES[this.dtype];
    if (this.dtype !== 'string' && !(type && data instanceof type)) {
      throw new TypeError(`a tensor of ${this.dtype}: expected ${type?.name ?? 'a dtype that there is'}, got ${data?.constructor?.name}`);
    }
    const elements = this.dims.reduce((product, dim) => product * dim, 1);
    if (elements !== data.length) {
      throw new RangeError(`a tensor of shape [${this.dims}]: expected ${elements} elements, got ${data.length}`);
    }
  }
}

function dtypeOf(data) {
  if (Array.isArray(data) && data.every((element) => typeof element === 'string')) return 'string';
  const found = Object.entries(TYPES).find(([, type]) => data?.constructor === type || data instanceof type);
  if (!found) throw new TypeError(`expected a typed array or an array of strings, got ${data?.constructor?.name ?? data}`);
  return found[0];
}

/** The fields of a `selvedge_tensor` for an input. */
export function lent(name, tensor, keep) {
  const { dtype, dims, data } = tensor instanceof Tensor ? tensor : new Tensor(tensor);
  const shape = BigInt64Array.from(dims, BigInt);
  const elements = dtype === 'string' ? textArray(data, keep) : data;
  const label = Buffer.from(name);
  keep.push(shape, elements, label);
  return {
    name: label,
    name_len: label.length,
    dims: shape,
    rank: shape.length,
    data: elements,
    byte_len: elements.byteLength,
    dtype: numbers[`SELVEDGE_${dtype.toUpperCase()}`],
  };
}

/** Texts as an array of `selvedge_text`. */
export function textArray(texts, keep) {
  return structs('selvedge_text', texts.map((text) => texted(text, keep)), keep);
}

function texted(text, keep) {
  const encoded = Buffer.from(`${text}`);
  keep.push(encoded);
  return { data: address(encoded), len: encoded.length };
}

/** The tensor that a call has described; its array lies in the library's memory. */
export function described(fields) {
  const dtype = BY_NUMBER.get(fields.dtype);
  const dims = fields.rank === 0 ? [] : [...new BigInt64Array(view(fields.dims, fields.rank * 8))].map(Number);
  const name = fields.name_len === 0 ? '' : bytes(fields.name, fields.name_len).toString();
  if (dtype === 'string') return { name, tensor: new Tensor(strings(fields), dims, dtype) };
  const memory = fields.byte_len === 0 ? new ArrayBuffer(0) : view(fields.data, fields.byte_len);
  return { name, tensor: new Tensor(new TYPES[dtype](memory), dims, dtype), memory };
}

function strings(fields) {
  if (fields.byte_len === 0) return [];
  const words = new BigUint64Array(view(fields.data, fields.byte_len));
  return Array.from({ length: words.length / 2 }, (_, i) => {
    const length = Number(words[2 * i + 1]);
    return length === 0 ? '' : bytes(words[2 * i], length).toString();
  });
}
