import {
  createFieldView,
  type EventFieldView,
  type ExternalEvent,
  type LazyExternalEvent,
  type NativeEventRecord,
  RECORD_NAMES,
  RECORD_SCHEMAS,
  type RecordName,
  TracehoundError,
} from '@tracehound/event-model';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { arbitraryValue } from '../../test/arbitrary-value.ts';
import { type AvroCodec, createAvroCodec, createMemoryRegistry, registerRecords } from '../index.ts';

const EXTERNAL = 'tracehound.events.v1.ExternalEvent';
const EVENTS = RECORD_NAMES.filter((name) => {
  const fields = RECORD_SCHEMAS[name].fields as readonly { readonly name: string }[];
  return fields.some((field) => field.name === 'envelope');
});
const RUNS = Number(process.env['TRACEHOUND_FUZZ_RUNS'] ?? 60);

type AnyEvent = NativeEventRecord | ExternalEvent | LazyExternalEvent;

let codec: AvroCodec;

beforeAll(async () => {
  const registry = createMemoryRegistry();
  await registerRecords(registry);
  codec = createAvroCodec({ registry });
  await codec.prepare(RECORD_NAMES);
});

/** Own fields of plain objects, getters of lazy ones, as data to compare. */
function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value) || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  const found: Record<string, unknown> = {};
  // `for in` sees getters of the class too.
  for (const key in value) found[key] = plain((value as Record<string, unknown>)[key]);
  return found;
}

function seen(view: EventFieldView): unknown {
  const names = [...view.fields()];
  const asList = (found: unknown): unknown => (found === undefined || Array.isArray(found) ? found : [found]);
  for (const name of names) {
    if (view.lookup !== undefined) expect(asList(view.lookup({ name })), name).toEqual(view.values(name));
  }
  return {
    fields: names.map((name) => [name, view.values(name)]),
    keywords: [...view.keywords()],
    logSource: plain(view.logSource),
    absent: view.values('constructor'),
  };
}

function everything(decoded: { readonly name: RecordName; readonly value: object }): unknown {
  const event = decoded.value as AnyEvent;
  const { fields: _, ...rest } = event as Record<string, unknown>;
  return { name: decoded.name, rest: plain(rest), view: seen(createFieldView(event)) };
}

/** What a decoder makes of the bytes: everything there is to see, or the code of its refusal. */
function outcome(decode: () => unknown): unknown {
  try {
    return everything(decode() as Parameters<typeof everything>[0]);
  } catch (error) {
    if (error instanceof TracehoundError) return error.code;
    throw error;
  }
}

/** Half of them with numbers of everyday size: the largest are left to the whole decoder. */
function event(): fc.Arbitrary<{ name: RecordName; value: unknown }> {
  return fc
    .tuple(fc.oneof(fc.constant<RecordName>(EXTERNAL), fc.constantFrom(...EVENTS)), fc.boolean())
    .chain(([name, isEveryday]) => {
      const value = arbitraryValue(RECORD_SCHEMAS[name]);
      return fc.record({ name: fc.constant(name), value: isEveryday ? value.map(everyday) : value });
    });
}

function everyday(value: unknown): unknown {
  if (typeof value === 'number') return value % 2 ** 26;
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  if (Array.isArray(value)) return value.map(everyday);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, everyday(inner)]));
}

function externalEvent(fields: unknown): Buffer {
  const [value] = fc.sample(arbitraryValue(RECORD_SCHEMAS[EXTERNAL]), { numRuns: 1, seed: 2 });
  return codec.encode(EXTERNAL, { ...(everyday(value) as object), fields } as never);
}

describe('decodeEvent', () => {
  test('shows what the whole decoder shows, for every kind of event', () => {
    fc.assert(
      fc.property(event(), ({ name, value }) => {
        const bytes = codec.encode(name, value as never);
        expect(outcome(() => codec.decodeEvent(bytes))).toEqual(outcome(() => codec.decode(bytes)));
      }),
      { numRuns: RUNS * 10 },
    );
  });

  test('takes and refuses the same bytes, cut or with bits turned', () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 7 })), { maxLength: 4 });
    fc.assert(
      fc.property(event(), flips, fc.option(fc.nat()), ({ name, value }, bits, cut) => {
        const bytes = codec.encode(name, value as never);
        for (const [at, bit] of bits) {
          // Behind the frame: another schema id is another schema.
          const position = 5 + (at % (bytes.length - 5));
          bytes[position] = (bytes[position] ?? 0) ^ (1 << bit);
        }
        const given = cut === null ? bytes : bytes.subarray(0, 5 + (cut % (bytes.length - 4)));
        expect(outcome(() => codec.decodeEvent(given))).toEqual(outcome(() => codec.decode(given)));
      }),
      { numRuns: RUNS * 20 },
    );
  });

  test('knows texts and orders of fields again without taking one for another', () => {
    // Few letters, so that texts share length and most bytes, and meet in one place of the memory.
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'é'), maxLength: 9 });
    const field = fc.record({
      name: word,
      is_list: fc.boolean(),
      values: fc.array(fc.record({ type: fc.constant('STRING'), text: word }), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(field, { maxLength: 12 }), (fields) => {
        const bytes = externalEvent(fields);
        expect(outcome(() => codec.decodeEvent(bytes))).toEqual(outcome(() => codec.decode(bytes)));
      }),
      { numRuns: RUNS * 20 },
    );
  });

  test('reads nothing of an external event that nobody asks for', () => {
    const text = { type: 'STRING', text: 'before' };
    const bytes = externalEvent([{ name: 'f', is_list: false, values: [text] }]);
    const { value: lazy } = codec.decodeEvent(bytes) as { value: LazyExternalEvent };
    bytes.write('behind', bytes.indexOf('before'));
    expect(lazy.fields.lookup('f')).toBe('behind');
  });

  test('gives other records as the whole decoder does', () => {
    const name = 'tracehound.pipeline.v1.LateEvent';
    const [value] = fc.sample(arbitraryValue(RECORD_SCHEMAS[name]), { numRuns: 1, seed: 3 });
    const bytes = codec.encode(name, value as never);
    expect(codec.decodeEvent(bytes)).toEqual(codec.decode(bytes));
  });
});
