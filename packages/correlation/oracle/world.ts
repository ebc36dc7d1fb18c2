import { END_OF_INPUT_WATERMARK_MS, type Match, type MatchBatch } from '@tracehound/event-model';
import { type CorrelationDefinition, loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import { definitionOfRule, type OracleEvent, type OracleRule } from './model.ts';
import { createRandom, type Random } from './random.ts';

/** Random rules and events, and the ways they may reach a matches log: what every property is checked on. */
export type World = {
  readonly ruleSet: RuleSetCompiled;
  readonly rules: readonly WorldRule[];
  readonly latenessMs: number;
  readonly sources: number;
  /** All events, whether in time or not, each with its copies' arrivals. */
  readonly events: readonly WorldEvent[];
};

/** A correlation of the world, and what an event gives to it. */
export type WorldRule = {
  readonly uid: string;
  readonly spanMs: number;
  readonly definition: CorrelationDefinition;
  readonly hitsOf: (event: WorldEvent) => readonly WorldHit[];
};

export type WorldHit = Pick<OracleEvent, 'group' | 'step' | 'value'> & { readonly number: number | null };

export type WorldEvent = {
  readonly id: string;
  readonly timeMs: number;
  readonly organization: string;
  readonly group: string;
  readonly steps: readonly number[];
  readonly value: string;
  readonly number?: number | null;
  readonly instance: string | null;
  readonly sequence: number | null;
};

/** Allowance for brokers' clocks, in the watermark (X4). */
export const CLOCK_ALLOWANCE_MS = 1000;
export const WORLD_TOPIC_ID = '00000000-0000-4000-8000-00000000e7e7';

/** The set of rules, events and the lateness depend on `seed` alone: several arrivals of one world are comparable. */
export function createWorld(seed: number): World {
  const random = createRandom(seed);
  const spanMs = random.pick([1000, 7000, 60_000, 3_600_000, 8 * 3_600_000, 10 * 3_600_000]);
  const steps = random.pick([2, 3, 3, 4]);
  const rules: OracleRule[] = [
    { type: 'event_count', spanMs, threshold: random.pick([1, 2, 3, 3, 5]) },
    { type: 'value_count', spanMs, threshold: random.pick([2, 2, 3, 4]) },
    { type: 'temporal_ordered', spanMs, threshold: steps, strict: random.chance(0.2) },
  ];
  const frameMs = Math.ceil(86_400_000 / spanMs) * spanMs;
  const unitMs = spanMs / 20;
  // Begin shortly before a frame boundary, so that worlds of short spans cross one too.
  let timeMs = 20_000 * frameMs - random.below(200) * unitMs;
  const dense = random.chance(0.4);
  const wholeSeconds = random.chance(0.3) ? 5 : 1;
  const count = 15 + random.below(dense ? 70 : 40);
  const multiStep = random.chance(0.3);
  const numbered = random.chance(0.5);
  const groups = random.pick([['g0'], ['g0', 'g1']]);
  const organizations = random.pick([['acme'], ['acme', 'umbrella']]);
  const events: WorldEvent[] = [];
  for (let index = 0; index < count; index++) {
    timeMs += random.pick(dense ? [0, 0, 0, 1, 1, 2, 6] : [0, 1, 4, 9, 18, 20, 21, 40]) * unitMs;
    const first = random.pick([0, 0, 0, 1, 1, 2, 3]) % steps;
    events.push({
      id: `e${String(random.below(10 ** 6)).padStart(6, '0')}-${index}`,
      timeMs: Math.floor(timeMs / (unitMs * wholeSeconds)) * unitMs * wholeSeconds,
      organization: random.pick(organizations),
      group: `["s:${random.pick(groups)}"]`,
      steps: multiStep && random.chance(0.4) ? [...new Set([first, random.below(steps)])].sort() : [first],
      value: `["s:${random.pick(['alice', 'bob', 'carol', 'dave', 'erin'])}"]`,
      instance: numbered ? random.pick(['i1', 'i2', null]) : null,
      sequence: numbered ? random.below(1000) : null,
    });
  }
  return {
    ruleSet: ruleSetOf(rules),
    rules: rules.map(worldRuleOf),
    latenessMs: random.pick([2, 10, 30, 60]) * unitMs + 120_000,
    sources: 1 + random.below(3),
    events,
  };
}

function worldRuleOf(rule: OracleRule): WorldRule {
  const hit = (event: WorldEvent, step: number, value: string | null): WorldHit => ({
    group: event.group,
    step,
    value,
    number: null,
  });
  const hitsOf = (event: WorldEvent): readonly WorldHit[] => {
    if (rule.type === 'temporal_ordered')
      return event.steps.filter((step) => step < rule.threshold).map((step) => hit(event, step, null));
    return event.steps.includes(0) ? [hit(event, 0, rule.type === 'value_count' ? event.value : null)] : [];
  };
  return { uid: rule.type, spanMs: rule.spanMs, definition: definitionOfRule(rule), hitsOf };
}

/** Real Sigma rules for the oracle's rules, so that the engine takes the same way as in production. */
function ruleSetOf(rules: readonly OracleRule[]): RuleSetCompiled {
  const steps = Math.max(...rules.filter((rule) => rule.type === 'temporal_ordered').map((rule) => rule.threshold));
  const names = Array.from({ length: steps }, (_, step) => `step_${step}`);
  const detections = names.map(
    (name) =>
      `title: ${name}\nname: ${name}\nlogsource: {product: test}\ndetection: {s: {type: ${name}}, condition: s}\n`,
  );
  const correlations = rules.map((rule) => {
    const condition = {
      event_count: `condition: {gte: ${rule.threshold}}`,
      value_count: `condition: {gte: ${rule.threshold}, field: value}`,
      temporal_ordered: `x-corr: {strict: ${rule.strict ?? false}}`,
    }[rule.type];
    const used = rule.type === 'temporal_ordered' ? names : names.slice(0, 1);
    return `title: ${rule.type}\nname: ${rule.type}\ncorrelation:\n  type: ${rule.type}\n  rules: [${used.join(', ')}]\n  group-by: [group]\n  timespan: ${rule.spanMs / 1000}s\n  ${condition}\n`;
  });
  return loadRuleSet([{ path: 'world.yml', content: [...detections, ...correlations].join('---\n') }]);
}

/** How a world reached the log: batches of matches in the order of their offsets, and what was judged late by A. */
export type Arrival = {
  readonly batches: readonly MatchBatch[];
  readonly onTime: readonly WorldEvent[];
};

export type ArrivalOptions = {
  /** Also late copies, and events of which every copy is late. */
  readonly late?: boolean;
  /** Copies of events with the same id, at other offsets and sources (X6). */
  readonly duplicates?: boolean;
  /** Batches produced twice, landing later, or cut anew after a restart of A (X5). */
  readonly resent?: boolean;
  /** Arrivals exactly on the border of lateness, and append times that step back by the allowance (X4). */
  readonly border?: boolean;
  /** The watermark leaves the clock allowance out: a mutant of X4. */
  readonly noAllowance?: boolean;
};

type Appended = { readonly event: WorldEvent; readonly appendMs: number };

/** One of the ways a world may arrive: order, delay, copies, source partitions, batches, and their interleaving. */
export function arriveAt(world: World, seed: number, options: ArrivalOptions): Arrival {
  const random = createRandom(seed ^ 0x5bd1e995);
  const arrivals: { event: WorldEvent; appendMs: number; orderMs: number }[] = [];
  const safeMs = world.latenessMs - 2 * CLOCK_ALLOWANCE_MS;
  for (const event of world.events) {
    const copies = options.duplicates ? random.pick([1, 1, 1, 2, 3]) : 1;
    const late = options.late && random.chance(0.08);
    for (let copy = 0; copy < copies; copy++) {
      let delayMs = random.pick([0, 0, Math.min(random.below(60_000), safeMs), random.below(safeMs)]);
      if (options.border && random.chance(0.3)) delayMs = world.latenessMs;
      if (late || (copy > 0 && random.chance(0.2)))
        delayMs = world.latenessMs + 2 * CLOCK_ALLOWANCE_MS + 1 + random.below(world.latenessMs);
      // A broker whose clock is behind stamps a record lower than the one before it, by the allowance at most (X4).
      const behindMs = options.border && random.chance(0.4) ? random.below(CLOCK_ALLOWANCE_MS + 1) : 0;
      const appendMs = event.timeMs + delayMs;
      arrivals.push({ event, appendMs, orderMs: appendMs + behindMs });
    }
  }
  arrivals.sort((a, b) => a.orderMs - b.orderMs);
  const logs: Appended[][] = Array.from({ length: world.sources }, () => []);
  for (const { event, appendMs } of arrivals) random.pick(logs).push({ event, appendMs });
  const onTime = new Map<string, WorldEvent>();
  for (const { event, appendMs } of logs.flat()) {
    if (appendMs - event.timeMs <= world.latenessMs) onTime.set(event.id, event);
  }
  const queues = logs.map((log, partition) => batchesOf(world, log, { partition, random, options }));
  return { batches: interleave(queues, random, options), onTime: [...onTime.values()] };
}

function batchesOf(
  world: World,
  log: readonly Appended[],
  { partition, random, options }: { partition: number; random: Random; options: ArrivalOptions },
): MatchBatch[] {
  const batches: MatchBatch[] = [];
  const allowanceMs = options.noAllowance ? 0 : CLOCK_ALLOWANCE_MS;
  let position = 0;
  let highest = Number.NEGATIVE_INFINITY;
  let restarts = options.resent ? random.below(3) : 0;
  while (position < log.length) {
    const to = Math.min(log.length, position + 1 + random.below(6));
    for (const record of log.slice(position, to)) highest = Math.max(highest, record.appendMs);
    batches.push({
      ...batchHead(world, partition),
      from: position,
      to,
      prev_to: position,
      watermark: highest - world.latenessMs - allowanceMs,
      end_of_input: false,
      matches: log
        .slice(position, to)
        .flatMap(({ event, appendMs }, index) =>
          appendMs - event.timeMs <= world.latenessMs ? matchesOf(world, event, position + index) : [],
        ),
    });
    position = to;
    // A crashes and begins again at an older committed offset, cutting batches anew.
    if (restarts > 0 && random.chance(0.15)) {
      restarts--;
      position = random.below(position + 1);
    }
  }
  const end = { from: log.length, to: log.length, prev_to: log.length, watermark: END_OF_INPUT_WATERMARK_MS };
  batches.push({ ...batchHead(world, partition), ...end, end_of_input: true, matches: [] });
  return batches;
}

function batchHead(world: World, partition: number) {
  return {
    schema_rev: 1,
    cluster_id: 'test',
    src_topic: 'security.events',
    src_topic_id: WORLD_TOPIC_ID,
    src_partition: partition,
    sources_version: 1,
    activation_id: 'a1',
    ruleset_id: world.ruleSet.rulesetId,
    depth: 0,
  };
}

/** Matches of an event, in the order of rules and steps. */
function matchesOf(world: World, event: WorldEvent, offset: number): Match[] {
  return world.rules.flatMap(({ hitsOf }, rule) =>
    hitsOf(event).map(({ group, ...hit }) => ({
      ...hit,
      rule,
      organization_id: event.organization,
      group_key: group,
      event_id: event.id,
      event_time: event.timeMs,
      source_offset: offset,
      source_instance: event.instance,
      source_seq: event.sequence,
      flags: 0,
    })),
  );
}

/** Any interleaving of the sources is a possible log; re-sent batches land a second time, at once or much later. */
function interleave(queues: readonly (readonly MatchBatch[])[], random: Random, options: ArrivalOptions): MatchBatch[] {
  const heads = queues.map(() => 0);
  const log: MatchBatch[] = [];
  const ghosts: MatchBatch[] = [];
  for (;;) {
    const open = queues.flatMap((queue, index) => ((heads[index] as number) < queue.length ? [index] : []));
    if (open.length === 0) break;
    const index = random.pick(open);
    const batch = queues[index]?.[heads[index] as number] as MatchBatch;
    heads[index] = (heads[index] as number) + 1;
    log.push(batch);
    if (options.resent && random.chance(0.1)) log.push(batch);
    if (options.resent && random.chance(0.1)) ghosts.push(batch);
    if (ghosts.length > 0 && random.chance(0.2))
      log.push(ghosts.splice(random.below(ghosts.length), 1)[0] as MatchBatch);
  }
  return [...log, ...ghosts];
}

/** What the oracle is asked about rule `index` of the world, given what came in time. */
export function oracleEvents(world: World, index: number, onTime: readonly WorldEvent[]): OracleEvent[] {
  return onTime.flatMap((event) => (world.rules[index]?.hitsOf(event) ?? []).map((hit) => ({ ...event, ...hit })));
}

/** X4: the highest watermark that a whole log reaches before the end of its last source. */
export function watermarkBeforeEnd(world: World, batches: readonly MatchBatch[]): number {
  const claims = new Map<number, number>();
  let highest = Number.NEGATIVE_INFINITY;
  for (const batch of batches) {
    const claim = batch.end_of_input ? END_OF_INPUT_WATERMARK_MS : batch.watermark;
    claims.set(batch.src_partition, Math.max(claim, claims.get(batch.src_partition) ?? claim));
    const least = claims.size === world.sources ? Math.min(...claims.values()) : Number.NEGATIVE_INFINITY;
    if (least < END_OF_INPUT_WATERMARK_MS) highest = Math.max(highest, least);
  }
  return highest;
}
