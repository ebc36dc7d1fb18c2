import type { YamlNode } from './yaml-tree.ts';

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Milliseconds of `30s`, `15m`, `1h`, `7d`, `2w`; or why it is none. Months and years have no fixed length. */
export function readTimespan(node: YamlNode, name: string): number | { readonly reason: string } {
  const text = node.kind === 'scalar' ? String(node.value) : '';
  if (/^\d+[My]$/.test(text)) return { reason: `'${name}': months and years have no fixed length: use days or weeks` };
  const parts = /^(\d{1,9})([smhdw])$/.exec(text);
  const spanMs = Number(parts?.[1] ?? 0) * (UNIT_MS[parts?.[2] ?? ''] ?? 0);
  return spanMs > 0 ? spanMs : { reason: `'${name}' must be a number and a unit: 30s, 15m, 1h, 7d, 2w` };
}
