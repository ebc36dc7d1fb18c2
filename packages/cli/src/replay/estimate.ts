import type { KafkaClient, KafkaRecord } from '@tracehound/kafka';
import { patiently } from '../scenario/patiently.ts';
import { type IntakePart, readIntake } from './intake-log.ts';
import { recordsMaxOf } from './plan.ts';
import type { IntakeTaker } from './read-all.ts';

/** The first records of a range, through the same engine as all of them would go. */
export type Sample = {
  readonly records: number;
  /** Of keys, values and headers, as they are when they are unpacked. */
  readonly bytes: number;
  /** Over the second half of the time: in the first one code is compiled. Null for too few to say. */
  readonly recordsPerSecond: number | null;
  /** From the first record on, so without what it takes to connect. */
  readonly elapsedMs: number;
  /** There was no more than the sample. */
  readonly isAll: boolean;
};

/** What a run over a range would cost. */
export type Estimate = {
  readonly parts: readonly IntakePart[];
  /** Upper bound, by offsets. */
  readonly recordsMax: number;
  /** Upper bound, by the mean of the sample; null when it is empty. */
  readonly bytesMax: number | null;
  /** Upper bound, by the rate of the sample; null when it is too small. */
  readonly expectedMs: number | null;
  readonly sample: Sample;
};

/** A sample is over at whichever comes first. */
export type SampleLimits = { readonly recordsMax: number; readonly msMax: number };

/** A second of work tells a rate well enough; more records than these do not tell it better. */
export const SAMPLE_LIMITS: SampleLimits = { recordsMax: 50_000, msMax: 1_000 };

const PATIENCE_MS = 10_000;
/** Records between two looks at the clock. */
const LOOK_RECORDS = 64;

/**
 * Runs the beginning of the range through `taker`, which is thrown away afterwards, and says from it what the whole will cost.
 * Reads only. `clock` in ms, monotonic.
 */
export async function estimateOf(
  taker: IntakeTaker,
  {
    kafka,
    parts,
    toMs,
    limits = SAMPLE_LIMITS,
    clock = () => performance.now(),
  }: {
    readonly kafka: KafkaClient;
    readonly parts: readonly IntakePart[];
    readonly toMs: number;
    readonly limits?: SampleLimits;
    readonly clock?: () => number;
  },
): Promise<Estimate> {
  let records = 0;
  let bytes = 0;
  let beganMs: number | null = null;
  let isAll = true;
  const looks: { readonly records: number; readonly atMs: number }[] = [];
  for await (const intake of readIntake(kafka, parts, toMs)) {
    beganMs ??= clock();
    if (records >= limits.recordsMax || (looks.at(-1)?.atMs ?? beganMs) - beganMs >= limits.msMax) {
      isAll = false;
      break;
    }
    await patiently(Date.now() + PATIENCE_MS, () => taker.take(intake));
    records++;
    bytes += bytesOf(intake.record);
    if (records % LOOK_RECORDS === 0) looks.push({ records, atMs: clock() });
  }
  const endedMs = clock();
  const startMs = beganMs ?? endedMs;
  const half = looks.find(({ atMs }) => atMs - startMs >= (endedMs - startMs) / 2);
  const since = half !== undefined && half.atMs < endedMs ? half : { records: 0, atMs: startMs };
  const spanMs = endedMs - since.atMs;
  const recordsPerSecond = spanMs > 0 && records > since.records ? ((records - since.records) / spanMs) * 1_000 : null;
  const recordsMax = recordsMaxOf(parts);
  const sample: Sample = { records, bytes, recordsPerSecond, elapsedMs: endedMs - startMs, isAll };
  return {
    parts,
    recordsMax,
    bytesMax: isAll ? bytes : Math.round((bytes / records) * recordsMax),
    expectedMs: isAll ? sample.elapsedMs : recordsPerSecond === null ? null : (recordsMax / recordsPerSecond) * 1_000,
    sample,
  };
}

function bytesOf({ key, value, headers }: KafkaRecord): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, text] of Object.entries(headers)) bytes += name.length + text.length;
  return bytes;
}
