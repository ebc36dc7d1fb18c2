import { sfc32, waitFor } from '@tracehound/testkit';
import { expect } from 'vitest';
import type { CorrelatorApp } from '../src/app.ts';
import type { CorrelatorWorld } from './correlator-world.fixture.ts';
import { mixedEvents, oracleLines, type TestEvent } from './events.fixture.ts';

/** Slices a stream is sent in. */
const SLICES = 6;

/** Noise and attacks of the last minute, from one seed. */
export function eventsOf(seed: number, count = 300): readonly TestEvent[] {
  return mixedEvents({ random: sfc32(seed), count, endMs: Date.now(), spreadMs: 60_000 });
}

/** Sends in slices with `between` after each, so that things happen in the middle of the stream. */
export async function sendSliced(
  world: { send(events: readonly TestEvent[]): Promise<void> },
  events: readonly TestEvent[],
  between: (slice: number) => Promise<void>,
): Promise<void> {
  const size = Math.ceil(events.length / SLICES);
  for (let slice = 0; slice * size < events.length; slice++) {
    await world.send(events.slice(slice * size, (slice + 1) * size));
    await between(slice);
  }
}

/** Until some alert is out: the stream is really being worked on. */
export async function flowing(world: CorrelatorWorld): Promise<void> {
  await waitFor(async () => (await world.records('security.alerts')).length > 0, {
    what: 'the first alert',
    timeoutMs: 30_000,
  });
}

/** Ends the input and compares all there is with the oracle (E2) and with an undisturbed engine (E1). */
export async function expectExact(
  world: CorrelatorWorld,
  events: readonly TestEvent[],
  /** Fewer finals than this would show nothing. */
  finalsMin = 6,
): Promise<void> {
  await world.endInput();
  await expectEndedExact(world, events, finalsMin);
}

/** The same of an input that has ended. */
export async function expectEndedExact(
  world: CorrelatorWorld,
  events: readonly TestEvent[],
  finalsMin = 6,
): Promise<void> {
  await world.settled(60_000).catch((error: unknown) => {
    throw new Error(world.log(), { cause: error });
  });
  const wanted = oracleLines(events);
  expect(wanted.length).toBeGreaterThanOrEqual(finalsMin);
  expect(await world.finals()).toEqual(wanted);
  expect(await world.brokenE1()).toEqual([]);
}

/** Until the readiness of an app has this status and, where asked for, a check says why. */
export async function untilReadiness(
  app: CorrelatorApp,
  wanted: { readonly status: number; readonly check?: string; readonly says?: RegExp },
): Promise<void> {
  await waitFor(
    async () => {
      const { status, details } = await readiness(app);
      return status === wanted.status && (wanted.says?.test(details[wanted.check ?? ''] ?? '') ?? true);
    },
    { what: `readiness ${wanted.status} ${wanted.check ?? ''} ${wanted.says?.source ?? ''}`, timeoutMs: 45_000 },
  );
}

async function readiness(app: CorrelatorApp): Promise<{ status: number; details: Record<string, string> }> {
  const response = await fetch(`${app.addresses.internal}/health/ready`);
  const body: unknown = await response.json();
  const checks =
    typeof body === 'object' && body !== null && 'checks' in body && Array.isArray(body.checks) ? body.checks : [];
  return {
    status: response.status,
    details: Object.fromEntries(checks.map((check: { name: string; detail: string }) => [check.name, check.detail])),
  };
}

/** Sum of the lines of the metrics page that match, as it is now. */
export async function metricOf(app: CorrelatorApp, pattern: RegExp): Promise<number> {
  const page = await (await fetch(`${app.addresses.internal}/metrics`)).text();
  return page
    .split('\n')
    .filter((line) => pattern.test(line))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
