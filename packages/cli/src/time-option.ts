import { UsageError } from './usage-error.ts';

/** A time on the command line, ms UTC; null when it was not given. @throws UsageError that shows how to write one. */
export function timeOption(flag: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs)) throw new UsageError(`${flag} takes a time such as 2026-11-21T08:00:00Z`);
  return timeMs;
}
