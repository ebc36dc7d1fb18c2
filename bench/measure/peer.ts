import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { DetectResult } from '@tracehound/detect';
import { timed } from './processes.ts';

/** Results by name of the correlation. */
export type Counts = Readonly<Record<string, number>>;
export type ProcessRun = {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly detections: number;
  readonly correlations: Counts;
};

/** Counts what a run found. */
export class Tally {
  detections = 0;
  readonly correlations: Record<string, number> = {};

  add(results: readonly DetectResult[]): void {
    for (const { kind, rule_title } of results) {
      if (kind === 'detection') this.detections++;
      else this.count(rule_title);
    }
  }

  count(title: string): void {
    const name = title.replace(/^Workload /, '');
    this.correlations[name] = (this.correlations[name] ?? 0) + 1;
  }
}

/** One alert per correlation and group in 15 minutes, no detections that only feed correlations: what comes nearest. */
export async function runPeer(peer: string, file: string, folder: string): Promise<ProcessRun> {
  const out = join(folder, 'peer.ndjson');
  const rules = join(folder, 'peer.yml');
  const input = ['engine', 'eval', '-r', rules, '-e', `@${file}`, '--input-format', 'json'];
  const state = ['--timestamp-field', 'timestamp', '--max-state-entries', '5000000', '--suppress', '15m'];
  const output = ['--no-detections', '--output-format', 'ndjson', '-q', '--no-stats'];
  const { cpu, wall } = timed(peer, [...input, ...state, ...output], out);
  return { cpuSeconds: cpu, wallSeconds: wall, ...(await countLines(out)) };
}

/** Results by rule; the names of the correlations are c01 to c10. */
export async function countLines(
  file: string,
): Promise<{ readonly detections: number; readonly correlations: Counts }> {
  const tally = new Tally();
  for await (const text of createInterface({ input: createReadStream(file) })) {
    const { rule_title } = JSON.parse(text) as { readonly rule_title: string };
    if (/^Workload c\d\d$/.test(rule_title)) tally.count(rule_title);
    else tally.detections++;
  }
  return tally;
}
