/**
 * Canonical text of a network, host bits cleared: `10.1.2.3/8` is `10.0.0.0/8`; IPv6 as RFC 5952. An address without
 * a prefix length is a network of one. Undefined when it is none.
 */
export function canonicalNetwork(text: string): string | undefined {
  const parts = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text.trim());
  if (!parts) return undefined;
  const address = parts[1] as string;
  const octets = address.includes(':') ? undefined : parseIpv4(address);
  const words = octets ? undefined : parseIpv6(address);
  const units = octets ?? words;
  const unitBits = octets ? 8 : 16;
  if (!units) return undefined;
  const bits = units.length * unitBits;
  const prefix = parts[2] === undefined ? bits : Number(parts[2]);
  if (prefix > bits) return undefined;
  const network = units.map((unit, index) => {
    const kept = Math.min(Math.max(prefix - index * unitBits, 0), unitBits);
    return unit & ~((1 << (unitBits - kept)) - 1);
  });
  return `${octets ? network.join('.') : formatIpv6(network)}/${prefix}`;
}

function parseIpv4(text: string): readonly number[] | undefined {
  if (!/^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/.test(text)) return undefined;
  const octets = text.split('.').map(Number);
  return octets.every((octet) => octet <= 255) ? octets : undefined;
}

function parseIpv6(text: string): readonly number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':').flatMap(wordsOf)));
  const [head = [], tail = []] = groups;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const words = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  return words.every((word) => Number.isInteger(word)) ? words : undefined;
}

/** One word per group of hex digits, two for a dotted end (RFC 4291 2.2); NaN for anything else. */
function wordsOf(group: string, index: number, groups: readonly string[]): readonly number[] {
  if (/^[0-9a-f]{1,4}$/i.test(group)) return [Number.parseInt(group, 16)];
  const octets = index === groups.length - 1 ? parseIpv4(group) : undefined;
  if (!octets) return [Number.NaN];
  const [a = 0, b = 0, c = 0, d = 0] = octets;
  return [a * 256 + b, c * 256 + d];
}

/** RFC 5952: lower case, the longest run of two or more zero words as `::`, the first of equal runs. */
function formatIpv6(words: readonly number[]): string {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < words.length; start++) {
    let length = 0;
    while (words[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = words.map((word) => word.toString(16));
  if (best.start < 0) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}
