import { TracehoundError } from '@tracehound/event-model';
import { describe, expect, it } from 'vitest';
import { MATCH_BATCH_BYTES_MAX } from './covered-range.ts';
import { MatchWriter } from './match-writer.ts';

type Request = {
  readonly target: number;
  readonly values: readonly string[];
  readonly spans: readonly (string | undefined)[];
  answer(error?: unknown): void;
};

/** Requests wait until the test answers them. */
function setUp() {
  const open: Request[] = [];
  const writer = new MatchWriter({
    appender: {
      append: (target, values, contexts = []) =>
        new Promise((resolve, reject) => {
          open.push({
            target,
            values: values.map(String),
            spans: contexts.map((context) => context?.spanId),
            answer: (error) => (error === undefined ? resolve() : reject(error)),
          });
        }),
    },
    backoff: async () => undefined,
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { writer, open, turn };
}

const values = (...texts: string[]): Buffer[] => texts.map((text) => Buffer.from(text));

describe('match writer', () => {
  it('names for each value of a shared request the span it came from', async () => {
    const { writer, open, turn } = setUp();
    const context = (spanId: string) => ({ traceId: 'trace', spanId, sampled: true });
    void writer.append(0, values('first'), context('a'));
    await turn();
    void writer.append(0, values('b1', 'b2'), context('b'));
    void writer.append(0, values('none'));
    open[0]?.answer();
    await turn();
    expect(open.map(({ spans }) => spans)).toEqual([['a'], ['b', 'b', undefined]]);
    open[1]?.answer();
  });

  it('X5 has one request in flight per target; what waits meanwhile shares the next', async () => {
    const { writer, open, turn } = setUp();
    const done: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      void writer.append(0, values(name)).then(() => done.push(name));
      await turn();
    }
    void writer.append(1, values('other'));
    await turn();
    expect(open.map(({ target, values: sent }) => [target, sent])).toEqual([
      [0, ['a']],
      [1, ['other']],
    ]);
    open[0]?.answer();
    await turn();
    expect(done).toEqual(['a']);
    expect(open[2]?.values).toEqual(['b', 'c']);
    open[2]?.answer();
    await turn();
    expect(done).toEqual(['a', 'b', 'c']);
  });

  it('X5 after an unknown outcome the same request goes out again before anything newer', async () => {
    const { writer, open, turn } = setUp();
    const first = writer.append(0, values('a'));
    await turn();
    void writer.append(0, values('b'));
    open[0]?.answer(new Error('time-out'));
    await turn();
    expect(open[1]?.values).toEqual(['a']);
    open[1]?.answer();
    await first;
    await turn();
    expect(open[2]?.values).toEqual(['b']);
  });

  it('X5 what can never be written fails together with everything behind it', async () => {
    const { writer, open, turn } = setUp();
    const big = Buffer.alloc(MATCH_BATCH_BYTES_MAX - 10, 'x');
    const first = writer.append(0, [big, Buffer.from('tail of the first')]);
    const second = writer.append(0, values('second'));
    await turn();
    const refused = new TracehoundError('too large', { code: 'SEC_TEST', category: 'permanent', retriable: false });
    open[0]?.answer(refused);
    await expect(first).rejects.toBe(refused);
    await expect(second).rejects.toBe(refused);
    expect(open).toHaveLength(1);
  });

  it('a stop gives up what is not acknowledged', async () => {
    const { writer, open, turn } = setUp();
    const first = writer.append(0, values('a'));
    await turn();
    const second = writer.append(0, values('b'));
    writer.stop();
    await expect(second).rejects.toMatchObject({ code: 'SEC_CORRELATOR_STOPPING' });
    open[0]?.answer(new Error('time-out'));
    await expect(first).rejects.toMatchObject({ code: 'SEC_CORRELATOR_STOPPING' });
    await expect(writer.append(0, values('c'))).rejects.toMatchObject({ code: 'SEC_CORRELATOR_STOPPING' });
  });
});
