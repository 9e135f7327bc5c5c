// Selvedge for Node.js: models asked offline, and watched for drift.

import { plain } from './lib/native.js';

export { Answer } from './lib/answer.js';
export { Engine, inspect, open, openSync, validate } from './lib/engine.js';
export { Monitor } from './lib/monitor.js';
export { SelvedgeError } from './lib/native.js';
export { pack } from './lib/pack.js';
export { Profile } from './lib/profile.js';
export { Run } from './lib/run.js';
export { Batch, Outbox } from './lib/sync.js';
export { Telemetry, reportHtml } from './lib/telemetry.js';
export { Tensor } from './lib/tensor.js';
export { Table } from './lib/weights.js';

/** The library's version. */
export const version = plain('selvedge_version');
/** The features of the library: `'tract'`, `'llama'`, ... */
export const features = plain('selvedge_features').split(',');
/** The instruction set of its kernels. */
export const kernel = plain('selvedge_kernel_name');
