import { describe, expect, test } from 'vitest';
import { type BodyKind, listEvents } from './event-list.ts';

function list(text: string | Buffer, kind: BodyKind = 'json', max = 3): ReturnType<typeof listEvents> {
  return listEvents(Buffer.from(text), kind, max);
}

describe('listEvents', () => {
  test.each([
    ['an object', '{"a":1}', 'json', [7]],
    ['a list', '[{"a":1}, {"é":2} ]', 'json', [7, 8]],
    ['events', '{"events":[{"a":1},{}]}', 'json', [7, 2]],
    ['lines', '{"a":1}\n\r\n  \n{}\n', 'ndjson', [7, 2]],
    ['a last line without a break', '{}\n{}', 'ndjson', [2, 2]],
  ] as const)('takes %s', (_name, text, kind, sizes) => {
    const answer = list(text, kind);
    expect(answer.ok && answer.value.map((event) => event.bytes)).toEqual(sizes);
  });

  test.each([
    ['no JSON', '{"a":}', 'json', 'malformed_json'],
    ['a duplicate key', '{"a":1,"a":2}', 'json', 'duplicate_key'],
    ['a number', '1', 'json', 'wrong_form'],
    ['events that are no list', '{"events":{}}', 'json', 'wrong_form'],
    ['something beside events', '{"events":[{}],"more":1}', 'json', 'wrong_form'],
    ['an empty list', '[]', 'json', 'empty_batch'],
    ['no lines', '\n \n', 'ndjson', 'empty_batch'],
    ['nothing', '', 'json', 'malformed_json'],
    ['too many', '[{},{},{},{}]', 'json', 'too_many_events'],
    ['too many lines', '{}\n{}\n{}\n{}', 'ndjson', 'too_many_events'],
  ] as const)('refuses %s', (_name, text, kind, reason) => {
    expect(list(text, kind)).toMatchObject({ ok: false, reason });
  });

  test('says line and column of what is broken', () => {
    expect(list('[\n  {"a": tru}\n]')).toMatchObject({ detail: 'expected a value, at line 2, column 9' });
  });

  test('refuses bytes that are no UTF-8', () => {
    expect(list(Buffer.from([0x22, 0xff, 0x22]))).toMatchObject({ reason: 'invalid_utf8' });
  });

  test('a broken line is left to its own event', () => {
    expect(list('{}\nbroken\n', 'ndjson')).toMatchObject({ ok: true, value: [{}, { source: { text: 'broken' } }] });
  });
});
