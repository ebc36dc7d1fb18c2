/**
 * What R-112 keeps out of stored texts. Each pattern runs in linear time: quantifiers are bounded, and a look-behind
 * lets a pattern start only where its token starts, so no text can be scanned again and again from inside.
 */
type Rule = {
  readonly kind: string;
  readonly pattern: RegExp;
  readonly replace: (match: string) => string | null;
};

const CONTROL_OR_BIDI = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g;

/** Secrets, in any text. */
const SECRET_RULES: readonly Rule[] = [
  {
    kind: 'pem',
    pattern: /-----BEGIN [A-Z ]{1,40}-----[\s\S]*?(?:-----END [A-Z ]{1,40}-----|$)/g,
    replace: () => '[pem]',
  },
  {
    kind: 'jwt',
    pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{0,4096}/g,
    replace: () => '[jwt]',
  },
  {
    kind: 'credential',
    pattern: /(?<![A-Za-z])(?:bearer|basic) {1,4}[A-Za-z0-9._~+/=-]{8,4096}/gi,
    replace: () => '[credential]',
  },
  {
    kind: 'token',
    pattern:
      /(?<![A-Za-z0-9_-])(?:(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}|glpat-[A-Za-z0-9_-]{20,64}|xox[abprs]-[A-Za-z0-9-]{10,255}|sk_live_[A-Za-z0-9]{16,128})(?![A-Za-z0-9_])/g,
    replace: () => '[token]',
  },
  {
    kind: 'card',
    pattern: /(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])/g,
    replace: (match) => (passesLuhn(match.replace(/[ -]/g, '')) ? '[card]' : null),
  },
  {
    kind: 'iban',
    pattern: /(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}(?![A-Za-z0-9])/g,
    replace: (match) => (passesMod97(match) ? '[iban]' : null),
  },
];

/** Addresses of people and places: kept only where the catalogue lists the field. */
const CONTACT_RULES: readonly Rule[] = [
  {
    kind: 'url',
    pattern: /(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}:\/\/[^\s"'<>]{1,8192}/g,
    replace: (match) => `[url:${hostOf(match)}]`,
  },
  {
    kind: 'email',
    // Every character RFC 5322 allows in an unquoted local part (section 3.2.3, atext) and the dot.
    pattern:
      /(?<![A-Za-z0-9.!#$%&'*+/=?^_`{|}~-])[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,128}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}/g,
    replace: () => '[email]',
  },
];

const ALL_RULES: readonly Rule[] = [...SECRET_RULES, ...CONTACT_RULES];

/** Texts are cut to this before any pattern runs: nothing longer is kept anyway. */
const SCAN_LENGTH_MAX = 8_192;

export type Redacted = { readonly text: string; readonly kinds: readonly string[] };

/** `secrets` takes out credentials only; `all` also URLs (their host stays) and e-mail addresses. */
export function redactText(text: string, level: 'secrets' | 'all'): Redacted {
  const kinds: string[] = [];
  let result = text.length > SCAN_LENGTH_MAX ? text.slice(0, SCAN_LENGTH_MAX) : text;
  const clean = result.replace(CONTROL_OR_BIDI, '');
  if (clean !== result) kinds.push('control');
  result = clean;
  for (const rule of level === 'all' ? ALL_RULES : SECRET_RULES) {
    let hit = false;
    const next = result.replace(rule.pattern, (match) => {
      const replaced = rule.replace(match);
      if (replaced !== null) hit = true;
      return replaced ?? match;
    });
    if (hit) kinds.push(rule.kind);
    result = next;
  }
  return { text: result, kinds };
}

/** Longest prefix of at most `bytesMax` UTF-8 bytes that ends between characters. */
export function cutBytes(text: string, bytesMax: number): string {
  if (text.length <= bytesMax / 3 || Buffer.byteLength(text) <= bytesMax) return text;
  const bytes = Buffer.from(text);
  let end = bytesMax;
  // Continuation bytes are 10xxxxxx: step back to the start of the character that was cut.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

/** Names of fields whose value is never kept, whatever it looks like. Compared without case, `-` and `_`. */
const DENIED_NAMES: ReadonlySet<string> = new Set([
  'password',
  'passwd',
  'pwd',
  'passphrase',
  'secret',
  'clientsecret',
  'token',
  'accesstoken',
  'refreshtoken',
  'idtoken',
  'apikey',
  'privatekey',
  'authorization',
  'cookie',
  'setcookie',
  'ssn',
  'card',
  'cardnumber',
  'cvv',
  'cvc',
  'pin',
  'otp',
]);

/** The last part of a dotted name decides: `user.password` is denied like `password`. */
export function isDeniedName(name: string): boolean {
  const last = name.slice(name.lastIndexOf('.') + 1);
  return DENIED_NAMES.has(last.toLowerCase().replace(/[-_]/g, ''));
}

function hostOf(address: string): string {
  if (!URL.canParse(address)) return 'unknown';
  const { hostname } = new URL(address);
  return hostname === '' ? 'none' : hostname.slice(0, 253);
}

/** Luhn check sum (ISO/IEC 7812-1, annex B). */
function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const value = i % 2 === 1 ? digit * 2 : digit;
    sum += value > 9 ? value - 9 : value;
  }
  return sum % 10 === 0;
}

/** ISO 13616: the country code and check digits go to the end, letters count from 10, the rest by 97 is 1. */
function passesMod97(iban: string): boolean {
  let rest = 0;
  for (const letter of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(letter, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}
