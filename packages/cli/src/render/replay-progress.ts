import { createLine, type Progress } from '../events/progress.ts';
import type { ReplayProgress } from '../replay/read-all.ts';
import { counted } from './counted.ts';
import { spanText } from './estimate.ts';

/** One line on a terminal: how far a reading of the log is, its rate, and the time left; nothing in a pipe. */
export function createReplayProgress(stream: NodeJS.WriteStream, now?: () => number): Progress<ReplayProgress> {
  return createLine(stream, replayProgressText, now);
}

/** `240,000 records (3 %), 17,300 records/s, 5 min 20 s left`. */
export function replayProgressText({ records, offsetsDone, offsetsTotal }: ReplayProgress, elapsedMs: number): string {
  const seconds = Math.max(elapsedMs / 1_000, 0.001);
  const share = offsetsTotal === 0 ? 1 : Math.min(offsetsDone / offsetsTotal, 1);
  const left = share > 0 ? `, ${spanText((elapsedMs * (1 - share)) / share)} left` : '';
  return `${counted(records, 'record')} (${Math.floor(share * 100)} %), ${counted(Math.round(records / seconds), 'record')}/s${left}`;
}
