import type { Source } from './alert.ts';
import { ByteReader, ByteWriter } from './byte-codec.ts';
import { CorrelationError } from './errors.ts';
import type { CurrentEpisode, Group, OpenAlert, SettledSegment } from './group.ts';
import type { Hit } from './hit.ts';

/**
 * State blobs: a version byte, then fields in fixed order. Equal state has equal bytes. A release reads its own
 * version and the one before (X8); this is the first, so it reads 1.
 */
const STATE_VERSION = 1;

/** Which rule an instance of the state runs: a rule set by content hash and the rule's index in it. */
export type InstanceRef = { readonly key: string; readonly rulesetId: string; readonly rule: number };

export type EngineMeta = {
  readonly nextOffset: number;
  readonly watermarkMs: number;
  readonly sourcesVersion: number;
  readonly sources: Source[];
  readonly instances: readonly InstanceRef[];
  readonly counters: readonly number[];
};

export function encodeMeta(meta: EngineMeta): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(STATE_VERSION);
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
  }
  writer.integer(meta.instances.length);
  for (const instance of meta.instances) {
    writer.text(instance.key);
    writer.text(instance.rulesetId);
    writer.integer(instance.rule);
  }
  writer.integer(meta.counters.length);
  for (const counter of meta.counters) writer.integer(counter);
  return writer.finish();
}

export function decodeMeta(bytes: Uint8Array): EngineMeta {
  const reader = versionedReader(bytes);
  const meta: EngineMeta = {
    nextOffset: reader.integer(),
    watermarkMs: reader.integer(),
    sourcesVersion: reader.integer(),
    sources: reader.list(() => ({
      topic: reader.text(),
      topicId: reader.text(),
      partition: reader.integer(),
      markOffset: reader.integer(),
      watermarkMs: reader.integer(),
    })),
    instances: reader.list(() => ({ key: reader.text(), rulesetId: reader.text(), rule: reader.integer() })),
    counters: reader.list(() => reader.integer()),
  };
  reader.end();
  return meta;
}

export function encodeGroup(instanceKey: string, group: Group): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(STATE_VERSION);
  writer.text(instanceKey);
  writer.text(group.organization);
  writer.text(group.groupKey);
  writer.integer(group.firmToMs);
  writeHits(writer, group.hits, group.firmToMs);
  writeCurrent(writer, group.current);
  writer.integer(group.opens.length);
  for (const open of group.opens) {
    writer.text(open.id);
    writer.integer(open.atMs);
    writer.integer(open.minute);
    writer.integer(open.lastAtMs);
    writer.integer(open.count);
  }
  writer.integer(group.thinned.size);
  for (const [bucket, bitmap] of [...group.thinned].sort(([a], [b]) => a - b)) {
    writer.integer(bucket);
    writer.integer(bitmap.length);
    writer.raw(bitmap);
  }
  writer.integer(group.settled.length);
  for (const segment of group.settled) {
    writer.integer(segment.fromMs);
    writer.integer(segment.toMs);
    writeHits(writer, segment.evidence, segment.fromMs);
  }
  writer.optionalInteger(group.cutMs === Number.NEGATIVE_INFINITY ? null : group.cutMs);
  return writer.finish();
}

export function decodeGroup(bytes: Uint8Array): { readonly instanceKey: string; readonly group: Group } {
  const reader = versionedReader(bytes);
  const instanceKey = reader.text();
  const organization = reader.text();
  const groupKey = reader.text();
  const firmToMs = reader.integer();
  const group: Group = {
    organization,
    groupKey,
    firmToMs,
    hits: readHits(reader, firmToMs),
    current: readCurrent(reader),
    opens: reader.list(() => readOpen(reader)),
    thinned: new Map(reader.list((): [number, Uint8Array] => [reader.integer(), reader.raw(reader.integer())])),
    settled: reader.list(() => readSettled(reader)),
    cutMs: reader.optionalInteger() ?? Number.NEGATIVE_INFINITY,
  };
  reader.end();
  return { instanceKey, group };
}

function versionedReader(bytes: Uint8Array): ByteReader {
  const reader = new ByteReader(bytes);
  const version = reader.byte();
  if (version !== STATE_VERSION) {
    throw new CorrelationError('a state blob has a version this release does not read', 'SEC_CORR_STATE_VERSION', {
      version,
    });
  }
  return reader;
}

/** Times are written as distances: to the base, then to the hit before. */
function writeHits(writer: ByteWriter, hits: readonly Hit[], baseMs: number): void {
  writer.integer(hits.length);
  let beforeMs = baseMs;
  for (const hit of hits) {
    writer.integer(hit.timeMs - beforeMs);
    beforeMs = hit.timeMs;
    writer.text(hit.id);
    writer.integer(hit.step);
    writer.optionalText(hit.value);
    writer.integer(hit.source);
    writer.integer(hit.sourceOffset);
    writer.integer(hit.matchesOffset);
    writer.optionalText(hit.instance);
    writer.optionalInteger(hit.sequence);
  }
}

function readHits(reader: ByteReader, baseMs: number): Hit[] {
  let beforeMs = baseMs;
  return reader.list(() => {
    beforeMs += reader.integer();
    return {
      timeMs: beforeMs,
      id: reader.text(),
      step: reader.integer(),
      value: reader.optionalText(),
      source: reader.integer(),
      sourceOffset: reader.integer(),
      matchesOffset: reader.integer(),
      instance: reader.optionalText(),
      sequence: reader.optionalInteger(),
    };
  });
}

function writeCurrent(writer: ByteWriter, current: CurrentEpisode | null): void {
  writer.byte(current ? 1 : 0);
  if (!current) return;
  writer.integer(current.fromMs);
  writer.integer(current.lastAtMs);
  writer.integer(current.counted);
  writer.byte(current.exact ? 1 : 0);
  writeHits(writer, current.evidence, current.fromMs);
}

function readCurrent(reader: ByteReader): CurrentEpisode | null {
  if (reader.byte() === 0) return null;
  const fromMs = reader.integer();
  return {
    fromMs,
    lastAtMs: reader.integer(),
    counted: reader.integer(),
    exact: reader.byte() === 1,
    evidence: readHits(reader, fromMs),
  };
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

function readSettled(reader: ByteReader): SettledSegment {
  const fromMs = reader.integer();
  const toMs = reader.integer();
  return { fromMs, toMs, evidence: readHits(reader, fromMs) };
}
