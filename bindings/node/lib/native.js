// The shared library: its functions, its structs in memory, and its errors as exceptions.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';

const folder = new URL('../native/', import.meta.url);
export const abi = JSON.parse(readFileSync(new URL('abi.json', folder), 'utf8'));
export const numbers = abi.numbers;

const SIZES = { size_t: 8, 'void *': 8, uint64_t: 8, int64_t: 8, double: 8, float: 4, uint32_t: 4, int32_t: 4, uint8_t: 1 };
const layouts = new Map(Object.keys(abi.structs).map((name) => [name, layout(name)]));
const library = koffi.load(found());
const functions = new Map();
for (const [name, [result, types]] of Object.entries(abi.functions)) {
  functions.set(name, library.func(name, result, types));
}

/** A call of the library that failed. `code` is the name of its status, such as `NOT_FOUND`; `status` the number. */
export class SelvedgeError extends Error {
  constructor(status, message) {
    super(message);
    this.name = 'SelvedgeError';
    this.status = status;
    this.code = CODES.get(status) ?? `STATUS_${status}`;
  }
}

const CODES = new Map(
  Object.entries(numbers)
    .filter(([name]) => name.startsWith('SELVEDGE_ERR_'))
    .map(([name, number]) => [number, name.slice('SELVEDGE_ERR_'.length)]),
);

/** Calls a function whose last parameter is the place of an error, on this thread. */
export function call(name, ...args) {
  const err = place();
  const status = functions.get(name)(...args, err);
  if (status !== 0) throw failure(status, err);
}

/** The same on another thread. What `args` point to is kept until it has returned. */
export function callAsync(name, ...args) {
  const err = place();
  return new Promise((resolve, reject) => {
    functions.get(name).async(...args, err, (problem, status) => {
      if (problem) reject(problem);
      else if (status !== 0) reject(failure(status, err));
      // `args` are named here so that they live as long.
      else resolve(args.length);
    });
  });
}

/** Calls a function that has no place for an error, and gives what it returns. */
export function plain(name, ...args) {
  return functions.get(name)(...args);
}

/** A place that a call writes a pointer, a size or a 64-bit number to. */
export function place() {
  return new BigUint64Array(1);
}

function failure(status, err) {
  const message = functions.get('selvedge_error_message')(err[0], null);
  functions.get('selvedge_error_free')(err[0]);
  return new SelvedgeError(status, message);
}

/** The bytes at an address, without a copy: they live as long as what they belong to. */
export function bytes(address, length) {
  return length === 0 ? Buffer.alloc(0) : Buffer.from(koffi.view(address, length));
}

/** The memory at an address as an `ArrayBuffer` without a copy. */
export function view(address, length) {
  return koffi.view(address, length);
}

/** The text at an address. */
export function text(address, length) {
  return Number(length) === 0 ? '' : koffi.decode.string(address, Number(length));
}

/** The 32 bits at an address, as a whole number, and as a float. */
export const u32At = koffi.decode.uint32;
export const f32At = koffi.decode.float;

/** Where the fields of a struct lie: `{ field: offset }`. */
export function offsets(name) {
  return Object.fromEntries(layouts.get(name).fields.map(({ field, at }) => [field, at]));
}

/** Takes a buffer object of the library: its bytes, copied, and the object freed. */
export function take(handle) {
  const length = place();
  try {
    return Buffer.from(bytes(plain('selvedge_buffer_data', handle, length), Number(length[0])));
  } finally {
    plain('selvedge_buffer_free', handle);
  }
}

/** Calls a function whose last place before the error is that of a buffer, and gives its bytes. */
export function taken(name, ...args) {
  const out = place();
  call(name, ...args, out);
  return take(out[0]);
}

/** The same as an object of JSON. */
export function takenJson(name, ...args) {
  return JSON.parse(taken(name, ...args).toString());
}

/** A struct in memory: its fields by name, zero where none is given. `keep` gets what it points to. */
export function struct(name, fields, keep) {
  return structs(name, [fields], keep);
}

/** An array of structs in memory. */
export function structs(name, list, keep) {
  const { size } = layouts.get(name);
  const memory = new Uint8Array(size * list.length);
  list.forEach((fields, i) => write(name, new DataView(memory.buffer, i * size, size), 0, fields, keep));
  keep.push(memory);
  return memory;
}

/** The fields of a struct that a call has written; a text is a string, a pointer a `BigInt`. */
export function fields(name, memory) {
  const data = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  return read(name, data, 0);
}

/** A text as the two values that a call takes it by. */
export function texted(string, keep) {
  const encoded = Buffer.from(`${string}`);
  keep.push(encoded);
  return [encoded, encoded.length];
}

/** The address of memory of JavaScript's, which the caller keeps. */
export function address(memory) {
  return memory.byteLength === 0 ? 0n : koffi.address(memory);
}

/** Where a native library would be, and where `SELVEDGE_LIBRARY` says it is. */
function found() {
  const given = process.env.SELVEDGE_LIBRARY;
  if (given) return given;
  const names = { linux: 'libselvedge.so.1', darwin: 'libselvedge.1.dylib', win32: 'selvedge.dll' };
  const path = fileURLToPath(new URL(`${process.platform}-${process.arch}/${names[process.platform]}`, folder));
  if (existsSync(path)) return path;
  throw new Error(`selvedge: no library for ${process.platform}-${process.arch} is in this package: expected ${path}`);
}

function layout(name) {
  let at = 0;
  let alignment = 1;
  const fields = abi.structs[name].map(([field, type]) => {
    const inner = abi.structs[type] && layout(type);
    const [size, align] = inner ? [inner.size, inner.alignment] : [SIZES[type], SIZES[type]];
    at = Math.ceil(at / align) * align;
    const placed = { field, type, at };
    at += size;
    alignment = Math.max(alignment, align);
    return placed;
  });
  return { fields, alignment, size: Math.ceil(at / alignment) * alignment };
}

function write(name, data, base, values, keep) {
  for (const field of Object.keys(values)) {
    if (!abi.structs[name].some(([known]) => known === field)) throw new TypeError(`${name} has no field ${field}`);
  }
  const { fields, size } = layouts.get(name) ?? layout(name);
  for (const { field, type, at } of fields) {
    const value = field === 'struct_size' ? size : values[field];
    if (value === undefined || value === null) continue;
    if (type === 'selvedge_text') writeText(data, base + at, value, keep);
    else if (abi.structs[type]) write(type, data, base + at, value, keep);
    else writeNumber(data, base + at, type, value, keep);
  }
}

function writeText(data, at, value, keep) {
  const encoded = Buffer.from(`${value}`);
  // A text that is there and empty is not one that is not there.
  keep.push(encoded);
  data.setBigUint64(at, encoded.length === 0 ? 1n : koffi.address(encoded), true);
  data.setBigUint64(at + 8, BigInt(encoded.length), true);
}

function writeNumber(data, at, type, value, keep) {
  switch (type) {
    case 'void *':
      if (typeof value === 'object') keep.push(value);
      data.setBigUint64(at, typeof value === 'object' ? address(value) : BigInt(value), true);
      break;
    case 'size_t':
    case 'uint64_t':
      data.setBigUint64(at, whole(value, 0n, (1n << 64n) - 1n), true);
      break;
    case 'int64_t':
      data.setBigInt64(at, whole(value, -(1n << 63n), (1n << 63n) - 1n), true);
      break;
    case 'uint32_t':
      data.setUint32(at, Number(whole(value, 0n, (1n << 32n) - 1n)), true);
      break;
    case 'int32_t':
      data.setInt32(at, Number(whole(value, -(1n << 31n), (1n << 31n) - 1n)), true);
      break;
    case 'float':
      data.setFloat32(at, Number(value), true);
      break;
    default:
      data.setFloat64(at, Number(value), true);
  }
}

function whole(value, least, most) {
  if (typeof value === 'number' && !Number.isInteger(value)) throw new TypeError(`expected a whole number, got ${value}`);
  const number = BigInt(value);
  if (number < least || number > most) throw new RangeError(`expected ${least} to ${most}, got ${value}`);
  return number;
}

function read(name, data, base) {
  const result = {};
  for (const { field, type, at } of layouts.get(name).fields) {
    const here = base + at;
    if (field === 'struct_size') continue;
    if (type === 'selvedge_text') {
      result[field] = text(data.getBigUint64(here, true), data.getBigUint64(here + 8, true));
    } else if (type === 'void *') result[field] = data.getBigUint64(here, true);
    else if (type === 'size_t' || type === 'uint64_t') result[field] = small(data.getBigUint64(here, true));
    else if (type === 'int64_t') result[field] = small(data.getBigInt64(here, true));
    else if (type === 'uint32_t') result[field] = data.getUint32(here, true);
    else if (type === 'int32_t') result[field] = data.getInt32(here, true);
    else if (type === 'float') result[field] = data.getFloat32(here, true);
    else if (type === 'double') result[field] = data.getFloat64(here, true);
  }
  return result;
}

/** A number where JavaScript's hold it exactly, else a `BigInt`. */
function small(value) {
  return value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER ? Number(value) : value;
}
