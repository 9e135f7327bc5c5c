// Smaller models.

import { number, sourceOf } from './engine.js';
import { cancellable } from './handle.js';
import { callAsync, numbers, place, struct, take, texted } from './native.js';
import { textArray } from './tensor.js';

/** Packs an ONNX model into a smaller one, on another thread, and says what became of it. */
export function pack(source, to, options) {
  const keep = [];
  const where = sourceOf(source, keep);
  return cancellable(options.signal, async (cancel) => {
    const fields = {
      scheme: number('SCHEME', options.scheme),
      flags: options.overwrite ? numbers.SELVEDGE_PACK_OVERWRITE : 0,
      min_elements: options.minElements,
      mean_bits: options.meanBits,
      cancel,
    };
    for (const list of ['only', 'keep', 'finer']) {
      if (!options[list]?.length) continue;
      fields[list] = textArray(options[list], keep);
      fields[`${list}_count`] = options[list].length;
    }
    const how = struct('selvedge_pack_options', fields, keep);
    const out = place();
    await callAsync('selvedge_pack', where, ...texted(to, keep), how, out);
    return JSON.parse(take(out[0]).toString());
  });
}
