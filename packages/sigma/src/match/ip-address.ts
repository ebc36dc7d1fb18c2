/**
 * Addresses and networks as eight 16-bit words, IPv4 as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2), so that `10.0.0.1` and
 * `::ffff:10.0.0.1` are one address. Octets with leading zeros are refused: some systems read them as octal.
 */
export type Address = readonly number[];

export type Network = { readonly words: Address; readonly bits: number };

const MAPPED: readonly number[] = [0, 0, 0, 0, 0, 0xffff];

/** The address a text is, or undefined. A zone (`fe80::1%eth0`) is dropped. */
export function parseAddress(text: string): Address | undefined {
  if (text.length < 2 || text.length > 64) return undefined;
  const v4 = parseV4(text);
  if (v4) return [...MAPPED, ...v4];
  return text.includes(':') ? parseV6(text.split('%', 1)[0] ?? '') : undefined;
}

/** The 32 bits of a dotted IPv4 address, or -1. */
export function parseIpv4(text: string): number {
  let value = 0;
  let octets = 0;
  let octet = -1;
  for (let i = 0; i <= text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit >= 0 && digit <= 9) {
      if (octet === 0) return -1;
      octet = octet < 0 ? digit : octet * 10 + digit;
      if (octet > 255) return -1;
    } else if ((digit === -2 || i === text.length) && octet >= 0) {
      value = (value << 8) | octet;
      octets++;
      octet = -1;
    } else return -1;
  }
  return octets === 4 ? value >>> 0 : -1;
}

function parseV4(text: string): readonly [number, number] | undefined {
  const value = parseIpv4(text);
  return value < 0 ? undefined : [Math.floor(value / 0x10000), value % 0x10000];
}

/** The IPv4 address a mapped address stands for, or -1. */
export function ipv4Of(address: Address): number {
  return isMapped(address) ? (address[6] as number) * 0x10000 + (address[7] as number) : -1;
}

function parseV6(text: string): Address | undefined {
  const [head = '', tail, more] = text.split('::');
  if (more !== undefined) return undefined;
  const left = parseWords(head, tail === undefined);
  const right = tail === undefined ? [] : parseWords(tail, true);
  if (!left || !right) return undefined;
  const missing = 8 - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  return [...left, ...Array.from({ length: missing }, () => 0), ...right];
}

/** Words between colons; the last may be a dotted IPv4 address. */
function parseWords(text: string, isLast: boolean): readonly number[] | undefined {
  if (text === '') return [];
  const words: number[] = [];
  const pieces = text.split(':');
  for (const [index, piece] of pieces.entries()) {
    if (/^[0-9A-Fa-f]{1,4}$/.test(piece)) words.push(Number.parseInt(piece, 16));
    else {
      const v4 = isLast && index === pieces.length - 1 ? parseV4(piece) : undefined;
      if (!v4) return undefined;
      words.push(...v4);
    }
  }
  return words;
}

/** `address/bits`, or a bare address as a network of one. Host bits are cleared. */
export function parseNetwork(text: string): Network | undefined {
  const [address = '', length, more] = text.split('/');
  const words = parseAddress(address);
  if (!words || more !== undefined || address.includes('%')) return undefined;
  const isV4 = !address.includes(':');
  const bits = length === undefined ? (isV4 ? 32 : 128) : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  if (!(bits <= (isV4 ? 32 : 128))) return undefined;
  const total = isV4 ? bits + 96 : bits;
  return { words: words.map((word, index) => word & maskOf(total, index)), bits: total };
}

function maskOf(bits: number, index: number): number {
  const left = bits - index * 16;
  return left >= 16 ? 0xffff : left <= 0 ? 0 : (0xffff << (16 - left)) & 0xffff;
}

/** An IPv4 address lies in an IPv6 network only when that is within the mapped range: `::/0` holds no IPv4. */
export function isInNetwork(address: Address, network: Network): boolean {
  if (network.bits < 96 && isMapped(address)) return false;
  for (let index = 0; index * 16 < network.bits; index++) {
    if (((address[index] as number) & maskOf(network.bits, index)) !== network.words[index]) return false;
  }
  return true;
}

function isMapped(address: Address): boolean {
  for (let index = 0; index < 6; index++) if (address[index] !== MAPPED[index]) return false;
  return true;
}
