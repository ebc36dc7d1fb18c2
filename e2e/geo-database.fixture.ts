import { isIPv4 } from 'node:net';

/** A network and what a database of cities and networks says of it. */
export type GeoEntry = {
  /** An IPv4 network, such as `203.0.113.0/24`. */
  readonly network: string;
  readonly country: string;
  readonly asn: number;
  readonly latitude: number;
  readonly longitude: number;
};

type Value =
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'double'; readonly value: number }
  | { readonly kind: 'uint16' | 'uint32' | 'uint64'; readonly value: number }
  | { readonly kind: 'map'; readonly value: Readonly<Record<string, Value>> }
  | { readonly kind: 'array'; readonly value: readonly Value[] };

/** MaxMind DB File Format 2.0, "Data Field Format": type numbers, above 7 in a byte of their own. */
const TYPES = { text: 2, double: 3, uint16: 5, uint32: 6, map: 7, uint64: 9, array: 11 } as const;
const UINT_BYTES = { uint16: 2, uint32: 4, uint64: 8 } as const;
const METADATA_MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
const SEPARATOR = Buffer.alloc(16);
const RECORD_BITS = 24;

/**
 * The bytes of a MaxMind DB with these IPv4 networks (MaxMind DB File Format Specification 2.0): a binary search tree, 16 zero
 * bytes, the data, the metadata. No shipped database is needed then, whose licence would not let us have one here. Networks must not overlap.
 */
export function geoDatabase(entries: readonly GeoEntry[]): Buffer {
  const data = entries.map((entry) => encode(recordOf(entry)));
  // A leaf is the index of an entry, below zero; a child that is not there yet is null.
  const nodes: [number | null, number | null][] = [[null, null]];
  for (const [index, { network }] of entries.entries()) insert(nodes, bitsOf(network), -1 - index);

  const offsets = data.map((_, index) => data.slice(0, index).reduce((sum, { length }) => sum + length, 0));
  const record = (child: number | null): number => {
    if (child === null) return nodes.length; // "Not found".
    return child >= 0 ? child : nodes.length + SEPARATOR.length + (offsets[-1 - child] ?? 0);
  };
  const tree = Buffer.alloc((nodes.length * RECORD_BITS) / 4);
  for (const [index, [left, right]] of nodes.entries()) {
    tree.writeUIntBE(record(left), index * 6, 3);
    tree.writeUIntBE(record(right), index * 6 + 3, 3);
  }
  const metadata = encode(metadataOf(nodes.length));
  return Buffer.concat([tree, SEPARATOR, ...data, METADATA_MARKER, metadata]);
}

function insert(nodes: [number | null, number | null][], bits: readonly (0 | 1)[], leaf: number): void {
  let at = 0;
  for (const [depth, bit] of bits.entries()) {
    const node = nodes[at];
    const child = node?.[bit] ?? null;
    const isLast = depth === bits.length - 1;
    if (node === undefined || (child !== null && (isLast || child < 0))) throw new Error('networks overlap');
    if (isLast) node[bit] = leaf;
    else if (child === null) {
      at = nodes.push([null, null]) - 1;
      node[bit] = at;
    } else at = child;
  }
}

function bitsOf(network: string): readonly (0 | 1)[] {
  const [address = '', length = ''] = network.split('/');
  const count = Number(length);
  if (!isIPv4(address) || !Number.isInteger(count) || count < 1 || count > 32)
    throw new Error(`no network: ${network}`);
  const text = address.split('.').map((byte) => Number(byte).toString(2).padStart(8, '0'));
  return [...text.join('').slice(0, count)].map((bit) => (bit === '1' ? 1 : 0));
}

function recordOf({ country, asn, latitude, longitude }: GeoEntry): Value {
  return map({
    country: map({ iso_code: { kind: 'text', value: country } }),
    autonomous_system_number: { kind: 'uint32', value: asn },
    location: map({ latitude: { kind: 'double', value: latitude }, longitude: { kind: 'double', value: longitude } }),
  });
}

function metadataOf(nodeCount: number): Value {
  return map({
    binary_format_major_version: { kind: 'uint16', value: 2 },
    binary_format_minor_version: { kind: 'uint16', value: 0 },
    build_epoch: { kind: 'uint64', value: 0 },
    database_type: { kind: 'text', value: 'Tracehound-Test' },
    description: map({ en: { kind: 'text', value: 'Made by a test.' } }),
    ip_version: { kind: 'uint16', value: 4 },
    languages: { kind: 'array', value: [{ kind: 'text', value: 'en' }] },
    node_count: { kind: 'uint32', value: nodeCount },
    record_size: { kind: 'uint16', value: RECORD_BITS },
  });
}

function map(value: Readonly<Record<string, Value>>): Value {
  return { kind: 'map', value };
}

function encode(value: Value): Buffer {
  switch (value.kind) {
    case 'text': {
      const bytes = Buffer.from(value.value);
      return Buffer.concat([control('text', bytes.length), bytes]);
    }
    case 'double': {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleBE(value.value);
      return Buffer.concat([control('double', bytes.length), bytes]);
    }
    case 'map': {
      const entries = Object.entries(value.value);
      const parts = entries.flatMap(([key, inner]) => [encode({ kind: 'text', value: key }), encode(inner)]);
      return Buffer.concat([control('map', entries.length), ...parts]);
    }
    case 'array':
      return Buffer.concat([control('array', value.value.length), ...value.value.map(encode)]);
    default: {
      const bytes = Buffer.alloc(UINT_BYTES[value.kind]);
      bytes.writeUIntBE(value.value, Math.max(0, bytes.length - 6), Math.min(6, bytes.length));
      return Buffer.concat([control(value.kind, bytes.length), bytes]);
    }
  }
}

/** Sizes from 29 on would take further bytes; nothing here is so long. */
function control(kind: Value['kind'], size: number): Buffer {
  if (size >= 29) throw new Error('too long for a test');
  const type = TYPES[kind];
  return Buffer.from(type <= 7 ? [(type << 5) | size] : [size, type - 7]);
}
