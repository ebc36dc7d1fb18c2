import {
  intakeTopicNames,
  mirroredIntakeTopic,
  namespacedTopic,
  TOPIC_NAMES,
  TOPIC_PROFILES,
  TOPICS,
  type TopicProfile,
  topicSettings,
} from '@tracehound/event-model';
import type { KafkaClient, TopicResult } from '@tracehound/kafka';
import { columns } from '../render/columns.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export type TopicAction = TopicResult;

/** What the topic commands need; the caller opens and closes the client. */
export type TopicsOptions = {
  readonly kafka: Pick<KafkaClient, 'admin'>;
  /** Prefix of the topic names; empty by default. */
  readonly namespace: string;
  readonly profile: TopicProfile;
  /** Topics that mirror intake topics of other deployments; none by default. */
  readonly mirrored?: readonly string[] | undefined;
};
export type TopicsCommand = Omit<TopicsOptions, 'profile'> & {
  readonly profile: string;
  readonly format: 'table' | 'json';
  readonly terminal: Pick<Terminal, 'out'>;
};

const KEPT = 'it has fewer partitions than the profile says, and open windows hang on their number';
const DAY_MS = 86_400_000;

/**
 * Makes the topics of `deploy/topics.yaml`, and those that mirror others, in the cluster and adjusts their settings. Idempotent;
 * never shrinks or deletes. `kept`: security.matches has fewer partitions than the profile says, and must not grow
 * (`MatchesGrownError` of the correlator).
 * @throws TracehoundError for a mirrored topic that is none.
 */
export async function applyTopics(options: TopicsOptions): Promise<readonly TopicAction[]> {
  const admin = await options.kafka.admin();
  try {
    const { mirrored = [], namespace } = options;
    intakeTopicNames(namespace, mirrored);
    return await admin.applyTopics(topicSettings({ ...options, mirrored }));
  } finally {
    await admin.close();
  }
}

/** `tracehound topics apply [--profile default|local]`. */
export async function runTopicsApply(command: TopicsCommand): Promise<number> {
  const results = await applyTopics({ ...command, profile: profileOf(command.profile) });
  if (command.format === 'json') command.terminal.out(JSON.stringify(results));
  else
    command.terminal.out(
      columns(
        ['TOPIC', 'ACTION'],
        results.map((result) => [result.topic, actionText(result)]),
      ),
    );
  return 0;
}

/** `changed: retention.ms 86400000 -> 3600000; kept: …`. */
function actionText({ action, changes = [], partitionsKept }: TopicAction): string {
  const kept = `kept: ${KEPT}`;
  if (action === 'kept') return kept;
  if (action !== 'changed') return action;
  const texts = changes.map(({ setting, before, after }) => `${setting} ${before ?? '(none)'} -> ${after}`);
  return `changed: ${texts.join(', ')}${partitionsKept ? `; ${kept}` : ''}`;
}

/** `tracehound topics list`: what is declared and whether the cluster has it. */
export async function runTopicsList(command: TopicsCommand): Promise<number> {
  const profile = profileOf(command.profile);
  const admin = await command.kafka.admin();
  try {
    const present = new Set(await admin.listTopics());
    const wanted = [
      ...TOPIC_NAMES.map((name) => ({ name, topic: namespacedTopic(command.namespace, name) })),
      ...(command.mirrored ?? []).flatMap((topic) => {
        const name = mirroredIntakeTopic(topic);
        return name === null ? [] : [{ name, topic }];
      }),
    ];
    const rows = wanted.map(({ name, topic }) => {
      const declared = TOPICS[name];
      return {
        topic,
        present: present.has(topic),
        partitions: declared.partitions[profile],
        cleanup: declared.cleanup,
        retentionMs: declared.retentionMs,
        reason: declared.retentionReason,
        key: declared.key,
        records: declared.records,
      };
    });
    if (command.format === 'json') command.terminal.out(JSON.stringify(rows));
    else {
      command.terminal.out(
        columns(
          ['TOPIC', 'PRESENT', 'PARTITIONS', 'RETENTION', 'KEY', 'REASON'],
          rows.map((row) => [
            row.topic,
            row.present ? 'yes' : 'no',
            String(row.partitions),
            row.retentionMs === -1 ? 'forever' : `${row.retentionMs / DAY_MS} d`,
            row.key,
            row.reason,
          ]),
        ),
      );
    }
    return rows.every((row) => row.present) ? 0 : 1;
  } finally {
    await admin.close();
  }
}

function profileOf(text: string): TopicProfile {
  const known = Object.keys(TOPIC_PROFILES);
  if (!known.includes(text))
    throw new UsageError(`--profile ${JSON.stringify(text)}: expected one of ${known.join(', ')}`);
  return text as TopicProfile;
}
