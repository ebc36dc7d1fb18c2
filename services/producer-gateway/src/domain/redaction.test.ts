import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutBytes, isDeniedName, redactText } from './redaction.ts';

describe('redactText', () => {
  test.each([
    ['mail bob.smith+x@mail.example.co.uk now', 'mail [email] now', ['email']],
    ['see https://user:pw@intern.example.com:8443/a?token=1 ok', 'see [url:intern.example.com] ok', ['url']],
    ['file:///etc/passwd', '[url:none]', ['url']],
    ['Authorization: Bearer abcdef123456', 'Authorization: [credential]', ['credential']],
    ['jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sflKxwRJ end', 'jwt [jwt] end', ['jwt']],
    ['key AKIAIOSFODNN7EXAMPLE', 'key [token]', ['token']],
    [`gh ghp_${'a'.repeat(36)}`, 'gh [token]', ['token']],
    ['card 4111 1111 1111 1111.', 'card [card].', ['card']],
    ['iban DE89370400440532013000', 'iban [iban]', ['iban']],
    ['-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY----- x', '[pem] x', ['pem']],
    ['-----BEGIN RSA PRIVATE KEY-----\nMII cut off', '[pem]', ['pem']],
    ['a\u0000b\u202ec', 'abc', ['control']],
    ['a@b.cc and c@d.ee http://x.y', '[email] and [email] [url:x.y]', ['url', 'email']],
  ])('%j', (text, expected, kinds) => {
    expect(redactText(text, 'all')).toEqual({ text: expected, kinds });
  });

  test.each([
    'order 4111 1111 1111 1112',
    'DE89370400440532013001',
    'a basic test',
    'name@host',
    'version 1.2.3',
    '0190163d-8694-739b-aea5-966c26f8ad91',
    'C:\\temp\\x',
  ])('leaves alone: %s', (text) => {
    expect(redactText(text, 'all')).toEqual({ text, kinds: [] });
  });

  test('keeps contacts but never secrets where the catalogue lists the field', () => {
    expect(redactText('bob@example.com', 'secrets').text).toBe('bob@example.com');
    expect(redactText('bob@example.com Bearer abcdef123456', 'secrets').text).toBe('bob@example.com [credential]');
  });

  test('what was redacted once has nothing left to redact', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), fc.emailAddress(), fc.webUrl(), (text, email, url) => {
        const once = redactText(`${text} ${email} ${url}`, 'all').text;
        expect(once).not.toContain(` ${email} `);
        expect(redactText(once, 'all').text).toBe(once);
      }),
    );
  });

  test.each([
    ['eyJ', 'eyJ-'.repeat(4_000)],
    ['at signs', 'a@'.repeat(4_000)],
    ['dots', 'a.'.repeat(4_000)],
    ['digits', '4 '.repeat(4_000)],
    ['schemes', 'a+'.repeat(4_000)],
    ['begin', '-----BEGIN A-----'.repeat(400)],
    ['basic', 'basic '.repeat(1_300)],
    ['one word', 'A1'.repeat(4_000)],
  ])('hostile %s cost little', (_name, text) => {
    const before = process.cpuUsage();
    for (let i = 0; i < 10; i++) redactText(text, 'all');
    // 80 kB of the worst shapes; quadratic patterns would need seconds.
    // CPU time, so that a busy machine changes nothing.
    expect(process.cpuUsage(before).user).toBeLessThan(500_000);
  });
});

test('cutBytes ends between characters', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.nat({ max: 80 }), (text, max) => {
      const cut = cutBytes(text, max);
      expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(max);
      expect(text.startsWith(cut)).toBe(true);
      if (Buffer.byteLength(text) <= max) expect(cut).toBe(text);
    }),
  );
});

test.each([
  ['password', true],
  ['user.password', true],
  ['API-Key', true],
  ['set_cookie', true],
  ['passwordless', false],
  ['token_kind', false],
])('isDeniedName(%s) is %s', (name, denied) => {
  expect(isDeniedName(name)).toBe(denied);
});
