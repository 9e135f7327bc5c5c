// Monitors: engines that are watched.

import { Engine, number } from './engine.js';
import { Handle } from './handle.js';
import { call, fields, numbers, place, struct, takenJson } from './native.js';
import { Profile } from './profile.js';

const VERDICTS = ['none', 'unknown', 'steady', 'suspect', 'drifted'];
const SEVERITIES = [undefined, 'warning', 'critical'];
const ACTIONS = [undefined, 'check_pipeline', 'retrain', 'roll_back'];

/** An engine that is watched: ask `monitor.engine` in its place. */
export class Monitor extends Handle {
  #watched;
  #alert = struct('selvedge_alert', {}, []);

  /** `config` is the object that the header describes: `probe`, `window`, `learn`, `false_alarm`, ... */
  constructor(engine, telemetry, config, profile) {
    const keep = [];
    const options = struct(
      'selvedge_monitor_options',
      { config: JSON.stringify(config), profile: profile?.handle ?? 0n },
      keep,
    );
    const out = place();
    call('selvedge_monitor_new', engine.handle, telemetry.handle, options, out);
    super(out[0], 'selvedge_monitor_free');
    const watched = place();
    call('selvedge_monitor_engine', this.handle, watched);
    // The bytes that the engine was opened from are kept by it.
    this.#watched = new Engine(watched[0], [engine]);
  }

  /** The watched engine, like any other. */
  get engine() {
    return this.#watched;
  }

  /** The alerts that were raised or cleared since they were last asked for, oldest first. */
  alerts() {
    const found = [];
    for (;;) {
      call('selvedge_monitor_next_alert', this.handle, this.#alert);
      const { event, severity, action, since, at, kind, feature, evidence } = fields('selvedge_alert', this.#alert);
      if (event === numbers.SELVEDGE_ALERT_NONE) return found;
      const raised = event === numbers.SELVEDGE_ALERT_RAISED;
      found.push({ raised, severity: SEVERITIES[severity], action: ACTIONS[action], since, at, kind, feature, evidence });
    }
  }

  /** Says what was right for the answer of an id: `{ class: 3 }` or `{ correct: true }`. */
  feedback(id, label) {
    const [kind, value] = 'class' in label ? ['class', label.class] : ['correct', Number(label.correct)];
    const verdict = new Int32Array(1);
    call('selvedge_monitor_feedback', this.handle, id, number('LABEL', kind), value, verdict);
    return VERDICTS[verdict[0]];
  }

  /** Takes in what was recorded, and judges windows that are full or too old. */
  tick() {
    call('selvedge_monitor_tick', this.handle);
  }

  /** The same, and closes the window that is open. */
  closeWindow() {
    call('selvedge_monitor_close_window', this.handle);
  }

  /** The state of the model. */
  get report() {
    return takenJson('selvedge_monitor_report_json', this.handle);
  }

  /** The profile that rows are compared with. */
  get profile() {
    const out = place();
    call('selvedge_monitor_profile', this.handle, out);
    return new Profile(out[0]);
  }
}
