import {
  type DeadLetterTopicName,
  mirroredIntakeTopic,
  namespacedTopic,
  TOPIC_NAMES,
  type TopicName,
} from '@tracehound/event-model';
import { type Letter, type LetterState, readFull, readLetters } from '../dead-letters/dead-letter-log.ts';
import { type RedriveProgress, redriveLetters } from '../dead-letters/redrive.ts';
import type { Log } from '../deployment/servers.ts';
import type { Progress } from '../events/progress.ts';
import { columns } from '../render/columns.ts';
import { counted } from '../render/counted.ts';
import { INTERRUPTED } from '../replay/read-all.ts';
import { timeOption } from '../time-option.ts';
import { UsageError } from '../usage-error.ts';

/** Which letters; all that are given must hold. */
export type LetterFilter = {
  readonly reason?: string;
  readonly service?: string;
  /** When they were refused, RFC 3339: `[from, to)`. */
  readonly from?: string;
  readonly to?: string;
  /** Records as `partition/offset` of the topic they came from. */
  readonly at?: readonly string[];
};

type Format = { readonly format: 'table' | 'json' };
export type DlqListFlags = Format;
export type DlqShowFlags = LetterFilter & Format & { readonly limit: string; readonly values?: true };
export type DlqRedriveFlags = LetterFilter & Format & { readonly limit?: string; readonly yes?: true };

export type DlqContext = Pick<Log, 'kafka' | 'admin' | 'codec' | 'namespace' | 'mirrored' | 'now'> & {
  readonly terminal: Pick<Log['terminal'], 'out' | 'note'>;
  readonly progress?: Progress<RedriveProgress>;
  /** True once the user wants an end. */
  readonly stopped?: () => boolean;
};

/** Topics whose records mean something only where they lie, and what to do instead. */
const PLACED: Partial<Record<TopicName, string>> = {
  'security.matches':
    'its records form a chain per source (X5), and a copy would break it; mend what is wrong and let the partition be rebuilt from the log',
  'detection.activations': 'activations build on one another; use `rules apply`',
  'detection.rules': 'use `rules apply`',
};

/** `tracehound dlq list`: letters per topic and reason, and how many of them are open. Exit code 0. */
export async function runDlqList({ format }: DlqListFlags, context: DlqContext): Promise<number> {
  const present = new Set(await context.admin.listTopics());
  const own = TOPIC_NAMES.filter((name) => !isDeadLetterTopic(name));
  const topics = [...own.map((name) => namespacedTopic(context.namespace, name)), ...(context.mirrored ?? [])];
  const rows = [];
  for (const topic of topics.filter((name) => present.has(`${name}.dlq`))) {
    const { letters, unreadable } = await readLetters(context, topic);
    const groups = Map.groupBy(letters, (letter) => `${letter.service}\n${letter.stage}\n${letter.reason}`);
    for (const group of groups.values()) {
      const [{ service, stage, reason }] = group as [Letter, ...Letter[]];
      const times = group.map(({ failedAtMs }) => failedAtMs);
      const [first, last] = [Math.min(...bounds(times)), Math.max(...bounds(times))].map(isoTime);
      rows.push({ topic, service, stage, reason, letters: group.length, open: countOf(group, 'open'), first, last });
    }
    if (unreadable > 0)
      context.terminal.note(
        `${topic}.dlq holds ${counted(unreadable, 'record that is no dead letter', 'records that are no dead letters')}`,
      );
  }
  if (format === 'json') context.terminal.out(JSON.stringify(rows));
  else if (rows.length === 0) context.terminal.out('no dead letters');
  else {
    context.terminal.out(
      columns(
        ['TOPIC', 'SERVICE', 'STAGE', 'REASON', 'LETTERS', 'OPEN', 'FIRST', 'LAST'],
        rows.map((row) => Object.values(row).map((cell) => plain(String(cell)))),
      ),
    );
  }
  return 0;
}

/** `tracehound dlq show <topic>`: one line per letter, the newest last. Exit code 0. */
export async function runDlqShow(name: string, flags: DlqShowFlags, context: DlqContext): Promise<number> {
  const topic = topicOf(name, context);
  const limit = limitOf(flags.limit) ?? 0;
  const letters = (await readLetters(context, topic)).letters.filter(filterOf(flags, topic));
  const shown = letters.toSorted((a, b) => a.failedAtMs - b.failedAtMs).slice(-limit);
  const values = new Map<Letter, string>();
  if (flags.values) {
    for await (const { letter, content } of readFull(context, topic, shown))
      values.set(letter, content.payload?.toString('base64') ?? '');
  }
  if (flags.format === 'json') {
    for (const letter of shown) {
      const { offset, failedAtMs, ...rest } = letter;
      const value = values.get(letter);
      const times = { offset: String(offset), failed_at: isoTime(failedAtMs) };
      context.terminal.out(JSON.stringify({ ...rest, ...times, ...(value === undefined ? {} : { value }) }));
    }
  } else {
    const headings = ['RECORD', 'FAILED AT', 'SERVICE', 'STAGE', 'REASON', 'BYTES', 'STATE', 'DETAIL'];
    const rows = shown.map((letter) =>
      [
        letter.of,
        isoTime(letter.failedAtMs),
        letter.service,
        letter.stage,
        letter.reason,
        String(letter.bytes),
        letter.state,
        values.has(letter) ? `${letter.detail} ${values.get(letter)}` : letter.detail,
      ].map(plain),
    );
    context.terminal.out(columns(headings, rows));
  }
  if (shown.length < letters.length)
    context.terminal.note(`the newest ${shown.length} of ${counted(letters.length, 'letter')}; --limit shows more`);
  return 0;
}

/**
 * `tracehound dlq redrive <topic>`: sends records of open letters to the topic they came from. Without `--yes` it only says what
 * it would send. What was sent is not sent again, however often it runs. Exit code 0; 1 when a record was not acknowledged; 130
 * when it was interrupted, then the rest stays open.
 */
export async function runDlqRedrive(name: string, flags: DlqRedriveFlags, context: DlqContext): Promise<number> {
  const topic = topicOf(name, context);
  const placed = PLACED[declaredName(topic, context)];
  if (placed !== undefined) throw new UsageError(`records of ${topic} are not sent again: ${placed}`);
  const { letters } = await readLetters(context, topic);
  const chosen = letters.filter(filterOf(flags, topic));
  // Two letters of one record are one record to send.
  const open = [...new Map(chosen.filter(({ state }) => state === 'open').map((one) => [one.of, one])).values()];
  const due = open.slice(0, limitOf(flags.limit) ?? open.length);
  const left = Object.fromEntries(
    (['redriven', 'no value', 'marker', 'other topic'] satisfies LetterState[])
      .map((state) => [state, countOf(chosen, state)] as const)
      .filter(([, count]) => count > 0),
  );
  const report = flags.yes ? await sendAgain(due, topic, context) : { sent: 0, failed: 0, error: null, stopped: false };
  if (flags.format === 'json') {
    const { sent, failed } = report;
    context.terminal.out(JSON.stringify({ topic, records: due.length, sent, failed, open: open.length - sent, left }));
  } else {
    const rest = Object.entries(left).map(([state, count]) => `, ${count} ${state}`);
    const what = flags.yes
      ? `${counted(report.sent, 'record')} of ${due.length} sent to ${topic}${report.failed > 0 ? `, ${report.failed} not acknowledged` : ''}`
      : `${counted(due.length, 'record')} would be sent to ${topic}`;
    context.terminal.out(`${what}${rest.join('')}`);
    if (!flags.yes && due.length > 0) context.terminal.note('nothing was sent: --yes sends');
  }
  if (report.error !== null)
    context.terminal.note(
      `not acknowledged: ${report.error instanceof Error ? report.error.message : 'unknown'}; run it again`,
    );
  if (report.failed > 0) return 1;
  return report.stopped ? INTERRUPTED : 0;
}

async function sendAgain(due: readonly Letter[], topic: string, context: DlqContext) {
  const producer = await context.kafka.producer();
  try {
    const { progress, stopped } = context;
    return await redriveLetters(due, { source: context, producer, topic, progress, stopped });
  } finally {
    await producer.close();
  }
}

function isDeadLetterTopic(name: TopicName): name is DeadLetterTopicName {
  return name.endsWith('.dlq');
}

/** The topic in the cluster that `security.events`, its `.dlq`, or the name of a mirrored topic means. @throws UsageError */
function topicOf(name: string, { namespace, mirrored }: DlqContext): string {
  const bare = name.endsWith('.dlq') ? name.slice(0, -'.dlq'.length) : name;
  if (mirrored?.includes(bare)) return bare;
  const declared = TOPIC_NAMES.find((one) => one === bare || namespacedTopic(namespace, one) === bare);
  if (declared !== undefined) return namespacedTopic(namespace, declared);
  const known = [...TOPIC_NAMES.filter((one) => !isDeadLetterTopic(one)), ...(mirrored ?? [])];
  throw new UsageError(`no topic ${JSON.stringify(name)}: expected one of ${known.join(', ')}`);
}

function declaredName(topic: string, { namespace }: DlqContext): TopicName {
  const own = TOPIC_NAMES.find((one) => namespacedTopic(namespace, one) === topic);
  return own ?? mirroredIntakeTopic(topic) ?? 'security.events';
}

/** @throws UsageError for a time or a place that is none. */
function filterOf(flags: LetterFilter, topic: string): (letter: Letter) => boolean {
  const fromMs = timeOption('--from', flags.from) ?? Number.NEGATIVE_INFINITY;
  const toMs = timeOption('--to', flags.to) ?? Number.POSITIVE_INFINITY;
  if (fromMs >= toMs) throw new UsageError('--from must lie before --to');
  const places = flags.at && new Set(flags.at.map((place) => `${topic}/${placeOf(place)}`));
  return (letter) =>
    letter.failedAtMs >= fromMs &&
    letter.failedAtMs < toMs &&
    (flags.reason === undefined || letter.reason === flags.reason) &&
    (flags.service === undefined || letter.service === flags.service) &&
    (places === undefined || places.has(letter.of));
}

function placeOf(text: string): string {
  if (!/^\d+\/\d+$/.test(text)) throw new UsageError(`--at ${text}: write partition/offset, e.g. 3/1042`);
  return text;
}

function limitOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--limit ${text}: write a whole number from 1 on`);
  return Number(text);
}

function countOf(letters: readonly Letter[], state: LetterState): number {
  return letters.filter((letter) => letter.state === state).length;
}

/** Least and greatest: arguments of a call are limited, letters are not. */
function bounds(times: readonly number[]): readonly [number, number] {
  return times.reduce<[number, number]>(
    ([low, high], time) => [Math.min(low, time), Math.max(high, time)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
}

function isoTime(timeMs: number): string {
  const time = new Date(timeMs);
  return Number.isNaN(time.getTime()) ? String(timeMs) : time.toISOString();
}

/** Letters may be anybody's: what could steer a terminal is shown as a question mark. */
function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
