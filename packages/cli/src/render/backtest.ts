import type { PairExample } from '../replay/alert-pairs.ts';
import type { RuleTotals } from '../replay/rule-totals.ts';
import { columns } from './columns.ts';

/** Of all rules together. */
export type BacktestTotals = Readonly<
  Record<'alerts' | 'matches', Pick<RuleTotals, 'before' | 'after' | 'changed' | 'added' | 'removed'>>
>;

/** Alerts of correlations, and matches of detections that speak for themselves. */
export function totalsOf(rows: readonly RuleTotals[]): BacktestTotals {
  const sumOf = (kind: RuleTotals['kind']) => {
    const sum = { before: 0, after: 0, changed: 0, added: 0, removed: 0 };
    for (const row of rows) {
      if (row.kind !== kind) continue;
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += row[name];
    }
    return sum;
  };
  return { alerts: sumOf('correlation'), matches: sumOf('detection') };
}

/** Rules with what they said, examples of what differs, and one line about all of it. */
export function renderBacktest(rows: readonly RuleTotals[], { isPartial }: { readonly isPartial: boolean }): string {
  const blocks: string[] = [];
  if (rows.length > 0) {
    const cells = rows.map((row) => [
      row.rule_title,
      row.kind,
      ...[row.before, row.after, row.changed, row.added, row.removed].map((count) => count.toLocaleString('en-US')),
    ]);
    blocks.push(columns(['RULE', 'TYPE', 'BEFORE', 'AFTER', 'CHANGED', 'ADDED', 'REMOVED'], cells));
  }
  const examples = rows.flatMap((row) =>
    (['added', 'removed', 'changed'] as const).flatMap((change) =>
      row.examples[change].map((example) => exampleCells(change, row.rule_title, example)),
    ),
  );
  if (examples.length > 0)
    blocks.push(columns(['EXAMPLE', 'RULE', 'AT', 'ORGANIZATION', 'GROUP', 'COUNT', 'FIRST EVENT'], examples));
  blocks.push(lastLine(rows, isPartial));
  return blocks.join('\n\n');
}

/** One line a rule, and one about all of them. */
export function backtestLines(rows: readonly RuleTotals[], { isPartial }: { readonly isPartial: boolean }): string[] {
  return [...rows, { kind: 'total', partial: isPartial, ...totalsOf(rows) }].map((row) => JSON.stringify(row));
}

function lastLine(rows: readonly RuleTotals[], isPartial: boolean): string {
  const { alerts, matches } = totalsOf(rows);
  const text = ({ before, after, added, removed, changed }: BacktestTotals['alerts']): string => {
    const [from, to, more, less, other] = [before, after, added, removed, changed].map((n) =>
      n.toLocaleString('en-US'),
    );
    return `${from} before, ${to} after: ${more} added, ${less} removed, ${other} changed`;
  };
  const parts = [`alerts ${text(alerts)}`];
  if (matches.before + matches.after > 0) parts.push(`matches ${text(matches)}`);
  if (isPartial) parts.push('partial: it was interrupted before the end of the range');
  return parts.join('; ');
}

function exampleCells(change: string, title: string, example: PairExample): string[] {
  const { at, organization_id, group, count, event_ids } = example;
  const where = Object.entries(group ?? {}).map(([field, value]) => `${field}=${value ?? 'null'}`);
  // Values come from events: what could steer a terminal is shown as a question mark.
  const cells = [change, title, at, organization_id, where.join(' ') || '-', String(count), event_ids[0] ?? '-'];
  return cells.map((cell) => cell.replace(/\p{C}/gu, '?'));
}
