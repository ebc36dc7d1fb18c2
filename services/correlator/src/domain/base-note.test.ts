import { describe, expect, it } from 'vitest';
import { decodeBaseNote, encodeBaseNote } from './base-note.ts';

describe('what is committed with a base', () => {
  it.each([
    { topicId: '6b7d2f4e-6a51-4c0f-9a55-1d5d0c8e2b11', rebuildFrom: { offset: 12_345, reachMs: 1_800_000_000_000 } },
    { topicId: 'x', rebuildFrom: { offset: 0, reachMs: 0 } },
    { topicId: 'x', rebuildFrom: null },
  ])('comes back as it was: %j', (note) => {
    expect(decodeBaseNote(encodeBaseNote(note))).toEqual(note);
  });

  it.each([
    undefined,
    '',
    'v2 x 1@2',
    'v1',
    'v1 x',
    'v1 x 1',
    'v1 x -1@2',
    'v1 x 1@2 more',
    'v1  1@2',
    'v1 x 1@',
    'autocommit',
  ])('is nothing when it is not ours: %s', (note) => {
    expect(decodeBaseNote(note)).toBeNull();
  });
});
