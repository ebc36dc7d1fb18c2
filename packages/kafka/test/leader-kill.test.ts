import { expect, it } from 'vitest';
import { describeCount, runLeaderKill } from '../chaos/leader-kill.ts';

// Three brokers of its own; `npm run chaos -- kafka` runs twenty rounds of the same.
it('broker-leader-kill: no acknowledged record is lost over 3 rounds, with either library', {
  timeout: 150_000,
}, async () => {
  const report = await runLeaderKill({
    rounds: 3,
    secondsPerRound: 7,
    withRawKafkaJs: true,
    onLine: (line) => process.stderr.write(`${line}\n`),
  });
  for (const count of report.counts) process.stderr.write(`3 rounds, ${describeCount(count)}\n`);
  const guarded = report.counts.filter(({ name }) => name.startsWith('guarded'));
  expect(guarded.map(({ name }) => name)).toEqual(['guarded kafkajs', 'guarded platformatic']);
  for (const count of guarded) {
    expect(count.acknowledged).toBeGreaterThan(1_000);
    expect({ name: count.name, lost: count.lost, misplaced: count.misplaced, refused: count.refused }).toEqual({
      name: count.name,
      lost: 0,
      misplaced: 0,
      refused: 0,
    });
    // The kill was felt: some call waited for a new leader.
    expect(count.slowestMs).toBeGreaterThan(200);
  }
});
