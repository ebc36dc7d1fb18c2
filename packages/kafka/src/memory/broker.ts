import { randomUUID } from 'node:crypto';
import { FAULTS, KafkaError, type KafkaFault } from '../errors.ts';
import type { KafkaRecord, OutgoingRecord, TopicPartition, TopicResult, TopicSpec } from '../port.ts';
import { changeOf } from '../topic-change.ts';
import type { MembershipEvents } from '../wire.ts';

/** Default of Kafka's `max.message.bytes`. */
const MESSAGE_BYTES_MAX = 1_048_588;

type Log = { low: bigint; readonly records: KafkaRecord[] };
type Topic = { readonly id: string; readonly config: Map<string, string>; readonly logs: Log[] };
type Member = { readonly id: number; readonly topics: readonly string[]; readonly events: MembershipEvents };
type Committed = { readonly offset: bigint; readonly note?: string };

type Group = { readonly members: Map<number, Member>; readonly committed: Map<string, Committed> };

export type ProduceFailure = {
  /** The sender cannot know whether the records were written; default false. */
  readonly indefinite?: boolean;
  /** They were, in fact; only sensible with `indefinite`. Default false. */
  readonly written?: boolean;
  /** The producer tries again by itself, so a caller sees the failure only after its time-out; default false. */
  readonly retriable?: boolean;
  /** How many requests fail; default 1. */
  readonly times?: number;
  readonly topic?: string;
  readonly partition?: number;
};

/** One broker in memory: logs, groups, topic ids, append times, and the faults a test wants. */
export class MemoryBroker {
  private readonly now: () => number;
  private readonly topics = new Map<string, Topic>();
  private readonly groups = new Map<string, Group>();
  private readonly failures: { rest: number; failure: ProduceFailure }[] = [];
  private readonly leaderless = new Set<string>();
  private readonly refused = { topic: new Set<string>(), group: new Set<string>() };
  private readonly appended = new Set<() => void>();
  private fetchFailures = 0;
  private commitFailures = 0;
  private members = 0;

  constructor(now: () => number) {
    this.now = now;
  }

  topicNames(): string[] {
    return [...this.topics.keys()];
  }

  createTopic(spec: TopicSpec): TopicResult {
    const { topic } = spec;
    const found = this.topics.get(spec.topic);
    if (!found) {
      this.topics.set(spec.topic, {
        id: randomUUID(),
        config: new Map(Object.entries(spec.config)),
        logs: Array.from({ length: spec.partitions }, () => ({ low: 0n, records: [] })),
      });
      return { topic, action: 'created' };
    }
    const before = { partitions: found.logs.length, config: new Map(found.config) };
    for (const [name, value] of Object.entries(spec.config)) found.config.set(name, value);
    const grows = spec.partitions > found.logs.length && spec.fixedPartitions !== true;
    if (!grows) return changeOf(spec, before);
    while (found.logs.length < spec.partitions) found.logs.push({ low: 0n, records: [] });
    this.rebalanceSubscribers(spec.topic);
    return changeOf(spec, before);
  }

  deleteTopic(topic: string): void {
    this.topics.delete(topic);
    for (const wake of this.appended) wake();
    for (const group of this.groups.values()) {
      for (const key of group.committed.keys()) if (key.startsWith(`${topic}/`)) group.committed.delete(key);
    }
  }

  topicId(topic: string): string {
    return this.topic(topic).id;
  }

  topicSetting(topic: string, name: string): string {
    return this.topic(topic).config.get(name) ?? '';
  }

  partitionCount(topic: string): number {
    return this.topic(topic).logs.length;
  }

  range(at: TopicPartition): { low: bigint; high: bigint } {
    const log = this.log(at);
    return { low: log.low, high: log.low + BigInt(log.records.length) };
  }

  hasLeader(at: TopicPartition): boolean {
    return this.topics.get(at.topic)?.logs[at.partition] !== undefined && !this.leaderless.has(keyOf(at));
  }

  /** Takes all records or none, as one batch with one append time. */
  append(at: TopicPartition, records: readonly OutgoingRecord[]): { baseOffset: bigint; appendTimeMs: number | null } {
    const failure = this.takeFailure(at);
    if (failure && !failure.written) throw failureError(failure, at);
    if (!this.hasLeader(at)) throw new KafkaError('the partition has no leader', FAULTS.notLeader, { at });
    const topic = this.topic(at.topic);
    const log = this.log(at);
    const bytesMax = Number(topic.config.get('max.message.bytes') ?? MESSAGE_BYTES_MAX);
    const bytes = records.reduce((sum, r) => sum + (r.value?.length ?? 0) + (r.key?.length ?? 0), 0);
    if (bytes > bytesMax) throw new KafkaError('the batch is too large', FAULTS.recordTooLarge, { at });
    const { high } = this.range(at);
    const appendTimeMs = this.now();
    records.forEach((record, index) => {
      log.records.push({
        topic: at.topic,
        partition: at.partition,
        offset: high + BigInt(index),
        appendTimeMs,
        key: typeof record.key === 'string' ? Buffer.from(record.key) : record.key,
        value: record.value,
        headers: Object.fromEntries(
          Object.entries(record.headers ?? {}).map(([name, value]) => [
            name,
            typeof value === 'string' ? Buffer.from(value) : value,
          ]),
        ),
      });
    });
    for (const wake of this.appended) wake();
    if (failure) throw failureError(failure, at);
    return { baseOffset: high, appendTimeMs };
  }

  /** Records from `offset` on, up to about `bytesMax` but at least one if there is one. */
  slice(at: TopicPartition, offset: bigint, bytesMax: number): readonly KafkaRecord[] {
    if (this.fetchFailures > 0) {
      this.fetchFailures--;
      throw new KafkaError('an injected fetch failure', FAULTS.connectionLost, { at });
    }
    if (this.refused.topic.has(at.topic)) throw new KafkaError('reading is refused', FAULTS.unauthorized, { at });
    if (!this.hasLeader(at)) throw new KafkaError('the partition has no leader', FAULTS.notLeader, { at });
    const { low, high } = this.range(at);
    if (offset < low || offset > high) {
      throw new KafkaError('the offset is out of range', FAULTS.offsetOutOfRange, { at: { ...at, offset, low, high } });
    }
    const { records } = this.log(at);
    const start = Number(offset - low);
    let bytes = 0;
    let end = start;
    while (end < records.length && (end === start || bytes < bytesMax)) bytes += records[end++]?.value?.length ?? 1;
    return records.slice(start, end);
  }

  allRecords(topic: string): readonly KafkaRecord[] {
    return this.topic(topic).logs.flatMap((log) => log.records);
  }

  /** Resolves at the next append to any partition, or when aborted. */
  nextAppend(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.appended.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.appended.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  join(groupId: string, topics: readonly string[], events: MembershipEvents): number {
    if (this.refused.group.has(groupId)) throw refusedGroup(groupId);
    for (const topic of topics) this.topic(topic);
    const id = ++this.members;
    this.group(groupId).members.set(id, { id, topics, events });
    this.rebalance(groupId);
    return id;
  }

  leave(groupId: string, member: number): void {
    if (this.group(groupId).members.delete(member)) this.rebalance(groupId);
  }

  isMember(groupId: string, member: number): boolean {
    return this.group(groupId).members.has(member);
  }

  commit(groupId: string, at: TopicPartition, offset: bigint, note?: string): void {
    if (this.commitFailures > 0) {
      this.commitFailures--;
      throw new KafkaError('an injected commit failure', FAULTS.coordinator, { at });
    }
    this.group(groupId).committed.set(keyOf(at), { offset, ...(note === undefined ? {} : { note }) });
  }

  committed(groupId: string, at: TopicPartition): Committed | null {
    return this.groups.get(groupId)?.committed.get(keyOf(at)) ?? null;
  }

  /** A new assignment for every member, as after a join; partitions go round robin over members in order of joining. */
  rebalance(groupId: string): void {
    const members = [...this.group(groupId).members.values()];
    for (const member of members) member.events.rebalancing();
    const topics = [...new Set(members.flatMap((member) => member.topics))].filter((topic) => this.topics.has(topic));
    const assignments = new Map<Member, TopicPartition[]>(members.map((member) => [member, []]));
    let turn = 0;
    for (const topic of topics) {
      const subscribers = members.filter((member) => member.topics.includes(topic));
      for (let partition = 0; partition < this.partitionCount(topic); partition++) {
        assignments.get(subscribers[turn++ % subscribers.length] as Member)?.push({ topic, partition });
      }
    }
    for (const [member, assignment] of assignments) queueMicrotask(() => member.events.joined(assignment));
  }

  /** Throws a member out as an expired session would; its consumer joins again as a new member. */
  expelMembers(
    groupId: string,
    why: KafkaError = new KafkaError('the session expired', FAULTS.rebalancing, { at: { groupId } }),
  ): void {
    const members = [...this.group(groupId).members.values()];
    this.group(groupId).members.clear();
    for (const member of members) member.events.crashed(why);
  }

  /** Reading from a topic, or taking part in a group. Members of the group are refused at once, as at a heartbeat. */
  setRefused(what: 'topic' | 'group', name: string, isRefused: boolean): void {
    if (!isRefused) {
      this.refused[what].delete(name);
      return;
    }
    this.refused[what].add(name);
    if (what === 'group') this.expelMembers(name, refusedGroup(name));
  }

  failNextProduce(failure: ProduceFailure): void {
    this.failures.push({ rest: failure.times ?? 1, failure });
  }

  failNextFetches(times: number): void {
    this.fetchFailures += times;
  }

  failNextCommits(times: number): void {
    this.commitFailures += times;
  }

  setLeaderless(at: TopicPartition, isLeaderless: boolean): void {
    if (isLeaderless) this.leaderless.add(keyOf(at));
    else this.leaderless.delete(keyOf(at));
  }

  truncateBefore(at: TopicPartition, low: bigint): void {
    const log = this.log(at);
    const cut = low - log.low;
    if (cut <= 0n) return;
    log.records.splice(0, Number(cut));
    log.low = low;
  }

  private takeFailure(at: TopicPartition): ProduceFailure | undefined {
    const index = this.failures.findIndex(
      ({ failure }) =>
        (failure.topic === undefined || failure.topic === at.topic) &&
        (failure.partition === undefined || failure.partition === at.partition),
    );
    const found = this.failures[index];
    if (!found) return undefined;
    found.rest--;
    if (found.rest <= 0) this.failures.splice(index, 1);
    return found.failure;
  }

  private rebalanceSubscribers(topic: string): void {
    for (const [groupId, group] of this.groups) {
      if ([...group.members.values()].some((member) => member.topics.includes(topic))) this.rebalance(groupId);
    }
  }

  private topic(name: string): Topic {
    const topic = this.topics.get(name);
    if (!topic) throw new KafkaError('the topic is not there', FAULTS.unknownTopic, { at: { topic: name } });
    return topic;
  }

  private log(at: TopicPartition): Log {
    const log = this.topic(at.topic).logs[at.partition];
    if (!log) throw new KafkaError('the partition is not there', FAULTS.unknownPartition, { at });
    return log;
  }

  private group(groupId: string): Group {
    let group = this.groups.get(groupId);
    if (!group) {
      group = { members: new Map(), committed: new Map() };
      this.groups.set(groupId, group);
    }
    return group;
  }
}

function failureError(failure: ProduceFailure, at: TopicPartition): KafkaError {
  const fault: KafkaFault = {
    ...(failure.indefinite ? FAULTS.connectionLost : FAULTS.notEnoughReplicas),
    retriable: failure.retriable ?? false,
  };
  return new KafkaError('an injected produce failure', fault, { at });
}

function keyOf(at: TopicPartition): string {
  return `${at.topic}/${at.partition}`;
}

function refusedGroup(groupId: string): KafkaError {
  return new KafkaError('the group is refused', FAULTS.unauthorized, { at: { groupId } });
}
