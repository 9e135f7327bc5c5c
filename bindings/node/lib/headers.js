// Descriptions of the C ABI, read from its headers when the package is built: structs, functions and numbers.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const NOUNS = ['base', 'engine', 'telemetry', 'profile', 'monitor', 'sync', 'weights', 'pack'];

/** The ABI of the headers in a folder: `{ numbers, structs: { name: [[field, type]] }, functions: { name: [result, [type]] } }`. */
export function describe(include) {
  const abi = { numbers: {}, structs: {}, functions: {} };
  const enums = new Set();
  const callbacks = new Set();
  for (const noun of NOUNS) {
    const header = plain(readFileSync(join(include, 'selvedge', `${noun}.h`), 'utf8'));
    for (const [, name, body] of header.matchAll(/SELVEDGE_ENUM_BEGIN\((\w+)\)([\s\S]*?)SELVEDGE_ENUM_END/g)) {
      enums.add(name);
      for (const [, number, value] of body.matchAll(/(SELVEDGE_\w+) = (-?\d+)/g)) abi.numbers[number] = Number(value);
    }
    for (const [, name, value] of header.matchAll(/#define (SELVEDGE_\w+) (\d+u?|UINT32_MAX)\s*$/gm)) {
      abi.numbers[name] = value === 'UINT32_MAX' ? 0xffffffff : parseInt(value, 10);
    }
    for (const [, name] of header.matchAll(/typedef void \(\*(\w+)\)/g)) callbacks.add(name);
    for (const [, name, body] of header.matchAll(/typedef struct (\w+) \{([\s\S]*?)\} \1;/g)) {
      abi.structs[name] = body.split(';').map(declared).filter(Boolean);
    }
    for (const [, result, name, parameters] of header.matchAll(/SELVEDGE_API ([\w ]+[* ])(selvedge_\w+)\(([^;]*)\);/g)) {
      const types = parameters.trim() === 'void' ? [] : parameters.split(',').map((p) => declared(p)[1]);
      abi.functions[name] = [result.trim(), types];
    }
  }
  const known = (type) => (enums.has(type) ? 'int32_t' : callbacks.has(type) || type.endsWith('*') ? 'void *' : type);
  for (const fields of Object.values(abi.structs)) for (const field of fields) field[1] = known(field[1]);
  for (const described of Object.values(abi.functions)) {
    described[0] = described[0] === 'const char *' ? 'str' : known(described[0]);
    described[1] = described[1].map(known);
  }
  return abi;
}

/** A header without comments and without what only other compilers look at. */
function plain(header) {
  return header
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/SELVEDGE_OUT\(([\w ]+)\)/g, '$1 **')
    .replace(/SELVEDGE_ERR\b(?!_)/g, 'selvedge_error **')
    .replace(/SELVEDGE_(NULLABLE|NONNULL)/g, '');
}

/** Name and type of a declaration; nothing for an empty one. */
function declared(declaration) {
  const found = declaration.trim().match(/^([\s\S]*?)(\w+)$/);
  return found && [found[2], found[1].replace(/\s+/g, ' ').trim()];
}

if (process.argv[1] === import.meta.filename) {
  const [include, out] = process.argv.slice(2);
  writeFileSync(out, JSON.stringify(describe(include)));
}
