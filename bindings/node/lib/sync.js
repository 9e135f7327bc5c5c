// Sync: batches of telemetry to post.

import { number } from './engine.js';
import { Handle } from './handle.js';
import { bytes, call, fields, numbers, place, struct, structs, taken, takenJson, texted } from './native.js';

const DECISIONS = ['none', 'accepted', 'wait', 'later', 'split', 'drop'];

/** What is to be posted of a telemetry folder. */
export class Outbox extends Handle {
  constructor(telemetry, options) {
    const keep = [];
    const attributes = Object.entries(options.attributes ?? {}).map(([name, value]) => ({ name, value }));
    const how = struct(
      'selvedge_outbox_options',
      {
        app: options.app,
        app_version: options.appVersion,
        attributes: attributes.length ? structs('selvedge_pair', attributes, keep) : 0n,
        attribute_count: attributes.length,
        interval_ms: options.intervalMs,
        min_count: options.minCount,
        epsilon: options.epsilon,
        encoding: number('ENCODING', options.encoding ?? 'default'),
        flags: (options.exactCounts ? numbers.SELVEDGE_OUTBOX_EXACT_COUNTS : 0)
          | (options.anyCount ? numbers.SELVEDGE_OUTBOX_ANY_COUNT : 0),
      },
      keep,
    );
    const out = place();
    call('selvedge_outbox_open', telemetry.handle, ...texted(options.folder ?? telemetry.folder, keep), how, out);
    super(out[0], 'selvedge_outbox_free');
  }

  /** The next batch, of about `maxBytes` at most; `null` when all was posted. */
  nextBatch(maxBytes = 1 << 20) {
    const out = place();
    call('selvedge_outbox_next_batch', this.handle, maxBytes, out);
    return out[0] === 0n ? null : new Batch(out[0]);
  }

  /** Whether to begin to post now: `{ offline, metered }` is what the app knows of its network. */
  begin(network = {}, retry = {}) {
    const flags = (network.offline ? numbers.SELVEDGE_NETWORK_OFFLINE : 0)
      | (network.metered ? numbers.SELVEDGE_NETWORK_METERED : 0);
    return this.#judged('selvedge_outbox_begin', retryOf(retry), flags);
  }

  /** What to do after the response `{ status, contentType, retryAfter, body }` to a request of a batch. */
  judge(batch, index, attempt, response, retry = {}) {
    const keep = [];
    const came = struct(
      'selvedge_http_response',
      {
        status: response.status,
        content_type: response.contentType,
        retry_after: response.retryAfter,
        body: response.body ?? 0n,
        body_len: response.body?.byteLength,
      },
      keep,
    );
    return this.#judged('selvedge_outbox_judge', batch.handle, index, attempt, retryOf(retry), came);
  }

  #judged(name, ...args) {
    const judgement = struct('selvedge_judgement', {}, []);
    call(name, this.handle, ...args, judgement);
    const { decision, wait_ms: waitMs, refused, reason } = fields('selvedge_judgement', judgement);
    return { decision: DECISIONS[decision], waitMs, refused, reason };
  }

  /** Notes that a batch has arrived: it does not come again. */
  ack(batch) {
    call('selvedge_outbox_ack', this.handle, batch.handle);
  }

  /** The same, but so many points or records of it were not taken. */
  refuse(batch, refused) {
    call('selvedge_outbox_refuse', this.handle, batch.handle, refused);
  }

  /** Makes the next batch half of this one, which was too large; false if it is one record, which is dropped. */
  split(batch) {
    return this.#halved('selvedge_outbox_split', batch);
  }

  /** The same of a batch that was refused for what it holds. */
  bisect(batch) {
    return this.#halved('selvedge_outbox_bisect', batch);
  }

  #halved(name, batch) {
    const split = new Int32Array(1);
    call(name, this.handle, batch.handle, split);
    return split[0] === 1;
  }

  /** The outbox: install id, refused, through, damage. */
  get status() {
    return takenJson('selvedge_outbox_status_json', this.handle);
  }

  /** Draws another random install id. */
  resetInstallId() {
    return taken('selvedge_outbox_reset_install_id', this.handle).toString();
  }
}

function retryOf({ attempts, baseMs, capMs, onMetered }) {
  const flags = onMetered ? numbers.SELVEDGE_RETRY_ON_METERED : 0;
  return struct('selvedge_retry', { attempts, base_ms: baseMs, cap_ms: capMs, flags }, []);
}

/** What is posted at once. */
export class Batch extends Handle {
  constructor(handle) {
    super(handle, 'selvedge_batch_free');
  }

  /** The requests to post: `{ path, headers, body }`. */
  get requests() {
    const count = place();
    call('selvedge_batch_request_count', this.handle, count);
    return Array.from({ length: Number(count[0]) }, (_, index) => {
      const request = struct('selvedge_http_request', {}, []);
      call('selvedge_batch_request', this.handle, index, request);
      const { path, content_type, content_encoding, body, body_len } = fields('selvedge_http_request', request);
      const headers = { 'content-type': content_type };
      if (content_encoding) headers['content-encoding'] = content_encoding;
      // Copied: what posts it may outlive the batch.
      return { path, headers, body: Buffer.from(bytes(body, body_len)) };
    });
  }

  /** Id, records, points, log records and position. */
  toJSON() {
    return takenJson('selvedge_batch_json', this.handle);
  }
}
