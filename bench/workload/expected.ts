/**
 * What the correlations of `rules.ts` must find in a workload, by SQL over all its events at once (node:sqlite): no
 * engine of ours takes part. An episode is a run of truth intervals with gaps of at most one span (EXACTNESS X10.2,
 * X10.3). The workloads lie inside one frame of every rule, so nothing is cut.
 */
import { DatabaseSync } from 'node:sqlite';
import { CORRELATIONS, type WorkloadCorrelation } from './rules.ts';

const SPAN_MS: Readonly<Record<WorkloadCorrelation['span'], number>> = {
  '5m': 300_000,
  '10m': 600_000,
  '15m': 900_000,
  '30m': 1_800_000,
  '1h': 3_600_000,
};
const FRAME_MS = 86_400_000;

/** Episodes per correlation name. Lines as of `workload`, of one day. @throws RangeError when they cross a day. */
export function expectedEpisodes(lines: Iterable<string>): Readonly<Record<string, number>> {
  const database = new DatabaseSync(':memory:');
  try {
    database.exec('CREATE TABLE hit (correlation INTEGER, grp TEXT, val TEXT, step INTEGER, t INTEGER)');
    fillHits(database, lines);
    database.exec('CREATE INDEX hit_of ON hit (correlation, grp, val, t)');
    const counts = CORRELATIONS.map((correlation, index): [string, number] => [
      correlation.name,
      correlation.type === 'temporal_ordered' ? ordered(database, index) : counted(database, index),
    ]);
    return Object.fromEntries(counts);
  } finally {
    database.close();
  }
}

function fillHits(database: DatabaseSync, lines: Iterable<string>): void {
  const insert = database.prepare('INSERT INTO hit VALUES (?, ?, ?, ?, ?)');
  const days = new Set<number>();
  database.exec('BEGIN');
  for (const line of lines) {
    const event = JSON.parse(line) as Readonly<Record<string, string>>;
    const timeMs = Date.parse(event['timestamp'] ?? '');
    days.add(Math.floor(timeMs / FRAME_MS));
    for (const [index, { rules, by, type, field }] of CORRELATIONS.entries()) {
      const step = rules.indexOf(event['event_type'] ?? '');
      if (step < 0) continue;
      const group = by.map((name) => event[name]).join(' ');
      // What is counted: events, values of a field, or different rules.
      const value = type === 'event_count' ? event['event_id'] : field === undefined ? `${step}` : event[field];
      insert.run(index, group, value ?? '', step, timeMs);
    }
  }
  database.exec('COMMIT');
  if (days.size > 1) throw new RangeError('a workload of more than one day');
}

/** A value is in the window from each of its hits for one span; true while so many values are. */
function counted(database: DatabaseSync, index: number): number {
  const { span, least, rules } = CORRELATIONS[index] as WorkloadCorrelation;
  const query = database.prepare(`
    WITH hits AS (
      SELECT grp, val, t, LAG(t) OVER same AS before, LEAD(t) OVER same AS after
      FROM hit WHERE correlation = :index WINDOW same AS (PARTITION BY grp, val ORDER BY t)
    ), edges AS (
      SELECT grp, t AS at, 1 AS change FROM hits WHERE before IS NULL OR before < t - :span
      UNION ALL SELECT grp, t + :span + 1, -1 FROM hits WHERE after IS NULL OR after > t + :span
    ), steps AS (SELECT grp, at, SUM(change) AS change FROM edges GROUP BY grp, at
    ), levels AS (
      SELECT grp, at, SUM(change) OVER inside AS level, LEAD(at) OVER inside AS next
      FROM steps WINDOW inside AS (PARTITION BY grp ORDER BY at)
    ), truths AS (
      SELECT grp, at AS begins, LAG(next - 1) OVER (PARTITION BY grp ORDER BY at) AS ended FROM levels WHERE level >= :least
    ) SELECT COUNT(*) AS episodes FROM truths WHERE ended IS NULL OR begins - ended > :span`);
  return episodesOf(query.get({ index, span: SPAN_MS[span], least: least ?? rules.length }));
}

/** Of three steps: for each last one the latest second before it, and the latest first before that. */
function ordered(database: DatabaseSync, index: number): number {
  const { span } = CORRELATIONS[index] as WorkloadCorrelation;
  const query = database.prepare(`
    WITH firsts AS (
      SELECT grp, t, step, MAX(CASE step WHEN 0 THEN t END) OVER (PARTITION BY grp ORDER BY t) AS first
      FROM hit WHERE correlation = :index
    ), seconds AS (
      SELECT grp, t, step, MAX(CASE step WHEN 1 THEN first END) OVER (PARTITION BY grp ORDER BY t) AS first FROM firsts
    ), truths AS (SELECT grp, t AS begins, first + :span AS ends FROM seconds WHERE step = 2 AND first >= t - :span
    ), joined AS (
      SELECT begins, MAX(ends) OVER (
        PARTITION BY grp ORDER BY begins, ends ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
      ) AS ended FROM truths
    ) SELECT COUNT(*) AS episodes FROM joined WHERE ended IS NULL OR begins - ended > :span`);
  return episodesOf(query.get({ index, span: SPAN_MS[span] }));
}

function episodesOf(row: Record<string, unknown> | undefined): number {
  return Number(row?.['episodes'] ?? Number.NaN);
}
