import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CorrelationDefinition,
  type CorrelationRule,
  createJsonFieldView,
  loadRuleSet,
  type OnMatch,
} from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { correlationOf } from '../oracle/definitions.ts';
import { type FinalAlert, finalAlerts, type OracleEvent } from '../oracle/index.ts';
import { offlineMatches } from '../oracle/offline.ts';

/** The oracle against answers that others worked out: `testdata/README.md` says where they come from. */
const DATA = join(import.meta.dirname, '../../../testdata');
const read = (path: string): string => readFileSync(join(DATA, path), 'utf8');
const MINUTE_MS = 60_000;

type ExpectedGroup = {
  readonly fires: 'yes' | 'no' | 'boundary';
  readonly first: string | null;
  readonly alerts_every: number;
  readonly alerts_reset: number;
  readonly episodes: number;
  readonly triggers_lenient_only: number;
};
type Expected = Readonly<Record<string, { readonly groups: Readonly<Record<string, ExpectedGroup>> }>>;

describe('sshd of an internet-facing host (auth-elastic)', () => {
  const ruleSet = loadRuleSet([{ path: 'ssh-rules.yml', content: read('auth-elastic/ssh-rules.yml') }]);
  const events = read('auth-elastic/events.jsonl')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly id: string; readonly time: string })
    .map((event) => ({
      id: event.id,
      timeMs: Date.parse(event.time),
      organization: 'acme',
      view: createJsonFieldView(event),
      logSource: { product: 'linux', service: 'sshd', category: null },
    }));
  const expected = JSON.parse(read('auth-elastic/expected-correlation.json')) as Expected;
  const matches = offlineMatches(ruleSet, events);
  const hitsOf = (rule: number): OracleEvent[] =>
    matches
      .filter((match) => match.rule === rule)
      .map((match) => ({
        organization: match.organization_id,
        group: match.group_key,
        id: match.event_id,
        timeMs: match.event_time,
        step: match.step,
        value: match.value,
      }));

  const judged = (rule: CorrelationRule): readonly (readonly [ip: string, group: ExpectedGroup])[] =>
    Object.entries(expected[rule.uid]?.groups ?? {}).filter(([, { fires }]) => fires !== 'boundary');
  const finalsOf = (rule: CorrelationRule, parts: Partial<CorrelationDefinition>, ip: string): readonly FinalAlert[] =>
    finalAlerts(
      { ...rule.definition, ...parts },
      hitsOf(rule.index).filter(({ group }) => group === JSON.stringify([`s:${ip}`])),
    );
  const timeOf = new Map(events.map(({ id, timeMs }) => [id, timeMs]));
  const modes: readonly OnMatch[] = ['suppress', 'reset', 'every'];

  it.each(
    ruleSet.correlations.flatMap((rule) => modes.map((onMatch) => ({ title: rule.description.title, onMatch, rule }))),
  )('$title, $onMatch: which addresses fire and when first', ({ rule, onMatch }) => {
    expect(judged(rule).length).toBeGreaterThan(100);
    // The answers take whole-second ties as no order: strict.
    const firstOf = (ip: string): number | null => {
      const trigger = finalsOf(rule, { onMatch, strict: true }, ip)[0]?.triggerId;
      return trigger == null ? null : (timeOf.get(trigger) ?? Number.NaN);
    };
    const have = judged(rule).map(([ip]) => [ip, firstOf(ip)]);
    expect(have).toEqual(judged(rule).map(([ip, { first }]) => [ip, first === null ? null : Date.parse(first)]));
  });

  it.each(ruleSet.correlations.map((rule) => ({ title: rule.description.title, rule })))(
    '$title: one alert per burst, and after each reset',
    ({ rule }) => {
      for (const [ip, group] of judged(rule)) {
        const bursts = finalsOf(rule, {}, ip);
        // The answers know no frames: what a frame boundary (midnight, X10.3) cut in two is one burst.
        const cut = bursts.filter((burst) => bursts.some((before) => before.lastAtMs + 1 === leftOf(burst)));
        expect([ip, bursts.length - cut.length]).toEqual([ip, group.episodes]);
        expect([ip, finalsOf(rule, { onMatch: 'reset' }, ip).length]).toEqual([ip, group.alerts_reset]);
      }
    },
  );
  const DAY_MS = 86_400_000;
  const leftOf = ({ lastAtMs }: FinalAlert): number => Math.floor(lastAtMs / DAY_MS) * DAY_MS;

  it.each(ruleSet.correlations.map((rule) => ({ title: rule.description.title, rule })))(
    '$title, every: each event while the condition holds alerts again',
    ({ rule }) => {
      for (const [ip, group] of judged(rule)) {
        const strict = finalsOf(rule, { onMatch: 'every', strict: true }, ip);
        expect([ip, strict.length]).toEqual([ip, group.alerts_every]);
        // X2: equal times satisfy either order unless the rule is strict.
        const lenient = finalsOf(rule, { onMatch: 'every' }, ip);
        expect([ip, lenient.length]).toEqual([ip, group.alerts_every + group.triggers_lenient_only]);
      }
    },
  );
});

type PantherRule = {
  readonly id: string;
  readonly window_minutes: number;
  readonly order: 'Any' | 'Chronological';
  readonly members: readonly { readonly id: string; readonly min: number; readonly absent: boolean }[];
  readonly tests: readonly {
    readonly name: string;
    readonly expected: boolean;
    readonly events: readonly {
      readonly member: string;
      readonly minute: number;
      readonly key: Readonly<Record<string, string>>;
    }[];
  }[];
};

describe('correlation cases of a peer (panther-correlation)', () => {
  const rules = JSON.parse(read('panther-correlation/cases.json')) as readonly PantherRule[];
  const cases = rules.flatMap((rule) => rule.tests.map((test) => ({ name: `${rule.id}: ${test.name}`, rule, test })));

  it('has 27 verdicts', () => {
    expect(cases).toHaveLength(27);
  });

  /**
   * Chronological = temporal_ordered with runs. Any = temporal; a member with `min` n is n steps of one source.
   * An absent member may come before or after the others within one window of theirs, and a sliding window begins at
   * its first positive, so the window is tumbling there, as Panther's own scheduled look-back is.
   */
  it.each(cases)('$name', ({ rule, test }) => {
    const spanMs = rule.window_minutes * MINUTE_MS;
    const steps = rule.members.map((member, step) => ({ step, runs: member.min, negated: member.absent }));
    const present = steps.filter(({ negated }) => !negated).map(({ step }) => ({ op: 'step', step }) as const);
    const absent = steps
      .filter(({ negated }) => negated)
      .map(({ step }) => ({ op: 'not', of: { op: 'step', step } }) as const);
    const definition =
      rule.order === 'Chronological'
        ? correlationOf({ type: 'temporal_ordered', spanMs, ordered: steps })
        : correlationOf({
            type: 'temporal',
            spanMs,
            temporal: { op: 'and', of: [...present, ...absent] },
            window: { kind: absent.length > 0 ? 'tumbling' : 'sliding' },
          });
    expect(rule.members.every(({ min }) => min === 1)).toBe(true);
    const events = test.events.map((event, index) => ({
      organization: 'acme',
      group: JSON.stringify(Object.values(event.key).map((value) => `s:${value}`)),
      id: `e${index}`,
      timeMs: event.minute * MINUTE_MS,
      step: rule.members.findIndex(({ id }) => id === event.member),
      value: null,
    }));
    expect(finalAlerts(definition, events).length > 0).toBe(test.expected);
  });
});
