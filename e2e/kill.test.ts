import { checkPlay, type Deployment, finalAlerts, type PlayResult, type ServiceName } from '@tracehound/cli';
import { createPartitionEngine } from '@tracehound/correlation';
import type { CorrelationAlert, RuleActivation } from '@tracehound/event-model';
import { loadRuleSet } from '@tracehound/sigma';
import { testStack } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import { playOn, scenarioOf } from './play-on.fixture.ts';

/** One named point per service and round: after five rounds each service has died at five points. */
const ROUNDS: readonly Readonly<Record<ServiceName, string>>[] = [
  {
    'producer-gateway': 'g:after-authenticate:2',
    correlator: 'a:after-decode:2',
    'sink-audit': 's:after-decode:2',
    alerter: 'n:after-refetch:3',
  },
  {
    'producer-gateway': 'g:before-produce:3',
    correlator: 'a:after-matches:2',
    'sink-audit': 's:before-copy:2',
    alerter: 'n:after-store:3',
  },
  {
    'producer-gateway': 'g:after-produce:3',
    correlator: 'b:before-flush:2',
    'sink-audit': 's:after-copy:2',
    alerter: 'n:before-deliver:4',
  },
  {
    'producer-gateway': 'g:before-respond:4',
    correlator: 'b:after-flush:2',
    'sink-audit': 's:after-commit-store:2',
    alerter: 'n:after-deliver:5',
  },
  {
    'producer-gateway': 'g:on-start:1',
    correlator: 'b:after-emit:1',
    'sink-audit': 's:after-publish:1',
    alerter: 'n:after-record:4',
  },
];

const scenario = scenarioOf('ssh-bruteforce');

/**
 * A dead sink would lead to thin notices after 2 s (X16; the alerter's own tests show them). Here the alerter waits, so that
 * what the receiver is told can be compared one by one.
 */
const PATIENT = { TRACEHOUND_ALERTER_REFETCH_WAIT: '30s' };

/** The bytes of a record do not depend on who wrote it, only on (alert_id, revision) (X9.13). */
const firstOccurrences = (log: readonly CorrelationAlert[]): string[] => [
  ...new Set(log.map((alert) => JSON.stringify(alert))),
];

async function only<T>(deployment: Deployment, topic: string, name: string): Promise<T> {
  for await (const record of deployment.kafka.read({ topic: deployment.topic(topic), partition: 0 })) {
    if (record.value === null) continue;
    const decoded = await deployment.codec.decode(record.value);
    if (decoded.name === name) return decoded.value as T;
  }
  throw new Error(`${topic} holds no ${name}`);
}

/** E1: an engine that never crashed, fed with the same bytes of `security.matches`, says exactly what the service said. */
async function expectSameAsUndisturbedEngine(deployment: Deployment, result: PlayResult): Promise<void> {
  const rules = loadRuleSet(scenario.rules.map(({ path, content }) => ({ path, content })));
  const activation = await only<RuleActivation>(
    deployment,
    'detection.activations',
    'tracehound.pipeline.v1.RuleActivation',
  );
  const clean: string[] = [];
  const topic = deployment.topic('security.matches');
  for (const { partition } of await deployment.admin.offsets(topic)) {
    const engine = createPartitionEngine({
      clusterId: 'local',
      partition,
      ruleSet: (id) => (id === deployment.rulesetId ? rules : undefined),
      sources: (version) => (version === activation.sources_version ? activation.sources : undefined),
    });
    for await (const record of deployment.kafka.read({ topic, partition })) {
      if (record.value === null) continue;
      const decoded = await deployment.codec.decode(record.value);
      if (decoded.name !== 'tracehound.pipeline.v1.MatchBatch') throw new Error(`${decoded.name} among the matches`);
      for (const effect of engine.apply(decoded.value, Number(record.offset))) {
        if (effect.kind === 'alert') clean.push(JSON.stringify(sortedKeys(effect.alert)));
      }
    }
    const counters = engine.counters();
    expect(counters.seen).toBe(counters.applied + counters.duplicate_id + counters.duplicate_mark + counters.late);
  }
  const said = firstOccurrences(result.log.map((alert) => sortedKeys(alert) as CorrelationAlert));
  expect(said.length).toBe(new Set(clean).size);
  expect(new Set(said)).toEqual(new Set(clean));
}

function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => [key, sortedKeys(entry)]),
  );
}

/**
 * Who was told of what: rule and group of every alert with a notice. Times of `open` records are provisional (X9) and degraded
 * ranges depend on the order of arrival (X14), so neither is compared here; the final alerts are, to the last bit.
 */
const told = (result: PlayResult): string[] =>
  [
    ...new Set(
      result.views
        .filter((view) => view.kind !== 'DEGRADED' && result.noticedAlerts.has(view.alert_id))
        .map((view) => `${view.rule.id} ${JSON.stringify(view.group)}`),
    ),
  ].sort();

describe('kill -9 of every service at five named points', () => {
  it('E1 and E2 hold, and the receiver is told the same, as if nothing had happened', async () => {
    const stack = await testStack();
    const addresses = {
      kafkaBrokers: stack.kafkaBrokers,
      registryUrl: stack.registryUrl,
      redisStateUrl: stack.redisStateUrl,
      redisEdgeUrl: stack.redisEdgeUrl,
      postgresUrl: stack.postgresUrl,
    };
    const calm = await playOn({
      addresses,
      namespace: stack.namespace(),
      scenario,
      inspect: expectSameAsUndisturbedEngine,
    });
    expect(checkPlay(calm.result).filter((check) => !check.ok)).toEqual([]);
    for (const faults of ROUNDS) {
      const round = await playOn({
        addresses,
        namespace: stack.namespace(),
        scenario,
        faults,
        env: PATIENT,
        inspect: expectSameAsUndisturbedEngine,
      });
      const killed = round.events
        .filter((event) => event.kind === 'exited' && event.detail === 'SIGKILL')
        .map((event) => event.service);
      expect([...new Set(killed)].sort(), `all four must have died: ${JSON.stringify(faults)}`).toEqual(
        Object.keys(faults).sort(),
      );
      expect(
        checkPlay(round.result).filter((check) => !check.ok),
        JSON.stringify(faults),
      ).toEqual([]);
      expect(finalAlerts(round.result.log)).toEqual(finalAlerts(calm.result.log));
      expect(told(round.result)).toEqual(told(calm.result));
    }
  });
});
