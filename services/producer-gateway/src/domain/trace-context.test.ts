import { describe, expect, test } from 'vitest';
import { formatTraceparent, parseTraceparent } from './trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('parseTraceparent (W3C Trace Context level 2, section 3.2)', () => {
  test.each([
    ['version 00', `00-${TRACE}-${SPAN}-01`],
    ['any flags', `00-${TRACE}-${SPAN}-ff`],
    ['a higher version', `cc-${TRACE}-${SPAN}-01`],
    ['a higher version with more behind', `cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`],
  ])('takes %s', (_name, text) => {
    expect(parseTraceparent(text)).toEqual({ traceId: TRACE, spanId: SPAN, parentSpanId: null });
  });

  test.each([
    ['nothing', ''],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['version 00 with more behind', `00-${TRACE}-${SPAN}-01-x`],
    ['a higher version with text glued on', `cc-${TRACE}-${SPAN}-01x`],
    ['a zero trace id', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a zero span id', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['a short trace id', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['a long span id', `00-${TRACE}-${SPAN}0-01`],
    ['no hex', `00-${TRACE.replace('0', 'g')}-${SPAN}-01`],
    ['missing flags', `00-${TRACE}-${SPAN}`],
    ['short flags', `00-${TRACE}-${SPAN}-1`],
    ['spaces', ` 00-${TRACE}-${SPAN}-01`],
    ['another separator', `00_${TRACE}_${SPAN}_01`],
  ])('refuses %s', (_name, text) => {
    expect(parseTraceparent(text)).toBeNull();
  });

  test('is written back with flags 00', () => {
    expect(formatTraceparent({ traceId: TRACE, spanId: SPAN, parentSpanId: null })).toBe(`00-${TRACE}-${SPAN}-00`);
    expect(formatTraceparent({ traceId: TRACE, spanId: null, parentSpanId: null })).toBeNull();
  });
});
