import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createJsonFieldView, loadRuleSet } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { createDetector, type DetectResult } from './index.ts';

const DATA = join(import.meta.dirname, '../../../testdata/auth-elastic');

type Expected = Record<string, { groups: Record<string, ExpectedGroup> }>;
type ExpectedGroup = {
  readonly fires: 'yes' | 'no' | 'boundary';
  readonly first: string | null;
  readonly alerts_every: number;
  readonly alerts_reset: number;
  readonly episodes: number;
  readonly triggers_lenient_only: number;
};

const expected: Expected = JSON.parse(readFileSync(join(DATA, 'expected-correlation.json'), 'utf8'));
const ruleSet = loadRuleSet([{ path: 'ssh-rules.yml', content: readFileSync(join(DATA, 'ssh-rules.yml'), 'utf8') }]);
const events = readFileSync(join(DATA, 'events.jsonl'), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Record<string, unknown>);

function run(onMatch: 'suppress' | 'reset' | 'every'): Map<string, DetectResult[]> {
  const detector = createDetector(ruleSet, { latenessMs: 300_000, onMatch });
  const results: DetectResult[] = [];
  for (const event of events) {
    const view = createJsonFieldView(event);
    const timeMs = Date.parse(String(event['time']));
    results.push(
      ...detector.push({ id: String(event['id']), timeMs, organization: 'platform', view, logSource: null }),
    );
  }
  results.push(...detector.end());
  expect(detector.counters()).toMatchObject({ events: events.length, late: 0, duplicates: 0 });
  const groups = new Map<string, DetectResult[]>();
  for (const result of results) {
    const key = `${result.rule_id} ${result.group?.['ip']}`;
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  return groups;
}

/** X10.3 cuts at midnight, the answers do not: one burst of this address gives two alerts. */
const OVER_MIDNIGHT = '123.96.5.168';
const COUNT = { suppress: 'episodes', reset: 'alerts_reset', every: 'alerts_every' } as const;

describe('sshd of an internet-facing host', () => {
  for (const mode of ['suppress', 'reset', 'every'] as const) {
    it(`finds what two other programs found, mode ${mode}`, () => {
      const groups = run(mode);
      const wrong: string[] = [];
      for (const [rule, { groups: byIp }] of Object.entries(expected)) {
        for (const [ip, want] of Object.entries(byIp)) {
          if (want.fires === 'boundary') continue;
          const got = groups.get(`${rule} ${ip}`) ?? [];
          groups.delete(`${rule} ${ip}`);
          const cut = mode === 'suppress' && ip === OVER_MIDNIGHT && want.episodes > 0 ? 1 : 0;
          const lenient = mode === 'every' ? want.triggers_lenient_only : 0;
          const count = want.fires === 'yes' ? want[COUNT[mode]] + cut + lenient : 0;
          const first =
            got
              .map(({ at }) => at)
              .sort()[0]
              ?.replace('.000Z', 'Z') ?? null;
          // X2: a failure and a success of one second are in order; the answers count those as `lenient` only.
          const isFirst = want.triggers_lenient_only === 0 ? first === want.first : (first ?? '') <= (want.first ?? '');
          if (got.length !== count || (count > 0 && !isFirst)) {
            wrong.push(`${rule} ${ip}: want ${count} from ${want.first}, got ${got.length} from ${first}`);
          }
        }
      }
      expect(wrong).toEqual([]);
    });
  }
});
