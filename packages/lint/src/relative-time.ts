const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Milliseconds of `0s`, `90s`, `1h30m`, `-5m`, `1.5s`; undefined for anything else. */
export function durationMsOf(text: string): number | undefined {
  if (!/^-?(\d+(\.\d+)?(ms|s|m|h|d|w))+$/.test(text)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g))
    ms += Number(amount) * (UNIT_MS[unit ?? ''] ?? 0);
  return Math.round(text.startsWith('-') ? -ms : ms);
}

/** Milliseconds since the epoch of an RFC 3339 time with its offset; undefined for anything else. */
export function timeMsOf(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/.test(text)) return undefined;
  const ms = Date.parse(text.replace(' ', 'T'));
  return Number.isNaN(ms) ? undefined : ms;
}

/** `40s`, `1h30m`, `250ms`: the shortest form of a whole number of milliseconds. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  let rest = Math.abs(ms);
  let formed = ms < 0 ? '-' : '';
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ] as const) {
    const amount = Math.floor(rest / size);
    if (amount > 0) formed += `${amount}${unit}`;
    rest -= amount * size;
  }
  return formed;
}
