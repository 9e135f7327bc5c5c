// Telemetry: the folder that answers are recorded in, and its page.

import { number } from './engine.js';
import { Handle } from './handle.js';
import { call, place, struct, taken, takenJson, texted } from './native.js';

/** An open telemetry folder. */
export class Telemetry extends Handle {
  constructor(folder, limits = {}) {
    const keep = [];
    const how = struct(
      'selvedge_limits',
      {
        bytes: limits.bytes,
        history_bytes: limits.historyBytes,
        segment_bytes: limits.segmentBytes,
        lanes: limits.lanes,
        slots: limits.slots,
        durability: number('DURABILITY', limits.durability ?? 'process'),
      },
      keep,
    );
    const out = place();
    call('selvedge_telemetry_open', ...texted(folder, keep), how, out);
    super(out[0], 'selvedge_telemetry_free');
    this.folder = folder;
  }

  /** Whether records are kept, how many bytes they take, and what was lost. */
  get status() {
    return takenJson('selvedge_telemetry_status_json', this.handle);
  }
}

/** The page of a telemetry folder, as HTML. */
export function reportHtml(folder) {
  return taken('selvedge_report_html', ...texted(folder, [])).toString();
}
