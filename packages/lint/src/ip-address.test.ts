import { expect, test } from 'vitest';
import { ipVersionOf } from './ip-address.ts';

test.each([
  ['10.0.0.1', 4],
  ['255.255.255.255', 4],
  ['10.0.0.256', 0],
  ['10.0.01.1', 0],
  ['10.0.0', 0],
  ['::', 6],
  ['::1', 6],
  ['2001:db8::', 6],
  ['1:2:3:4:5:6:7:8', 6],
  ['::ffff:10.0.0.1', 6],
  ['1:2:3:4:5:6:7', 0],
  ['1::2::3', 0],
  ['1:2:3:4:5:6:7:8:9', 0],
  ['g::1', 0],
  ['', 0],
] as const)('%s', (text, version) => {
  expect(ipVersionOf(text)).toBe(version);
});
