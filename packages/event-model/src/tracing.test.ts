import { describe, expect, it } from 'vitest';
import {
  formatTraceparent,
  linksOf,
  NO_TRACER,
  parseTraceparent,
  SPAN_LINKS_MAX,
  type SpanContext,
} from './tracing.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const context = (n: number, sampled = true): SpanContext => ({
  traceId: TRACE,
  spanId: n.toString(16).padStart(16, '0'),
  sampled,
});

describe('traceparent', () => {
  it.each(['00', '01'])('says what it said, flags %s', (flags) => {
    const text = `00-${TRACE}-00f067aa0ba902b7-${flags}`;
    const read = parseTraceparent(text);
    expect(read).toEqual({ traceId: TRACE, spanId: '00f067aa0ba902b7', sampled: flags === '01' });
    expect(read && formatTraceparent(read)).toBe(text);
  });

  it('reads the sampled bit among others, and a later version', () => {
    expect(parseTraceparent(`00-${TRACE}-00f067aa0ba902b7-03`)?.sampled).toBe(true);
    expect(parseTraceparent(`00-${TRACE}-00f067aa0ba902b7-02`)?.sampled).toBe(false);
    expect(parseTraceparent(`cc-${TRACE}-00f067aa0ba902b7-01-more`)?.sampled).toBe(true);
  });

  it.each([
    '',
    'nonsense',
    `ff-${TRACE}-00f067aa0ba902b7-01`,
    `00-${TRACE}-00f067aa0ba902b7-01-more`,
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`,
    `00-${TRACE}-00f067aa0ba902b7`,
  ])('refuses %j', (text) => {
    expect(parseTraceparent(text)).toBeNull();
  });
});

describe('linksOf', () => {
  it('takes sampled spans once, in order', () => {
    expect(linksOf([context(2), null, context(1), context(3, false), context(2)])).toEqual([context(2), context(1)]);
  });

  it('stops at the bound', () => {
    const many = Array.from({ length: SPAN_LINKS_MAX + 5 }, (_, n) => context(n + 1));
    expect(linksOf(many)).toEqual(many.slice(0, SPAN_LINKS_MAX));
  });
});

describe('NO_TRACER', () => {
  it('runs the work and nothing else', async () => {
    expect(await NO_TRACER.span({ name: 's', kind: 'server' }, async (span) => span)).toBeNull();
    expect(await NO_TRACER.within(context(1), async () => NO_TRACER.current())).toBeNull();
    expect(NO_TRACER.read('nonsense')).toBeNull();
  });
});
