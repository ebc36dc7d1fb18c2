import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connectRedis } from '@tracehound/redis';
import { openFaultyLink, openStack, repositoryRoot, type Stack } from '@tracehound/stack';
import { sfc32, waitFor } from '@tracehound/testkit';
import { SMALL_MEMORY } from '../test/correlator-process.fixture.ts';
import { type CorrelatorWorld, correlatorWorld } from '../test/correlator-world.fixture.ts';
import { CHAOS_RULES, type TestEvent } from '../test/events.fixture.ts';
import { FAULTS, type FaultWorld, type FaultyLinks } from './faults.ts';
import { Fleet, type FleetCounts } from './fleet.ts';
import { checkHistory, type History } from './history.ts';
import { createTraffic } from './traffic.ts';

export type SoakOptions = {
  readonly seed: number;
  readonly minutes: number;
  readonly brokers: 1 | 3;
  readonly eventsPerSecond: number;
  /** Faults to draw from; default all. */
  readonly faults?: readonly string[];
  readonly onProgress: (line: string) => void;
};

export type FaultEntry = {
  readonly atMs: number;
  readonly name: string;
  readonly detail: string;
  readonly tookMs: number;
};

export type SoakReport = {
  readonly seed: number;
  readonly minutes: number;
  readonly faults: readonly FaultEntry[];
  readonly sent: number;
  readonly history: History;
  readonly fleet: FleetCounts;
  /** Longest time in which stage B committed nothing, ms. */
  readonly longestStallMs: number;
  /** What was promised and not kept; empty when the soak is green. */
  readonly problems: readonly string[];
};

const LATENESS_MS = 60_000;
const BEAT_MS = 200;
const PROCESSES = 2;
const SETTLE_MS = 180_000;

/**
 * Two correlator processes on real servers under steady traffic and one seeded fault after the other; then everything is healed,
 * the input ends, and the history is checked (E1, E2, E3). The seed fixes traffic and faults; what they meet is up to the machine.
 */
export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const directory = join(repositoryRoot(), '.tracehound', `test-${process.pid}-chaos`);
  await mkdir(directory, { recursive: true });
  const stack = await openStack({
    directory,
    mode: 'native',
    brokers: options.brokers,
    brokerLinks: true,
    onProgress: options.onProgress,
  });
  const links = await openLinks(stack, options.onProgress);
  try {
    return await soakOn(stack, links, options);
  } finally {
    for (const link of links === null ? [] : [links.redis, ...links.brokers]) await link.stop();
    await stack.stop({ wipe: true });
    await rm(directory, { recursive: true, force: true });
  }
}

/** Null where Toxiproxy cannot be built. */
async function openLinks(stack: Stack, onProgress: SoakOptions['onProgress']): Promise<FaultyLinks | null> {
  const upstream = new URL(stack.addresses.redisStateUrl).host;
  try {
    const redis = await openFaultyLink({ upstream }, onProgress);
    return { redis, brokers: await Promise.all(stack.brokerLinks.map((link) => openFaultyLink(link, onProgress))) };
  } catch (error) {
    onProgress(`no network faults: ${error instanceof Error ? error.message : 'Toxiproxy does not start'}`);
    return null;
  }
}

async function soakOn(stack: Stack, links: FaultyLinks | null, options: SoakOptions): Promise<SoakReport> {
  const world = await correlatorWorld({
    files: CHAOS_RULES,
    latenessMs: LATENESS_MS,
    environment: stack.environment(),
    ...(links === null ? {} : { redisStateUrl: `redis://${links.redis.address}` }),
    // The correlators stand behind the proxies, the tools of the soak do not.
    ...(links === null ? {} : { kafkaBrokers: links.brokers.map(({ address }) => address) }),
  });
  const redis = await connectRedis(stack.addresses.redisStateUrl, { role: 'state' });
  let spawned = 0;
  const fleet = new Fleet({
    size: PROCESSES,
    // Results depend on the log, not on what a process has in memory.
    spawn: (env) => world.spawn({ ...PACING, ...(spawned++ % 2 === 0 ? {} : SMALL_MEMORY), ...env }),
  });
  try {
    fleet.start();
    const random = sfc32(options.seed);
    const untilMs = Date.now() + options.minutes * 60_000;
    const stalls = watchStalls(world, options.onProgress);
    const [sent, faults] = await Promise.all([
      sendSteadily(world, { random: sfc32(options.seed ^ 0x5eed), untilMs, ...options }),
      disturb({ random, fleet, stack, redis, links, brokers: options.brokers }, untilMs, options),
    ]);
    const longestStallMs = stalls.stop();
    options.onProgress(`${sent.size} events sent; ending the input`);
    await fleet.close();
    const calm = new Fleet({ size: PROCESSES, spawn: (env) => world.spawn({ ...PACING, ...env }) });
    calm.start();
    const settled = await settle(world, calm);
    const history = await checkHistory(world, sent, LATENESS_MS);
    const counts = fleet.counts();
    await calm.close();
    return {
      ...{
        seed: options.seed,
        minutes: options.minutes,
        faults,
        sent: sent.size,
        history,
        fleet: counts,
        longestStallMs,
      },
      problems: [
        ...settled,
        ...history.problems,
        ...counts.fatal.map((log) => `a process gave up for good: ${log.slice(-600)}`),
      ],
    };
  } finally {
    await fleet.close();
    redis.disconnect();
    await world.close();
  }
}

const PACING = { TRACEHOUND_CORRELATOR_TICK: '300ms', TRACEHOUND_CORRELATOR_REDIS_TIMEOUT: '2s' };

async function settle(world: CorrelatorWorld, fleet: Fleet): Promise<readonly string[]> {
  try {
    await world.endInput();
    await world.settled(SETTLE_MS);
    return [];
  } catch (error) {
    return [`it did not settle: ${error instanceof Error ? error.message : String(error)}\n${fleet.member(0)?.log()}`];
  }
}

/** Sends until the end; an event without an acknowledgement goes out again with its id (X6). */
async function sendSteadily(
  world: CorrelatorWorld,
  options: { readonly random: FaultWorld['random']; readonly untilMs: number; readonly eventsPerSecond: number },
): Promise<ReadonlyMap<string, TestEvent>> {
  const traffic = createTraffic(options.random, LATENESS_MS);
  const sent = new Map<string, TestEvent>();
  while (Date.now() < options.untilMs) {
    const events = traffic(Date.now(), Math.ceil((options.eventsPerSecond * BEAT_MS) / 1_000));
    for (const event of events) sent.set(event.id, event);
    await waitFor(
      () =>
        world.send(events).then(
          () => true,
          () => false,
        ),
      { what: 'the brokers to take events', timeoutMs: 60_000 },
    );
    await delay(BEAT_MS); // The pace of the traffic.
  }
  return sent;
}

async function disturb(
  world: FaultWorld,
  untilMs: number,
  { faults = Object.keys(FAULTS), onProgress }: Pick<SoakOptions, 'faults' | 'onProgress'>,
): Promise<readonly FaultEntry[]> {
  const { random } = world;
  const startedMs = Date.now();
  const log: FaultEntry[] = [];
  // Every kind once, in random order, before any kind comes again.
  let bag: string[] = [];
  await delay(5_000); // Something must be going on before it can be disturbed.
  while (Date.now() < untilMs - 2_000) {
    if (bag.length === 0) bag = random.shuffle(faults);
    const name = bag.pop() ?? '';
    const atMs = Date.now() - startedMs;
    const detail = (await FAULTS[name]?.(world)) ?? 'unknown';
    log.push({ atMs, name, detail, tookMs: Date.now() - startedMs - atMs });
    onProgress(`${(atMs / 1_000).toFixed(1).padStart(7)} s  ${name.padEnd(16)} ${detail}`);
    await delay(500 + random.below(2_500)); // Time to recover, or not quite.
  }
  return log;
}

/** A stall of so long is told when it ends, among the faults that made it. */
const LONG_STALL_MS = 20_000;

/** Looks at how far stage B has committed; a stall is the time without progress while traffic flows. */
function watchStalls(world: CorrelatorWorld, onProgress: (line: string) => void): { stop(): number } {
  const beganMs = Date.now();
  let longestMs = 0;
  let highest = -1n;
  let movedAtMs = Date.now();
  let isOver = false;
  void (async () => {
    while (!isOver) {
      const sum = await world.committedByB().catch(() => null);
      if (sum !== null && sum > highest) {
        const stalledMs = highest < 0n ? 0 : Date.now() - movedAtMs;
        longestMs = Math.max(longestMs, stalledMs);
        if (stalledMs >= LONG_STALL_MS) {
          const at = ((Date.now() - beganMs) / 1_000).toFixed(1).padStart(7);
          onProgress(`${at} s  stage B went on after ${(stalledMs / 1_000).toFixed(1)} s`);
        }
        highest = sum;
        movedAtMs = Date.now();
      }
      await delay(100);
    }
  })();
  return {
    stop() {
      isOver = true;
      return longestMs;
    },
  };
}
