import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { NamedType } from './avro-source.ts';

export type ProfileSource = {
  readonly partitions: number;
  readonly replication: number;
  readonly min_insync_replicas: number;
  readonly dlq_partitions: number;
};
export type TopicSource = {
  readonly doc: string;
  readonly key: string;
  readonly key_reason: string;
  readonly records: readonly string[];
  readonly producers: readonly string[];
  readonly consumers: readonly string[];
  readonly partitions?: Readonly<Record<string, number>>;
  readonly cleanup?: 'delete' | 'compact';
  readonly retention: string;
  readonly reason: string;
  readonly max_message_bytes?: number;
};
export type TopicsSource = {
  readonly profiles: Readonly<Record<string, ProfileSource>>;
  readonly dlq: { readonly retention: string; readonly reason: string };
  readonly topics: Readonly<Record<string, TopicSource>>;
};

const DAY_MS = 86_400_000;
const DEAD_LETTER = 'DeadLetter';

export function readTopics(file: string): TopicsSource {
  return parse(readFileSync(file, 'utf8')) as TopicsSource;
}

/** `30d` in milliseconds; `forever` is Kafka's -1. */
export function retentionMs(text: string): number {
  if (text === 'forever') return -1;
  const days = /^([1-9]\d*)d$/.exec(text)?.[1];
  if (!days) throw new Error(`retention ${text}: expected <days>d or forever`);
  return Number(days) * DAY_MS;
}

/** Full names of the records that are the value of some topic, dead letters included, in alphabetical order. */
export function subjectsOf(topics: TopicsSource, named: ReadonlyMap<string, NamedType>): readonly string[] {
  const bySimpleName = new Map([...named].map(([fullName, type]) => [type.name, fullName]));
  const simpleNames = new Set([...Object.values(topics.topics).flatMap((topic) => topic.records), DEAD_LETTER]);
  return [...simpleNames]
    .map((name) => {
      const fullName = bySimpleName.get(name);
      if (!fullName) throw new Error(`topics.yaml names unknown record ${name}`);
      return fullName;
    })
    .sort();
}

export function emitTopics(source: TopicsSource, named: ReadonlyMap<string, NamedType>): string {
  const names = Object.keys(source.topics).sort();
  const all = names.flatMap((name) => [name, `${name}.dlq`]);
  const bySimpleName = new Map([...named].map(([fullName, type]) => [type.name, fullName]));
  const profiles = Object.keys(source.profiles);
  const declarations = names.flatMap((name) => {
    const topic = source.topics[name] as TopicSource;
    const base = {
      name,
      deadLetterOf: null,
      doc: topic.doc,
      key: topic.key,
      records: topic.records.map((record) => bySimpleName.get(record)),
      producers: topic.producers,
      consumers: topic.consumers,
      partitions: Object.fromEntries(
        profiles.map((profile) => [profile, topic.partitions?.[profile] ?? source.profiles[profile]?.partitions]),
      ),
      cleanup: topic.cleanup ?? 'delete',
      retentionMs: retentionMs(topic.retention),
      retentionReason: topic.reason,
      maxMessageBytes: topic.max_message_bytes ?? null,
    };
    const dead = {
      ...base,
      name: `${name}.dlq`,
      deadLetterOf: name,
      doc: `Records of ${name} that can never succeed.`,
      records: [bySimpleName.get(DEAD_LETTER)],
      producers: ['whoever failed'],
      consumers: ['redrive'],
      partitions: Object.fromEntries(profiles.map((profile) => [profile, source.profiles[profile]?.dlq_partitions])),
      cleanup: 'delete',
      retentionMs: retentionMs(source.dlq.retention),
      retentionReason: source.dlq.reason,
    };
    return [base, dead];
  });
  return [
    "import type { RecordName } from './records.ts';",
    '',
    `export type SourceTopicName = ${names.map((name) => `'${name}'`).join(' | ')};`,
    `export type DeadLetterTopicName = ${names.map((name) => `'${name}.dlq'`).join(' | ')};`,
    'export type TopicName = SourceTopicName | DeadLetterTopicName;',
    `export type TopicProfile = ${profiles.map((profile) => `'${profile}'`).join(' | ')};`,
    '',
    '/** One topic of `deploy/topics.yaml`. */',
    'export type TopicDeclaration = {',
    '  readonly name: TopicName;',
    '  readonly deadLetterOf: SourceTopicName | null;',
    '  readonly doc: string;',
    '  readonly key: string;',
    '  readonly records: readonly RecordName[];',
    '  readonly producers: readonly string[];',
    '  readonly consumers: readonly string[];',
    '  readonly partitions: Readonly<Record<TopicProfile, number>>;',
    "  readonly cleanup: 'delete' | 'compact';",
    '  /** Milliseconds; -1 = forever. */',
    '  readonly retentionMs: number;',
    '  readonly retentionReason: string;',
    '  readonly maxMessageBytes: number | null;',
    '};',
    '',
    'export const TOPICS: Readonly<Record<TopicName, TopicDeclaration>> = {',
    ...declarations.map((topic) => `  '${topic.name}': ${JSON.stringify(topic)},`),
    '};',
    '',
    `export const TOPIC_NAMES: readonly TopicName[] = [${all.map((name) => `'${name}'`).join(', ')}];`,
    '',
    'export const TOPIC_PROFILES: Readonly<Record<TopicProfile, { readonly replication: number; readonly minInsyncReplicas: number }>> = {',
    ...profiles.map((profile) => {
      const settings = source.profiles[profile] as ProfileSource;
      return `  ${profile}: { replication: ${settings.replication}, minInsyncReplicas: ${settings.min_insync_replicas} },`;
    }),
    '};',
    '',
  ].join('\n');
}
