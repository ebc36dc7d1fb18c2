/** Passes left per name until the process ends; null when `TRACEHOUND_FAULT` is not set. */
const armed: Map<string, number> | null = parse(process.env['TRACEHOUND_FAULT']);

/**
 * Ends this process by SIGKILL at the n-th pass when `TRACEHOUND_FAULT` holds `name` or `name:n` (comma list; names
 * may hold colons, the count is a trailing number). Otherwise it costs one comparison. Nothing runs after the kill:
 * no handler, no flush, which is the point.
 */
export function faultPoint(name: string): void {
  if (armed === null) return;
  const left = armed.get(name);
  if (left === undefined) return;
  if (left > 1) {
    armed.set(name, left - 1);
    return;
  }
  process.kill(process.pid, 'SIGKILL');
  // The signal may need a moment to arrive; no further statement of the caller may run meanwhile.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

function parse(text: string | undefined): Map<string, number> | null {
  if (text === undefined || text === '') return null;
  const points = new Map<string, number>();
  for (const entry of text.split(',')) {
    const match = /^(.+?)(?::(\d+))?$/.exec(entry.trim());
    if (match?.[1]) points.set(match[1], Number(match[2] ?? 1));
  }
  return points;
}
