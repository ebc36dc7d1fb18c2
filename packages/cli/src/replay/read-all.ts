import type { KafkaClient } from '@tracehound/kafka';
import type { Progress } from '../events/progress.ts';
import { patiently } from '../scenario/patiently.ts';
import { type IntakePart, type IntakeRecord, readIntake } from './intake-log.ts';
import { recordsMaxOf } from './plan.ts';

/** For `stopped`: true from when the user wants an end. */
export function stopHook(interrupted: Promise<void>): () => boolean {
  let isStopped = false;
  void interrupted.then(() => {
    isStopped = true;
  });
  return () => isStopped;
}

/** Exit code after a signal, as shells report it. */
export const INTERRUPTED = 130;

/** How far a reading is. */
export type ReplayProgress = {
  readonly records: number;
  /** Offsets passed, of those there are: offsets without a record count too, so that the share is right. */
  readonly offsetsDone: number;
  readonly offsetsTotal: number;
};

/** Takes records in the order of `readIntake`; a registry that is away rejects, and the record comes again. */
export type IntakeTaker = { take(record: IntakeRecord): Promise<void> };

export type ReadAllOptions = {
  readonly kafka: KafkaClient;
  readonly parts: readonly IntakePart[];
  /** Append time at which the range ends, ms. */
  readonly toMs: number;
  /** Wall clock, ms. */
  readonly now: () => number;
  readonly progress?: Progress<ReplayProgress> | undefined;
  /** Awaited now and then, so that what was found is written before more is. */
  readonly afterPage?: () => Promise<void> | void;
  /** Looked at before each record; once true nothing more is read. */
  readonly stopped?: () => boolean;
};

/** How long a registry that is away is waited for, per record. */
const PATIENCE_MS = 10_000;
/** Records between two looks at the page: at 20,000 a second, five times a second. */
const PAGE_RECORDS = 4_096;

/** The whole range through `taker`. Resolves with false when it was stopped before the end. */
export async function readAll(taker: IntakeTaker, options: ReadAllOptions): Promise<boolean> {
  try {
    return await readPages(taker, options);
  } finally {
    options.progress?.clear();
    await options.afterPage?.();
  }
}

async function readPages(taker: IntakeTaker, options: ReadAllOptions): Promise<boolean> {
  const { kafka, parts, toMs, now } = options;
  const offsetsTotal = recordsMaxOf(parts);
  const reached = new Map(parts.map((part) => [placeOf(part), part.from]));
  let records = 0;
  let offsetsDone = 0;
  for await (const intake of readIntake(kafka, parts, toMs)) {
    if (options.stopped?.() === true) return false;
    await patiently(now() + PATIENCE_MS, () => taker.take(intake));
    records++;
    const { record } = intake;
    const place = placeOf(record);
    offsetsDone += Number(record.offset + 1n - (reached.get(place) ?? record.offset));
    reached.set(place, record.offset + 1n);
    if (records % PAGE_RECORDS !== 0) continue;
    options.progress?.update({ records, offsetsDone, offsetsTotal });
    await options.afterPage?.();
  }
  return true;
}

function placeOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`;
}
