/**
 * Lane `day`: does an event cost at the end of a day what it costs at its beginning? Both stages from memory (as `memory` of the lane
 * `correlator`: Avro events in, four matches partitions, state in a real Redis, alerts out into memory) over 24 hours of event time,
 * 100 detections and 10 correlations, one thread. The day is cut into parts; the first two are left out of the verdict, because
 * code is compiled and the longest windows (one hour) fill in them.
 *
 *   npm run bench -- day [--json] [--events 1200000] [--parts 12]
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connectRedis } from '@tracehound/redis';
import { loadRuleSet } from '@tracehound/sigma';
import { openStack, repositoryRoot } from '@tracehound/stack';
import type { WorkloadLine } from '../measure/avro-workload.ts';
import { openPartitions, ruleFiles, TARGETS } from '../measure/correlator-partitions.ts';
import { feedService } from '../measure/feeds.ts';
import { cpuMicros, residentMb } from '../measure/processes.ts';
import { workload } from '../workload/events.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    events: { type: 'string', default: '1200000' },
    parts: { type: 'string', default: '12' },
  },
});
const EVENTS = Number(values.events);
const PARTS = Number(values.parts);
const DAY_MS = 86_400_000;
const BATCH = 1_000;
/** Of the workload `real`, ms between two events. */
const SPACING_MS = 10;

type Part = {
  readonly hours: number;
  readonly microsPerEvent: number;
  readonly groups: number;
  readonly rssMb: number;
};

/** The workload, its time stretched over a day. */
function* day(): Generator<WorkloadLine> {
  const stretch = DAY_MS / (EVENTS * SPACING_MS);
  let beganMs = Number.NaN;
  for (const text of workload('real', EVENTS)) {
    const line = JSON.parse(text) as WorkloadLine;
    const atMs = Date.parse(line['timestamp'] ?? '');
    if (Number.isNaN(beganMs)) beganMs = atMs;
    yield { ...line, timestamp: new Date(beganMs + (atMs - beganMs) * stretch).toISOString() };
  }
}

async function measure(redisUrl: string): Promise<readonly Part[]> {
  const rules = loadRuleSet(ruleFiles());
  const redis = await connectRedis(redisUrl, { role: 'state' });
  const opened = await openPartitions({ rules, redis, namespace: 'day', count: TARGETS });
  for (const { owner } of opened.partitions) await owner.acquire();
  const feed = feedService(rules, opened);
  const parts: Part[] = [];
  const size = Math.ceil(EVENTS / PARTS);
  let [micros, inPart, offset] = [0, 0, 0];
  let batch: WorkloadLine[] = [];

  async function take(): Promise<void> {
    const push = feed.prepare(batch, offset);
    offset += batch.length;
    inPart += batch.length;
    batch = [];
    const cpu = cpuMicros();
    await push();
    micros += cpuMicros() - cpu;
    // Alerts are counted by others; kept, they would be the memory that is looked at.
    opened.alerts.length = 0;
    if (inPart < size && offset < EVENTS) return;
    const groups = [...opened.engines.values()].reduce((sum, engine) => sum + engine.liveGroups, 0);
    const hours = (24 * offset) / EVENTS;
    parts.push({ hours, microsPerEvent: micros / inPart, groups, rssMb: residentMb(process.pid, 'VmRSS') });
    [micros, inPart] = [0, 0];
  }

  for (const line of day()) {
    batch.push(line);
    if (batch.length === BATCH) await take();
  }
  if (batch.length > 0) await take();
  redis.disconnect();
  return parts;
}

const directory = join(repositoryRoot(), '.tracehound', `bench-day-${process.pid}`);
const stack = await openStack({
  ...{ directory, mode: 'native', kinds: ['redis-state'] },
  onProgress: (text) => void process.stderr.write(`${text}\n`),
});
try {
  const parts = await measure(stack.addresses.redisStateUrl);
  const judged = parts.slice(2);
  const middle = judged.length >> 1;
  const mean = (some: readonly Part[]): number => some.reduce((sum, one) => sum + one.microsPerEvent, 0) / some.length;
  const ratio = mean(judged.slice(middle)) / mean(judged.slice(0, middle));
  if (values.json) process.stdout.write(`${JSON.stringify({ events: EVENTS, parts, ratio })}\n`);
  else {
    for (const { hours, microsPerEvent, groups, rssMb } of parts) {
      const cost = `${microsPerEvent.toFixed(2)} us an event`;
      process.stdout.write(`to hour ${hours.toFixed(0).padStart(2)}  ${cost}  ${groups} groups  ${rssMb} MB\n`);
    }
    process.stdout.write(`second half against first: ${ratio.toFixed(3)}\n`);
  }
} finally {
  await stack.stop({ wipe: true });
  rmSync(directory, { recursive: true, force: true });
}
