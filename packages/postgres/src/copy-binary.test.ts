import { InvariantError } from '@tracehound/event-model';
import { describe, expect, test } from 'vitest';
import { type BinaryColumn, type BinaryRow, binaryCopyStream } from './copy-binary.ts';

async function encoded(columns: readonly BinaryColumn[], rows: Iterable<BinaryRow>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of binaryCopyStream(columns, rows)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('hex');
}

const HEADER = '5047434f50590aff0d0a000000000000000000';

describe('binary COPY', () => {
  test.each<[BinaryColumn['type'], BinaryRow[number], string]>([
    ['text', 'é', '00000002c3a9'],
    ['uuid', '00112233-4455-6677-8899-aabbccddeeff', '0000001000112233445566778899aabbccddeeff'],
    ['int2', -2, '00000002fffe'],
    ['int4', 2_147_483_647, '000000047fffffff'],
    ['int8', 9_007_199_254_740_993n, '000000080020000000000001'],
    ['bool', true, '0000000101'],
    ['float8', 1.5, '000000083ff8000000000000'],
    ['timestamptz', 946_684_800_001, '0000000800000000000003e8'],
    ['timestamptz', new Date(946_684_799_999), '00000008fffffffffffffc18'],
    ['jsonb', { a: 1 }, '00000008017b2261223a317d'],
    ['jsonb', '[1]', '00000004015b315d'],
    ['bytea', Buffer.of(0, 255), '0000000200ff'],
    ['text[]', [], '0000000c000000000000000000000019'],
    ['text[]', ['a', null], '0000001d00000001000000010000001900000002000000010000000161ffffffff'],
    ['text', null, 'ffffffff'],
  ])('%s %o', async (type, value, hex) => {
    expect(await encoded([{ name: 'c', type }], [[value]])).toBe(`${HEADER}0001${hex}ffff`);
  });

  test.each<[BinaryColumn['type'], BinaryRow[number]]>([
    ['text', 'a\u0000b'],
    ['text', 1],
    ['uuid', '00112233-4455-6677-8899-aabbccddeefg'],
    ['int2', 40_000],
    ['int4', 1.5],
    ['int8', 2 ** 60],
    ['bool', 1],
    ['timestamptz', Number.NaN],
    ['bytea', 'text'],
    ['text[]', 'text'],
  ])('refuses %s %o, naming the column only', async (type, value) => {
    const failing = encoded([{ name: 'c', type }], [[value]]);
    await expect(failing).rejects.toThrow(InvariantError);
    await expect(failing).rejects.toMatchObject({ fields: { column: 'c', type } });
  });

  test('refuses a row of another length', async () => {
    await expect(encoded([{ name: 'c', type: 'text' }], [['a', 'b']])).rejects.toThrow('another number of values');
  });
});
