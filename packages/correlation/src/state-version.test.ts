import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { logOfAllKinds, ruleSetOfAllKinds } from '../oracle/log-of-all-kinds.ts';
import { smallBatch, smallConfig } from '../oracle/small-log.ts';
import { createPartitionEngine, type PartitionEngine } from './engine.ts';
import { STATE_VERSION, STATE_VERSION_BEFORE, type StateVersion } from './state-version.ts';

const SET = ruleSetOfAllKinds();
const LOG = logOfAllKinds(SET);

type Written = { readonly meta: Uint8Array; readonly groups: ReadonlyMap<string, Uint8Array> };

/** What the release before has written after the log. */
const WRITTEN_BEFORE: Written = (() => {
  const text = readFileSync(new URL('../testdata/state-v2.json', import.meta.url), 'utf8');
  const { meta, groups } = JSON.parse(text) as { meta: string; groups: Record<string, string> };
  const blobs = Object.entries(groups).map(([id, hex]) => [id, Uint8Array.from(Buffer.from(hex, 'hex'))] as const);
  return { meta: Uint8Array.from(Buffer.from(meta, 'hex')), groups: new Map(blobs) };
})();

function create(stateVersion?: StateVersion): PartitionEngine {
  return createPartitionEngine({ ...smallConfig([SET]), ...(stateVersion ? { stateVersion } : {}) });
}

function load(engine: PartitionEngine, { meta, groups }: Written): PartitionEngine {
  engine.load(meta, groups);
  return engine;
}

function afterLog(stateVersion?: StateVersion): PartitionEngine {
  const engine = create(stateVersion);
  for (const [offset, batch] of LOG.entries()) engine.apply(batch, offset);
  return engine;
}

/** Flushes into `groups` until nothing of another version is left. */
function written(engine: PartitionEngine, groups: ReadonlyMap<string, Uint8Array> = new Map()): Written {
  const all = new Map(groups);
  do {
    for (const { groupId, blob } of engine.takeDirty()) {
      if (blob) all.set(groupId, Uint8Array.from(blob));
      else all.delete(groupId);
    }
  } while (engine.otherVersionGroups > 0);
  return { meta: engine.metaBlob(), groups: new Map([...all].sort()) };
}

function versionsOf({ groups }: Written): readonly (number | undefined)[] {
  return [...new Set([...groups.values()].map((blob) => blob[0]))];
}

/** All that the engine still says, to the end of the input. */
function restOf(engine: PartitionEngine): unknown {
  const to = LOG.at(-1)?.to ?? 0;
  return engine.apply(smallBatch(SET, { prev_to: to, to, watermark: 0, end_of_input: true }), LOG.length);
}

describe('X8 two versions of state', () => {
  it('told to, it writes byte by byte what the release before wrote', () => {
    expect(written(afterLog(STATE_VERSION_BEFORE))).toEqual(WRITTEN_BEFORE);
  });

  it('state of the release before is read and goes on', () => {
    const wanted = restOf(afterLog());
    expect(wanted).not.toEqual([]);
    for (const version of [STATE_VERSION_BEFORE, STATE_VERSION] as const) {
      expect(restOf(load(create(version), WRITTEN_BEFORE))).toEqual(wanted);
      expect(restOf(load(create(version), written(afterLog())))).toEqual(wanted);
    }
  });

  it('an upgrade writes all groups anew, changed or not; a downgrade brings back the same bytes', () => {
    const upgraded = written(load(create(), WRITTEN_BEFORE), WRITTEN_BEFORE.groups);
    expect(versionsOf(upgraded)).toEqual([STATE_VERSION]);
    expect(upgraded).toEqual(written(afterLog()));
    const downgraded = written(load(create(STATE_VERSION_BEFORE), upgraded), upgraded.groups);
    expect(downgraded).toEqual(WRITTEN_BEFORE);
  });

  it('the newer version is the shorter one', () => {
    const size = ({ groups }: Written) => [...groups.values()].reduce((sum, blob) => sum + blob.length, 0);
    expect(size(written(afterLog()))).toBeLessThan(0.9 * size(WRITTEN_BEFORE));
  });

  it('a version that is not known is refused', () => {
    expect(() => create().load(Uint8Array.of(9, 0), [])).toThrow(
      expect.objectContaining({ code: 'SEC_CORR_STATE_VERSION' }),
    );
    const [id, blob] = [...WRITTEN_BEFORE.groups][0] ?? ['', new Uint8Array()];
    const newer = Uint8Array.from(blob);
    newer[0] = STATE_VERSION + 1;
    expect(() => create().load(WRITTEN_BEFORE.meta, [[id, newer]])).toThrow(
      expect.objectContaining({ code: 'SEC_CORR_STATE_VERSION', fields: { version: STATE_VERSION + 1 } }),
    );
  });
});

describe('writing groups of another version anew', () => {
  it('takes some with every flush, dirty ones first, and none that is gone', () => {
    const engine = load(create(), WRITTEN_BEFORE);
    const { size } = WRITTEN_BEFORE.groups;
    expect([engine.otherVersionGroups, engine.dirtyCount]).toEqual([size, 0]);
    restOf(engine);
    expect(engine.liveGroups).toBe(0);
    expect(engine.otherVersionGroups).toBe(0);
    expect(engine.takeDirty().every(({ blob }) => blob === null)).toBe(true);
  });

  it('no more than 2,000 in one flush', () => {
    const before = create(STATE_VERSION_BEFORE);
    const [first] = LOG;
    const match = first?.matches[0];
    if (!first || !match) throw new Error('a log without a match');
    const matches = Array.from({ length: 5_000 }, (_, user) => ({ ...match, group_key: `["s:${user}"]` }));
    before.apply({ ...first, matches }, 0);
    const engine = load(create(), written(before));
    const flushes: number[] = [];
    while (engine.otherVersionGroups > 0) flushes.push(engine.takeDirty().length);
    expect(flushes).toEqual([2_000, 2_000, 1_000]);
    expect(engine.takeDirty()).toEqual([]);
  });
});
