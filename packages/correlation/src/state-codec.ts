import { NO_WATERMARK_MS } from '@tracehound/event-model';
import type { CorrelationDefinition } from '@tracehound/sigma';
import type { Source } from './alert.ts';
import { ByteReader, ByteWriter } from './byte-codec.ts';
import { COUNTER_NAMES } from './counters.ts';
import { CorrelationError } from './errors.ts';
import { readFirmMachine } from './firm/machine.ts';
import { type CurrentEpisode, createGroup, type Group, type OpenAlert, type SettledSegment } from './group.ts';
import { readHits, writeHits } from './hit-codec.ts';
import type { Family, GroupRef, Live } from './live-group.ts';
import type { LogMark, WrittenStart } from './log-reach.ts';
import type { Loss } from './losses.ts';
import { STATE_VERSION, STATE_VERSION_BEFORE, type StateVersion } from './state-version.ts';
import { REMEMBERED_HITS_MIN, WrittenHits } from './written-hits.ts';

/**
 * State blobs: a version byte, then fields in fixed order. Equal state has equal bytes. The meta is of version 3, which ends with
 * the losses, only while a rule is degraded; otherwise of version 2.
 */
const META_VERSIONS: readonly number[] = [2, 3];
const META_VERSION_WITH_LOSSES = 3;
const GROUP_VERSIONS: readonly StateVersion[] = [STATE_VERSION_BEFORE, STATE_VERSION];

/** Which rule an instance of the state runs: a rule set by content hash and the rule's index in it. */
export type InstanceRef = {
  readonly key: string;
  readonly rulesetId: string;
  readonly rule: number;
  /** Not known from a meta without `start`. */
  readonly newestMs?: number;
};

export type EngineMeta = {
  readonly nextOffset: number;
  readonly watermarkMs: number;
  /** Watermarks of depth 1 and more (X11). */
  readonly depths: readonly number[];
  readonly sourcesVersion: number;
  readonly sources: Source[];
  readonly instances: readonly InstanceRef[];
  /** `expect`: least and greatest event time of a rule's hits per organization. */
  readonly expected: readonly ExpectedRange[];
  /** Where rules are degraded (X14). */
  readonly losses: readonly Loss[];
  readonly counters: readonly number[];
  /** Null when the release before has written it, or the engine does not ask. */
  readonly start: WrittenStart | null;
};

export type ExpectedRange = {
  readonly instanceKey: string;
  readonly organization: string;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
};

export function encodeMeta(meta: EngineMeta): Uint8Array {
  const writer = new ByteWriter();
  const isDegraded = meta.losses.length > 0;
  writer.byte(isDegraded ? META_VERSION_WITH_LOSSES : META_VERSION_WITH_LOSSES - 1);
  writer.integer(meta.nextOffset);
  writer.integer(meta.watermarkMs);
  writer.integer(meta.sourcesVersion);
  writer.integer(meta.sources.length);
  for (const source of meta.sources) {
    writer.text(source.topic);
    writer.text(source.topicId);
    writer.integer(source.partition);
    writer.integer(source.markOffset);
    writer.integer(source.watermarkMs);
    writer.integer(source.depth);
  }
  writer.integer(meta.instances.length);
  for (const instance of meta.instances) {
    writer.text(instance.key);
    writer.text(instance.rulesetId);
    writer.integer(instance.rule);
  }
  const numbers = meta.start === null ? meta.counters : [...meta.counters, ...startNumbers(meta.start, meta.instances)];
  writer.integer(numbers.length);
  for (const number of numbers) writer.integer(number);
  writer.integer(meta.depths.length);
  for (const depth of meta.depths) writer.integer(depth);
  writer.integer(meta.expected.length);
  for (const range of meta.expected) {
    writer.text(range.instanceKey);
    writer.text(range.organization);
    writer.integer(range.firstAtMs);
    writer.integer(range.lastAtMs);
  }
  if (isDegraded) writeLosses(writer, meta.losses);
  return writer.finish();
}

export function decodeMeta(bytes: Uint8Array): EngineMeta {
  const { reader, version } = versionedReader(bytes, META_VERSIONS);
  const head = {
    nextOffset: reader.integer(),
    watermarkMs: reader.integer(),
    sourcesVersion: reader.integer(),
    sources: reader.list(() => ({
      topic: reader.text(),
      topicId: reader.text(),
      partition: reader.integer(),
      markOffset: reader.integer(),
      watermarkMs: reader.integer(),
      depth: reader.integer(),
    })),
    instances: reader.list(() => ({ key: reader.text(), rulesetId: reader.text(), rule: reader.integer() })),
  };
  const { start, newest, counters } = readNumbers(
    reader.list(() => reader.integer()),
    head,
  );
  const meta = {
    ...head,
    instances: head.instances.map((instance, index) => ({ ...instance, ...newest[index] })),
    start,
    counters,
    depths: reader.list(() => reader.integer()),
    expected: reader.list(() => ({
      instanceKey: reader.text(),
      organization: reader.text(),
      firstAtMs: reader.integer(),
      lastAtMs: reader.integer(),
    })),
    losses: version === META_VERSION_WITH_LOSSES ? reader.list(() => readLoss(reader)) : [],
  };
  reader.end();
  return meta;
}

/**
 * Where the log begins to matter stands behind the counters, as numbers: the release before passes them over, and writes none.
 * Marks as steps from one to the next, which are short.
 */
function startNumbers({ reach, spokenAt }: WrittenStart, instances: readonly InstanceRef[]): readonly number[] {
  const numbers = [reach.reachMs, reach.marks.length];
  let before: LogMark = { offset: 0, reachMs: 0 };
  for (const mark of reach.marks) {
    numbers.push(mark.offset - before.offset, mark.reachMs - before.reachMs);
    before = mark;
  }
  for (const { newestMs } of instances) numbers.push(newestMs ?? NO_WATERMARK_MS);
  for (const offset of spokenAt) numbers.push(offset);
  return numbers;
}

function readNumbers(
  numbers: readonly number[],
  { instances, sources }: { readonly instances: readonly unknown[]; readonly sources: readonly unknown[] },
) {
  const counters = numbers.slice(0, COUNTER_NAMES.length);
  const rest = numbers.slice(COUNTER_NAMES.length);
  const [reachMs, markCount] = rest;
  if (reachMs === undefined || markCount === undefined) return { counters, newest: [], start: null };
  const marks: LogMark[] = [];
  let mark: LogMark = { offset: 0, reachMs: 0 };
  let at = 2;
  for (; marks.length < markCount; at += 2) {
    const [offset, stepMs] = [rest[at] ?? 0, rest[at + 1] ?? 0];
    mark = { offset: mark.offset + offset, reachMs: mark.reachMs + stepMs };
    marks.push(mark);
  }
  const newest = instances.map((_, index) => ({ newestMs: rest[at + index] ?? NO_WATERMARK_MS }));
  at += instances.length;
  return { counters, newest, start: { reach: { reachMs, marks }, spokenAt: rest.slice(at, at + sources.length) } };
}

function writeLosses(writer: ByteWriter, losses: readonly Loss[]): void {
  writer.integer(losses.length);
  for (const loss of losses) {
    writer.text(loss.instanceKey);
    writer.text(loss.organization);
    writer.text(loss.cause);
    writer.integer(loss.fromMs);
    writer.integer(loss.toMs);
    writer.integer(loss.untilMs);
  }
}

function readLoss(reader: ByteReader): Loss {
  return {
    instanceKey: reader.text(),
    organization: reader.text(),
    cause: reader.text(),
    fromMs: reader.integer(),
    toMs: reader.integer(),
    untilMs: reader.integer(),
  };
}

/** The group as the shell stores it: who it is; what `writeLive` writes in the same version follows. */
export function writeGroupHead(writer: ByteWriter, ref: GroupRef, version: StateVersion): void {
  writer.byte(version);
  writer.text(ref.family.instance.key);
  writer.text(ref.family.organization);
  writer.text(ref.groupKey);
}

export type GroupHead = { readonly instanceKey: string; readonly organization: string; readonly groupKey: string };

/** A written group: who it is, and what it knows, which is read once its family is known. */
type WrittenGroup = {
  readonly version: StateVersion;
  readonly head: GroupHead;
  readonly read: (family: Family) => Live;
  /** What `writeLive` would write of it again in the version. */
  readonly packed: Uint8Array;
};

export function decodeGroup(bytes: Uint8Array): WrittenGroup {
  const { reader, version } = versionedReader(bytes, GROUP_VERSIONS);
  const head = { instanceKey: reader.text(), organization: reader.text(), groupKey: reader.text() };
  const packed = reader.rest();
  const read = (family: Family): Live => {
    const live = readLive(reader, family, head.groupKey, version);
    reader.end();
    return live;
  };
  return { version, head, read, packed };
}

function versionedReader<Version extends number>(bytes: Uint8Array, known: readonly Version[]) {
  const reader = new ByteReader(bytes);
  const found = reader.byte();
  const version = known.find((one) => one === found);
  if (version !== undefined) return { reader, version };
  throw new CorrelationError('a state blob has a version this release does not read', 'SEC_CORR_STATE_VERSION', {
    version: found,
  });
}

const EPISODES = 1;
const FIRM = 2;
const CHAIN = 4;

export function writeLive(writer: ByteWriter, live: Live, version: StateVersion): void {
  writer.byte((live.episodes ? EPISODES : 0) | (live.firm ? FIRM : 0) | (live.chain ? CHAIN : 0));
  if (live.episodes) writeGroup(writer, live.episodes, version);
  live.firm?.write(writer);
  live.chain?.write(writer);
}

export function readLive(reader: ByteReader, family: Family, groupKey: string, version: StateVersion): Live {
  const parts = reader.byte();
  const definition: CorrelationDefinition = family.instance.rule.definition;
  return {
    episodes: parts & EPISODES ? readGroup(reader, createGroup(family.organization, groupKey, 0), version) : null,
    firm: parts & FIRM ? readFirmMachine(reader, definition, { purpose: 'alerts' }) : null,
    chain: parts & CHAIN ? readFirmMachine(reader, definition, { purpose: 'chain' }) : null,
    used: true,
  };
}

/** Bits of the byte that says which parts of a group follow: most have hits only. */
const CURRENT = 1;
const OPENS = 2;
const THINNED = 4;
const SETTLED = 8;
const CUT = 16;

function writeGroup(writer: ByteWriter, group: Group, version: StateVersion): void {
  writer.byte(
    (group.current ? CURRENT : 0) |
      (group.opens.length > 0 ? OPENS : 0) |
      (group.thinned.size > 0 ? THINNED : 0) |
      (group.settled.length > 0 ? SETTLED : 0) |
      (group.cutMs === Number.NEGATIVE_INFINITY ? 0 : CUT),
  );
  writer.integer(group.firmToMs);
  writeOwnHits(writer, group, version);
  if (group.current) writeCurrent(writer, group.current, version);
  if (group.opens.length > 0) {
    writer.integer(group.opens.length);
    for (const open of group.opens) {
      writer.text(open.id);
      writer.integer(open.atMs);
      writer.integer(open.minute);
      writer.integer(open.lastAtMs);
      writer.integer(open.count);
    }
  }
  if (group.thinned.size > 0) {
    writer.integer(group.thinned.size);
    for (const [bucket, bitmap] of [...group.thinned].sort(([a], [b]) => a - b)) {
      writer.integer(bucket);
      writer.integer(bitmap.length);
      writer.raw(bitmap);
    }
  }
  if (group.settled.length > 0) {
    writer.integer(group.settled.length);
    for (const segment of group.settled) {
      writer.integer(segment.fromMs);
      writer.integer(segment.toMs);
      writeHits(writer, segment.evidence, segment.fromMs, version);
    }
  }
  if (group.cutMs !== Number.NEGATIVE_INFINITY) writer.integer(group.cutMs);
}

function writeOwnHits(writer: ByteWriter, group: Group, version: StateVersion): void {
  if (group.hits.length < REMEMBERED_HITS_MIN || version !== STATE_VERSION) {
    group.written = null;
    writeHits(writer, group.hits, group.firmToMs, version);
    return;
  }
  group.written ??= new WrittenHits();
  group.written.write(writer, group.hits, group.firmToMs);
}

function readGroup(reader: ByteReader, group: Group, version: StateVersion): Group {
  const parts = reader.byte();
  group.firmToMs = reader.integer();
  group.hits = readHits(reader, group.firmToMs, version);
  if (parts & CURRENT) group.current = readCurrent(reader, version);
  if (parts & OPENS) group.opens = reader.list(() => readOpen(reader));
  if (parts & THINNED) group.thinned = readThinned(reader);
  if (parts & SETTLED) group.settled = reader.list(() => readSettled(reader, version));
  if (parts & CUT) group.cutMs = reader.integer();
  return group;
}

function readThinned(reader: ByteReader): Map<number, Uint8Array> {
  return new Map(reader.list((): [number, Uint8Array] => [reader.integer(), reader.raw(reader.integer())]));
}

function writeCurrent(writer: ByteWriter, current: CurrentEpisode, version: StateVersion): void {
  writer.integer(current.fromMs);
  writer.integer(current.lastAtMs);
  writer.integer(current.counted);
  writer.byte((current.exact ? 1 : 0) | (current.amount === null ? 0 : 2));
  if (current.amount !== null) writer.float(current.amount);
  writeHits(writer, current.evidence, current.fromMs, version);
}

function readCurrent(reader: ByteReader, version: StateVersion): CurrentEpisode {
  const fromMs = reader.integer();
  const lastAtMs = reader.integer();
  const counted = reader.integer();
  const parts = reader.byte();
  const amount = parts & 2 ? reader.float() : null;
  return { fromMs, lastAtMs, counted, exact: (parts & 1) === 1, amount, evidence: readHits(reader, fromMs, version) };
}

function readOpen(reader: ByteReader): OpenAlert {
  return {
    id: reader.text(),
    atMs: reader.integer(),
    minute: reader.integer(),
    lastAtMs: reader.integer(),
    count: reader.integer(),
  };
}

function readSettled(reader: ByteReader, version: StateVersion): SettledSegment {
  const fromMs = reader.integer();
  const toMs = reader.integer();
  return { fromMs, toMs, evidence: readHits(reader, fromMs, version) };
}
