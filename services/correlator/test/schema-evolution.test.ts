import { createRegistry } from '@tracehound/avro';
import { RECORD_SCHEMAS } from '@tracehound/event-model';
import { sfc32, testStack } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import { correlatorWorld } from './correlator-world.fixture.ts';
import { attack, eventRecord } from './events.fixture.ts';
import { expectExact } from './stream.fixture.ts';

const NAME = 'tracehound.events.v1.AuthenticationEvent';
/** Magic byte and schema id of Confluent framing. */
const FRAME_BYTES = 5;

describe('schema evolution', () => {
  it('schema-evolution: writers of the release before, of this one and of the next in one stream, the same alerts', async () => {
    const world = await correlatorWorld();
    try {
      const schema = RECORD_SCHEMAS[NAME];
      const last = schema.fields.at(-1);
      // In Avro the bytes of a record are those of its fields in order, so the last one can be taken off and one be added.
      expect(last).toMatchObject({ type: ['null', 'string'], default: null });
      const added = { name: 'origin', type: 'string', doc: 'Of the next release.', default: 'unknown' };
      const versions = {
        before: { ...schema, fields: schema.fields.slice(0, -1) },
        now: schema,
        next: { ...schema, fields: [...schema.fields, added] },
      };
      const registry = createRegistry({ url: (await testStack()).registryUrl });
      const subject = `${world.namespace}.evolution`;
      const ids = {
        before: await registry.register(subject, JSON.stringify(versions.before)),
        now: await registry.register(subject, JSON.stringify(versions.now)),
        next: await registry.register(subject, JSON.stringify(versions.next)),
      };
      expect(new Set(Object.values(ids)).size).toBe(3);
      const text = Buffer.from('a gateway');
      const writers = [
        (value: Buffer) => framed(ids.before, value.subarray(FRAME_BYTES, -1)),
        (value: Buffer) => framed(ids.now, value.subarray(FRAME_BYTES)),
        (value: Buffer) =>
          framed(ids.next, Buffer.concat([value.subarray(FRAME_BYTES), Buffer.from([text.length * 2]), text])),
      ];
      const send = async (events: ReturnType<typeof attack>, versionOf: (index: number) => number): Promise<void> => {
        const records = events.map((event, index) => {
          const value = writers[versionOf(index) % 3]?.(world.codec.encode(NAME, eventRecord(event)));
          return { key: `${event.organization}|${event.id}`, value: value ?? null };
        });
        for (const sent of await world.producer.send(world.topic('security.events'), records)) {
          expect(sent.ok).toBe(true);
        }
      };

      await world.app();
      const endMs = Date.now();
      const random = sfc32(25);
      const named = (name: string) => Array.from({ length: 6 }, (_, i) => attack({ name: `${name}-${i}-`, endMs }));
      const [old, mixed, mingled, back] = [named('old'), named('mixed'), named('mingled'), named('back')];
      // An upgrade of writers in the middle of attacks, both at work at once, and a downgrade.
      await send(old.flat(), () => 0);
      await send(mixed.flat(), (index) => index);
      await send(random.shuffle(mingled.flat()), () => 1 + random.below(2));
      await send(back.flat(), () => 0);
      await expectExact(world, [old, mixed, mingled, back].flat(2), 48);
      expect(await world.records('security.events.dlq')).toEqual([]);
    } finally {
      await world.close();
    }
  });
});

function framed(id: number, datum: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_BYTES);
  head.writeUInt32BE(id, 1);
  return Buffer.concat([head, datum]);
}
