import { createJsonFieldView, loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type OfflineEvent, oracleOffline, runOffline } from '../oracle/offline.ts';
import { createRandom } from '../oracle/random.ts';
import { createOfflineEngine } from './offline.ts';

const RUNS = Number(process.env['TRACEHOUND_PROPERTY_RUNS'] ?? 300);
const SOURCE = { category: null, product: 'test', service: null };
const ORGANIZATIONS = ['acme', 'globex', 'initech'];
const RULES = (numbers: {
  readonly count: number;
  readonly values: number;
  readonly sum: number;
  readonly bursts: number;
}) =>
  [
    ...['a', 'b'].map(
      (kind) =>
        `title: ${kind}\nname: ${kind}\nlogsource: {product: test}\ndetection: {s: {kind: ${kind}}, condition: s}\n`,
    ),
    `title: count\nname: count\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 10s, condition: {gte: ${numbers.count}}, generate: true}\n`,
    `title: values\nname: values\ncorrelation: {type: value_count, rules: [a, b], group-by: [user], timespan: 10s, condition: {field: host, gte: ${numbers.values}}}\n`,
    `title: sum\nname: sum\ncorrelation: {type: value_sum, rules: [b], group-by: [user], timespan: 10s, condition: {field: bytes, gt: ${numbers.sum}}}\n`,
    `title: few\nname: few\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 10s, condition: {lte: ${numbers.count}}}\n`,
    `title: then\nname: then\ncorrelation: {type: temporal_ordered, rules: [count, b], group-by: [user], timespan: 1m, generate: true}\n`,
    `title: bursts\nname: bursts\ncorrelation: {type: event_count, rules: [count], group-by: [user], timespan: 1m, condition: {gte: ${numbers.bursts}}}\n`,
  ].join('---\n');

type Numbers = Parameters<typeof RULES>[0];
const BASE: Numbers = { count: 3, values: 2, sum: 100, bursts: 2 };

function load(...documents: readonly string[]): RuleSetCompiled {
  return loadRuleSet([{ path: 'r.yml', content: documents.join('---\n') }]);
}

/** Every rule with a number has an override there. */
function overridesFor(organization: string, { count, values, sum, bursts }: Numbers): string[] {
  const changed = [
    ['count', `gte: ${count}`],
    ['values', `gte: ${values}`],
    ['sum', `gt: ${sum}`],
    ['few', `lte: ${count}`],
    ['bursts', `gte: ${bursts}`],
  ];
  return changed.map(
    ([rule, condition]) =>
      `title: ${organization} ${rule}\noverride: {rule: ${rule}, organization: ${organization}, condition: {${condition}}}\ncustom: {owner: o, reason: r, expires: 2099-01-01}\n`,
  );
}

function eventsOf(seed: number): OfflineEvent[] {
  const random = createRandom(seed);
  let timeMs = 1_800_000_000_000;
  return Array.from({ length: 40 + random.below(160) }, (_, index) => {
    timeMs += random.pick([0, 200, 1_000, 1_000, 3_000, 15_000]);
    const event = {
      ...{ kind: random.pick(['a', 'a', 'b']), user: random.pick(['u1', 'u2']), host: random.pick(['h1', 'h2', 'h3']) },
      bytes: String(random.below(120)),
    };
    const organization = random.pick(ORGANIZATIONS);
    return { id: `e${index}`, timeMs, organization, view: createJsonFieldView(event), logSource: SOURCE };
  });
}

/** What finals say, without what differs by the hash of the rule. */
function serviceLines(rules: RuleSetCompiled, events: readonly OfflineEvent[], organization: string): string[] {
  return runOffline(rules, events)
    .filter(({ kind, organization_id }) => kind === 'FINAL' && organization_id === organization)
    .map(({ rule, group, first_at, last_at, count, event_ids }) => {
      const own = event_ids.filter((id) => !id.startsWith('chain:'));
      return JSON.stringify([rule.rule_id, group, first_at, last_at, count, own, event_ids.length]);
    })
    .sort();
}

function offlineLines(rules: RuleSetCompiled, events: readonly OfflineEvent[], organization: string): string[] {
  const engine = createOfflineEngine(rules);
  for (const event of events) {
    const { matches } = rules.matchesOf(event.view, rules.matchEvent(event.view, event.logSource));
    for (const match of matches) engine.add(match, event);
  }
  return engine
    .end()
    .filter((final) => final.organization === organization)
    .map((final) =>
      JSON.stringify([
        final.rule.uid,
        final.groupKey,
        final.firstAtMs,
        final.lastAtMs,
        final.count,
        engine.eventsOf(final),
      ]),
    )
    .sort();
}

const numbers = fc.record({
  count: fc.integer({ min: 1, max: 6 }),
  values: fc.integer({ min: 1, max: 4 }),
  sum: fc.integer({ min: 0, max: 400 }),
  bursts: fc.integer({ min: 1, max: 4 }),
});

describe('R-212 another number in one organization', () => {
  it('says there what a set written with that number says, chains and all, and nothing else elsewhere', () => {
    let differing = 0;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 30 }), numbers, numbers, (seed, acme, globex) => {
        const events = eventsOf(seed);
        const rules = load(RULES(BASE), ...overridesFor('acme', acme), ...overridesFor('globex', globex));
        for (const [organization, own] of Object.entries({ acme, globex, initech: BASE })) {
          const written = load(RULES(own));
          expect(serviceLines(rules, events, organization)).toEqual(serviceLines(written, events, organization));
          expect(offlineLines(rules, events, organization)).toEqual(offlineLines(written, events, organization));
        }
        const plain = serviceLines(load(RULES(BASE)), events, 'acme');
        if (serviceLines(rules, events, 'acme').join() !== plain.join()) differing++;
      }),
      { numRuns: RUNS },
    );
    expect(differing).toBeGreaterThan(RUNS / 4);
  });

  it('E2 equals the oracle for each form of each rule', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 30 }), numbers, (seed, acme) => {
        const events = eventsOf(seed);
        const rules = load(RULES(BASE), ...overridesFor('acme', acme));
        const alerts = runOffline(rules, events).filter(({ kind }) => kind === 'FINAL');
        for (const rule of rules.correlations.filter(({ depth }) => depth === 0)) {
          const said = alerts
            .filter((alert) => alert.rule.semantic_hash === rule.semanticHash && alert.rule.rule_id === rule.uid)
            .map(({ organization_id, first_at, last_at, event_ids }) =>
              JSON.stringify([organization_id, first_at, last_at, event_ids]),
            );
          const wanted = oracleOffline(rules, rule.index, events).map(
            ({ organization, firstAtMs, lastAtMs, eventIds }) =>
              JSON.stringify([organization, firstAtMs, lastAtMs, eventIds]),
          );
          if (rules.correlations.some((one) => one !== rule && one.semanticHash === rule.semanticHash)) continue;
          expect(said.sort()).toEqual(wanted.sort());
        }
      }),
      { numRuns: RUNS },
    );
  });
});
