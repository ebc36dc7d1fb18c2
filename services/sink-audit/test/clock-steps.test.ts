import { STEPPED_CLOCK_ENVIRONMENT, stepClock, waitFor } from '@tracehound/testkit';
import { expect, it } from 'vitest';
import { loginFailure } from './event.fixture.ts';
import { sinkWorld } from './sink-world.fixture.ts';

it('clock-steps: an hour back and then ahead, rows and announcements come on without duplicate or gap', async () => {
  const world = await sinkWorld();
  try {
    const sink = world.spawn(STEPPED_CLOCK_ENVIRONMENT);
    const sent: string[] = [];
    const sendSome = async (): Promise<void> => {
      const events = Array.from({ length: 100 }, () => loginFailure({ severity: 'HIGH' }));
      await world.send(events);
      sent.push(...events.map((event) => `acme|${event.envelope.event_id}`));
    };
    await sendSome();
    await world.caughtUp(60_000);
    for (let step = 0; step < 3; step++) {
      await sendSome();
      await stepClock(sink);
      await sendSome();
      await world.caughtUp();
    }
    const { rows } = await world.database.admin.query<Record<string, bigint>>(
      `SELECT count(*) AS stored, count(DISTINCT (topic_id, kafka_partition, kafka_offset)) AS positions,
         count(DISTINCT event_id) AS ids, count(*) FILTER (WHERE is_duplicate) AS copies,
         count(*) FILTER (WHERE abs(extract(epoch FROM recorded_at - now())) > 600) AS misdated,
         (SELECT count(*) FROM audit.gap) AS gaps
       FROM audit.event`,
    );
    const all = BigInt(sent.length);
    expect(rows[0]).toEqual({ stored: all, positions: all, ids: all, copies: 0n, misdated: 0n, gaps: 0n });
    await waitFor(async () => (await world.records('security.event-detected')).length >= sent.length, {
      what: 'the announcements',
    });
    const announced = (await world.records('security.event-detected')).map((record) => record.key?.toString());
    expect(announced.sort()).toEqual(sent.sort());
    expect(sink.exitCode).toBeNull();
  } finally {
    await world.close();
  }
});
