import { UsageError } from '../usage-error.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `5m`, `2h`, `30d`, `250ms` in ms. @throws UsageError for anything else. */
export function parseDuration(text: string, option: string): number {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  if (!match) throw new UsageError(`${option} ${text}: write a number and ms, s, m, h or d, e.g. 5m`);
  return Number(match[1]) * (UNITS[match[2] as string] as number);
}
