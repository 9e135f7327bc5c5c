// Runs the cases of bindings/conformance: `node conformance.js CASES_FOLDER REPO`.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { features } from 'selvedge';
import { mismatch } from './match.js';
import { operations } from './operations.js';

const [folder, repo] = process.argv.slice(2);
const { cases } = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8'));
const tables = JSON.parse(readFileSync(join(folder, 'rows.json'), 'utf8'));

let ran = 0;
const failed = [];
for (const { name, needs, steps } of cases) {
  const lacking = needs.filter((need) => !isThere(need));
  if (lacking.length > 0) {
    console.log(`skipped: ${name}: no ${lacking.join(', ')}`);
    continue;
  }
  ran += 1;
  const problem = await runCase(steps);
  if (problem) failed.push(`${name}: ${problem}`);
}
console.log(`conformance: ${ran} of ${cases.length} cases ran, ${failed.length} failed`);
failed.forEach((problem) => console.error(`FAILED ${problem}`));
process.exit(failed.length > 0 || ran === 0 ? 1 : 0);

function isThere(need) {
  if (need === 'corpus') return Boolean(process.env.SELVEDGE_CORPUS);
  if (need === 'onnxruntime') return Boolean(process.env.SELVEDGE_ONNXRUNTIME);
  return features.includes(need);
}

async function runCase(steps) {
  const tmp = mkdtempSync(join(tmpdir(), 'selvedge-'));
  const kept = new Map();
  try {
    for (const [i, step] of steps.entries()) {
      const problem = await runStep(filled(step, tmp), kept, tmp);
      if (problem) return `step ${i} (${step.op}): ${problem}`;
    }
    return undefined;
  } finally {
    [...kept.values()].reverse().forEach((made) => made?.close?.());
    rmSync(tmp, { recursive: true, force: true });
  }
}

function filled(step, tmp) {
  const places = { REPO: repo, TMP: tmp, SELVEDGE_CORPUS: process.env.SELVEDGE_CORPUS ?? '' };
  const text = JSON.stringify(step).replace(/\$\{(\w+)\}/g, (_, name) => JSON.stringify(places[name]).slice(1, -1));
  return JSON.parse(text);
}

async function runStep(step, kept, tmp) {
  // A name that is there twice cannot be said here.
  if (step.note?.includes('inputs are a map')) return undefined;
  const problems = [];
  let shown;
  const run = {
    tmp,
    tables,
    get: (name) => {
      if (!kept.has(name)) throw new Error(`no step made ${name}`);
      return kept.get(name);
    },
    keep: (name, made) => kept.set(name, made),
    show: (value) => (shown = value),
    equal: (left, right) => problems.push(mismatch(plain(left), plain(right))),
    answer: (json) => step.answer && problems.push(mismatch(step.answer, json, step.tolerance, 'answer')),
    fails(code, body) {
      try {
        body();
      } catch (error) {
        if (error.code !== code) problems.push(`expected ${code}, got ${error.code}: ${error.message}`);
        return;
      }
      problems.push(`expected ${code}, and it succeeded`);
    },
  };
  let got;
  try {
    got = await operations[step.op]({ ...step, run }, run);
  } catch (error) {
    return refused(step, error);
  }
  if (step.error) return `expected ${step.error}, and it succeeded`;
  if (step.as) kept.set(step.as, got);
  if ('expect' in step) problems.push(mismatch(step.expect, shown ?? got, step.tolerance));
  return problems.find(Boolean);
}

function refused(step, error) {
  if (!step.error) return error.stack;
  if (error.code !== step.error) return `expected ${step.error}, got ${error.code}: ${error.stack}`;
  const lacking = (step.message ?? []).filter((part) => !error.message.includes(part));
  return lacking.length > 0 ? `a message without ${lacking}: ${error.message}` : undefined;
}

/** Buffers as lists, so that they can be compared. */
function plain(value) {
  return JSON.parse(JSON.stringify(value, (_, v) => (v?.type === 'Buffer' ? v.data : v)));
}
