import type { Match, MatchBatch } from '@tracehound/event-model';
import { createJsonFieldView, type RuleSetCompiled } from '@tracehound/sigma';
import { beginSource } from '../../services/correlator/src/domain/source-progress.ts';
import { createDetectPath, flushAndEmit } from '../../services/correlator/src/pipeline.ts';
import { externalEvent, ORGANIZATION, type WorkloadLine } from './avro-workload.ts';
import { activationOf, LATENESS_MS, MATCHES, type OpenPartitions, recordOf, SOURCE } from './correlator-partitions.ts';

/** Events on their way into windows, batch by batch. */
export type Feed = {
  /** Not measured; the answer takes the batch in, is measured, and tells the matches it made. */
  prepare(lines: readonly WorkloadLine[], offset: number): () => Promise<number>;
  /** Measured. */
  end(): Promise<void>;
};

type Parsed = { readonly lines: readonly WorkloadLine[]; readonly timesMs: readonly number[]; readonly offset: number };

/** Matcher and windows without records between. */
export function feedEngine(rules: RuleSetCompiled, { partitions }: OpenPartitions): Feed {
  const [{ owner, flushPolicy }] = partitions as [OpenPartitions['partitions'][number]];
  const logSource = { category: 'workload', product: null, service: null };
  let next = 0n;
  const batchOf = (fields: Pick<MatchBatch, 'from' | 'to' | 'watermark' | 'matches'>, isEnd: boolean): MatchBatch => ({
    schema_rev: 1,
    cluster_id: 'bench',
    src_topic: SOURCE.topic,
    src_topic_id: SOURCE.topicId,
    src_partition: 0,
    prev_to: fields.from,
    sources_version: 1,
    activation_id: 'bench',
    ruleset_id: rules.rulesetId,
    depth: 0,
    end_of_input: isEnd,
    ...fields,
  });
  const apply = (batch: MatchBatch): void => void owner.apply({ offset: next++, appendTimeMs: 0, batch });
  let to = 0;

  async function push({ lines, timesMs, offset }: Parsed): Promise<number> {
    const matches: Match[] = [];
    for (const [index, line] of lines.entries()) {
      const view = createJsonFieldView(line);
      const detections = rules.matchEvent(view, logSource);
      if (detections.length === 0) continue;
      for (const match of rules.matchesOf(view, detections).matches) {
        matches.push({
          rule: match.rule,
          organization_id: ORGANIZATION,
          group_key: match.group_key,
          event_id: line['event_id'] ?? '',
          event_time: timesMs[index] ?? 0,
          step: match.step,
          value: match.value,
          number: match.number,
          source_offset: offset + index,
          source_instance: null,
          source_seq: null,
          flags: 0,
        });
      }
    }
    to = offset + lines.length;
    apply(batchOf({ from: offset, to, watermark: (timesMs.at(-1) ?? 0) - LATENESS_MS, matches }, false));
    if (flushPolicy.isDue(owner) || flushPolicy.isDueAtEnd(owner)) await flushAndEmit(owner, flushPolicy);
    return matches.length;
  }

  return {
    prepare(lines, offset) {
      const timesMs = lines.map((line) => Date.parse(line['timestamp'] ?? ''));
      return () => push({ lines, timesMs, offset });
    },
    async end() {
      apply(batchOf({ from: to, to, watermark: 0, matches: [] }, true));
      await flushAndEmit(owner, flushPolicy);
    },
  };
}

/** Both stages as they are, the records between them included. */
export function feedService(rules: RuleSetCompiled, { codec, partitions }: OpenPartitions): Feed {
  const activation = activationOf(rules);
  const waiting: Buffer[][] = partitions.map(() => []);
  const offsets = partitions.map(() => 0n);
  let matches = 0;
  const detect = createDetectPath({
    source: SOURCE,
    clusterId: 'bench',
    codec,
    targets: partitions.length,
    writer: { append: async (target, values) => void waiting[target]?.push(...values) },
    counter: { consumed: () => undefined, verdict: () => undefined },
    rulesAt: () => ({ activation, rules }),
    onGroupMissing: () => undefined,
    watch: () => ({ failed: () => undefined }),
    guard: { saw: () => undefined },
    onWithheld: () => undefined,
    onSkipped: () => undefined,
    deadLetters: async () => undefined,
    deadLetterLimit: { admit: () => undefined },
    late: async () => undefined,
    publishFindings: async () => undefined,
    faultPoint: () => undefined,
    onMatches: (count) => {
      matches += count;
    },
  });
  let progress = beginSource(SOURCE, 0n);

  async function correlate(): Promise<void> {
    for (const [partition, { path }] of partitions.entries()) {
      const values = waiting[partition]?.splice(0) ?? [];
      const from = offsets[partition] ?? 0n;
      offsets[partition] = from + BigInt(values.length);
      await path(
        values.map((value, index) => recordOf(MATCHES.topic, { partition, offset: from + BigInt(index), value })),
      );
    }
  }

  return {
    prepare(lines, offset) {
      const records = lines.map((line, index) => ({
        ...recordOf(SOURCE.topic, {
          partition: 0,
          offset: BigInt(offset + index),
          value: codec.encode('tracehound.events.v1.ExternalEvent', externalEvent(line)),
        }),
        appendTimeMs: Date.parse(line['timestamp'] ?? ''),
      }));
      return async () => {
        const before = matches;
        progress = await detect(progress, records);
        await correlate();
        return matches - before;
      };
    },
    async end() {
      const marker = recordOf(SOURCE.topic, { partition: 0, offset: progress.next, value: null });
      progress = await detect(progress, [{ ...marker, headers: { th_marker: Buffer.from('end_of_input') } }]);
      await correlate();
      for (const { owner, flushPolicy } of partitions) await flushAndEmit(owner, flushPolicy);
    },
  };
}
