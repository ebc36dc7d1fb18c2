import type { Pool } from '@tracehound/postgres';
import { columns } from '../render/columns.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export type AuditFilter = {
  /** `platform` for events without a subject organization; absent: all. */
  readonly organization?: string;
  readonly kind?: AuditKind;
  readonly type?: string;
  readonly traceId?: string;
  readonly actor?: string;
  /** Append time of the broker, `[from, to)`. */
  readonly from: Date;
  readonly to: Date;
  readonly limit: number;
};

export const AUDIT_KINDS = ['event', 'late', 'finding', 'alert', 'lifecycle', 'delivery', 'rules'] as const;
export type AuditKind = (typeof AUDIT_KINDS)[number];

/** One record of the log as an analyst reads it; copies of an event are left out. */
export type AuditLine = {
  readonly recorded_at: string;
  readonly kind: AuditKind;
  readonly organization_id: string;
  readonly platform: string | null;
  readonly event_type: string | null;
  readonly action: string | null;
  readonly severity: string;
  readonly outcome: string | null;
  readonly actor_id: string | null;
  readonly trace_id: string | null;
  readonly event_id: string | null;
  readonly alert_id: string | null;
  /** `topic/partition/offset`: where the bytes are. */
  readonly position: string;
};

export type AuditQueryCommand = Partial<Omit<AuditFilter, 'from' | 'to' | 'limit' | 'kind'>> & {
  readonly pool: Pool;
  readonly kind?: string;
  /** ISO 8601; default 24 hours before `to`. */
  readonly from?: string;
  /** ISO 8601; default now. */
  readonly to?: string;
  /** Default 100, at most 10,000. */
  readonly limit?: string;
  readonly format: 'table' | 'ndjson' | 'json';
  readonly terminal: Pick<Terminal, 'out' | 'note'>;
};

const DAY_MS = 86_400_000;
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 10_000;

/** Committed rows per kind, copies left out (X6). A kind without rows is absent. */
export async function countAuditRows(pool: Pool): Promise<ReadonlyMap<AuditKind, number>> {
  const { rows } = await pool.query<{ kind: AuditKind; count: bigint }>(
    'SELECT kind, count(*) AS count FROM audit.event WHERE NOT is_duplicate GROUP BY kind',
  );
  return new Map(rows.map(({ kind, count }) => [kind, Number(count)]));
}

/** Rows in the order they were appended, oldest first; `limit` keeps the newest. */
export async function auditTimeline(pool: Pool, filter: AuditFilter): Promise<readonly AuditLine[]> {
  const { rows } = await pool.query<Omit<AuditLine, 'recorded_at'> & { recorded_at: Date }>(
    `SELECT recorded_at, kind, organization_id, platform, event_type, action, audit.severity_name(severity) AS severity,
       outcome, actor_id, trace_id, event_id, alert_id, concat_ws('/', topic, kafka_partition, kafka_offset) AS position
     FROM audit.event
     WHERE recorded_at >= $1 AND recorded_at < $2 AND NOT is_duplicate
       AND ($3::text IS NULL OR organization_id = $3) AND ($4::text IS NULL OR kind = $4)
       AND ($5::text IS NULL OR event_type = $5) AND ($6::text IS NULL OR trace_id = $6)
       AND ($7::text IS NULL OR actor_id = $7)
     ORDER BY recorded_at DESC, topic DESC, kafka_partition DESC, kafka_offset DESC LIMIT $8`,
    [
      filter.from,
      filter.to,
      filter.organization ?? null,
      filter.kind ?? null,
      filter.type ?? null,
      filter.traceId ?? null,
      filter.actor ?? null,
      filter.limit,
    ],
  );
  return rows.reverse().map((row) => ({ ...row, recorded_at: row.recorded_at.toISOString() }));
}

/** `tracehound audit query [--org ID] [--kind K] [--type T] [--trace ID] [--actor ID] [--from T] [--to T] [--limit N]`. */
export async function runAuditQuery(command: AuditQueryCommand): Promise<number> {
  const lines = await auditTimeline(command.pool, filterOf(command));
  switch (command.format) {
    case 'json':
      command.terminal.out(JSON.stringify(lines));
      return 0;
    case 'ndjson':
      for (const line of lines) command.terminal.out(JSON.stringify(line));
      return 0;
    case 'table':
      if (lines.length === 0) command.terminal.note('no audit rows in this range');
      else command.terminal.out(table(lines));
      return 0;
  }
}

function filterOf(command: AuditQueryCommand): AuditFilter {
  const to = timeOf('--to', command.to) ?? new Date();
  const from = timeOf('--from', command.from) ?? new Date(to.getTime() - DAY_MS);
  if (from >= to) throw new UsageError('--from must lie before --to');
  const limit = Number(command.limit ?? LIMIT_DEFAULT);
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX) {
    throw new UsageError(`--limit takes a whole number from 1 to ${LIMIT_MAX}`);
  }
  const { organization, type, traceId, actor } = command;
  const kind = AUDIT_KINDS.find((known) => known === command.kind);
  if (command.kind !== undefined && !kind) throw new UsageError(`--kind takes one of ${AUDIT_KINDS.join(', ')}`);
  return {
    from,
    to,
    limit,
    ...(organization === undefined ? {} : { organization }),
    ...(kind === undefined ? {} : { kind }),
    ...(type === undefined ? {} : { type }),
    ...(traceId === undefined ? {} : { traceId }),
    ...(actor === undefined ? {} : { actor }),
  };
}

function timeOf(flag: string, text: string | undefined): Date | null {
  if (text === undefined) return null;
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) throw new UsageError(`${flag} takes a time such as 2026-11-21T08:00:00Z`);
  return time;
}

function table(lines: readonly AuditLine[]): string {
  return columns(
    ['RECORDED', 'KIND', 'ORGANIZATION', 'PLATFORM', 'WHAT', 'SEVERITY', 'OUTCOME', 'ACTOR', 'POSITION'],
    lines.map((line) => [
      line.recorded_at,
      line.kind,
      line.organization_id,
      line.platform ?? '',
      [line.event_type, line.action].filter(Boolean).join(' '),
      line.severity,
      line.outcome ?? '',
      line.actor_id ?? '',
      line.position,
    ]),
  );
}
