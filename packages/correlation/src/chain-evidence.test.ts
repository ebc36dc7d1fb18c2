import { describe, expect, it } from 'vitest';
import { ChainEvidence } from './chain-evidence.ts';

describe('ChainEvidence', () => {
  it('tells events through hits over hits, sorted, each once', () => {
    const chained = new ChainEvidence();
    chained.keep('chain:one', ['e2', 'e1']);
    chained.keep('chain:two', ['chain:one', 'e3', 'e1']);
    chained.keep('chain:two', ['other']);
    expect(chained.resolve(['chain:two', 'e0'])).toEqual(['e0', 'e1', 'e2', 'e3']);
    expect(chained.resolve(['b', 'a'])).toEqual(['b', 'a']);
  });

  it('forgets the hits given first when there are too many ids', () => {
    const chained = new ChainEvidence(4);
    for (const name of ['a', 'b', 'c']) chained.keep(`chain:${name}`, [`${name}1`, `${name}2`]);
    expect(chained.resolve(['chain:a'])).toEqual(['chain:a']);
    expect(chained.resolve(['chain:b', 'chain:c'])).toEqual(['b1', 'b2', 'c1', 'c2']);
    chained.keep('chain:large', ['1', '2', '3', '4', '5']);
    expect(chained.resolve(['chain:large'])).toEqual(['chain:large']);
    chained.keep('chain:d', ['d1']);
    expect(chained.resolve(['chain:d'])).toEqual(['d1']);
  });
});
