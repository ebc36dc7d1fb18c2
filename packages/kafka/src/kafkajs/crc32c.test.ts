import { expect, it } from 'vitest';
import { crc32c } from './crc32c.ts';

// RFC 3720, appendix B.4, and the usual check value.
it.each([
  ['32 zeros', Buffer.alloc(32), 0x8a9136aa],
  ['32 ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['0 to 31', Buffer.from(Array.from({ length: 32 }, (_, n) => n)), 0x46dd794e],
  ['31 to 0', Buffer.from(Array.from({ length: 32 }, (_, n) => 31 - n)), 0x113fdb5c],
  ['no whole step', Buffer.from('123456789'), 0xe3069283],
  ['nothing', Buffer.alloc(0), 0],
])('the checksum of %s, wherever it begins', (_, bytes, wanted) => {
  for (let from = 0; from < 9; from++) {
    expect(crc32c(Buffer.concat([Buffer.alloc(from, 7), bytes]), from)).toBe(wanted);
  }
});
