import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RuleFile, RuleSetCompiled } from '../compiled-rules.ts';
import { createJsonFieldView } from '../field-view.ts';
import { compileTest } from '../matcher.ts';
import { loadRuleSet } from '../rule-set.ts';

/** Public rules over recorded events, against what several independent engines agree on (testdata/README.md). */
const DATA = path.join(import.meta.dirname, '../../../../testdata');

/** Placeholders that SigmaHQ rules use; none of the recorded events holds such a value. */
const EXPAND = {
  Workstations: ['workstation-1'],
  'DC-MACHINE-NAME': ['dc-1'],
  admin_account: ['admin-1'],
  vpn_users: ['vpn-1'],
};

type Expected = {
  readonly pairs: number;
  readonly unsupported: Readonly<Record<string, string>>;
  readonly matches: Readonly<Record<string, readonly string[]>>;
};
type Json = Readonly<Record<string, unknown>>;

function readJson<Content>(file: string): Content {
  return JSON.parse(readFileSync(path.join(DATA, file), 'utf8')) as Content;
}

function readLines<Line>(file: string): readonly Line[] {
  const lines = readFileSync(path.join(DATA, file), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Line);
}

function readRules(folder: string): readonly RuleFile[] {
  return readdirSync(path.join(DATA, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yml'))
    .map((file) => ({ path: file, content: readFileSync(path.join(DATA, folder, file), 'utf8') }));
}

/** Pairs `rule id -> case` of a set over events; the matcher and each rule by itself must agree. */
function pairsOf(set: RuleSetCompiled, events: readonly { readonly name: string; readonly event: Json }[]): string[] {
  const alone = set.detections.map(({ test }) => compileTest(test));
  return events.flatMap(({ name, event }) => {
    const view = createJsonFieldView(event);
    const matched = set.matchEvent(view, null);
    expect(matched).toEqual(alone.flatMap((holds, index) => (holds(createJsonFieldView(event)) ? [index] : [])));
    return matched.map((index) => `${set.detections[index]?.id} -> ${name}`);
  });
}

function expectedPairs({ matches }: Expected): string[] {
  return Object.entries(matches).flatMap(([rule, names]) => names.map((name) => `${rule} -> ${name}`));
}

describe('detections over recorded events', () => {
  it('sigma-regression: every pair, and every own rule', () => {
    const expected = readJson<Expected>('sigma-regression/expected.json');
    const own = readJson<{ readonly cases: Readonly<Record<string, boolean>> }>('sigma-regression/own-rule.json').cases;
    const lines = readLines<{ readonly case: string; readonly rule_id: string; readonly event: Json }>(
      'sigma-regression/events.jsonl',
    );
    const set = loadRuleSet(readRules('sigma-regression/rules'), { expand: EXPAND });
    const pairs = pairsOf(
      set,
      lines.map((line) => ({ name: line.case, event: line.event })),
    );
    const supported = pairs.filter((pair) => !((pair.split(' -> ')[0] ?? '') in expected.unsupported));
    expect(supported.sort()).toEqual(expectedPairs(expected).sort());
    for (const line of lines) {
      expect([line.case, pairs.includes(`${line.rule_id} -> ${line.case}`)]).toEqual([line.case, own[line.case]]);
    }
  });

  it('cloudtrail-stratus: every pair of rules/cloud/aws', () => {
    const expected = readJson<Expected>('cloudtrail-stratus/expected-sigmahq.json');
    const events = readLines<Json>('cloudtrail-stratus/events.jsonl');
    const set = loadRuleSet(readRules('sigma-rules/rules/cloud/aws'), { expand: EXPAND });
    const pairs = pairsOf(
      set,
      events.map((event) => ({ name: String(event['eventID']), event })),
    );
    expect(pairs.sort()).toEqual(expectedPairs(expected).sort());
    expect(pairs.length).toBe(80);
  });

  it('panther-events: every pair of the rules of each log type', () => {
    const folders: Readonly<Record<string, string>> = {
      'AWS.CloudTrail': 'cloud/aws',
      'Okta.SystemLog': 'identity/okta',
      'GitHub.Audit': 'application/github',
      'GCP.AuditLog': 'cloud/gcp/audit',
      'GSuite.ActivityEvent': 'cloud/gcp/gworkspace',
      'OneLogin.Events': 'identity/onelogin',
      'Azure.MonitorActivity': 'cloud/azure/activity_logs',
      'Azure.Audit': 'cloud/azure/audit_logs',
      'Amazon.EKS.Audit': 'application/kubernetes',
    };
    const expected = readJson<Expected>('panther-events/expected-sigmahq.json');
    const lines = readLines<{ readonly case: string; readonly log_type: string; readonly event: Json }>(
      'panther-events/events.jsonl',
    );
    const pairs = Object.entries(folders).flatMap(([logType, folder]) => {
      const set = loadRuleSet(readRules(`sigma-rules/rules/${folder}`), { expand: EXPAND });
      const own = lines.filter((line) => line.log_type === logType);
      return pairsOf(
        set,
        own.map((line) => ({ name: line.case, event: line.event })),
      );
    });
    expect(pairs.sort()).toEqual(expectedPairs(expected).sort());
    expect(pairs.length).toBe(231);
  });

  it('all 603 public rules load', () => {
    const set = loadRuleSet(readRules('sigma-rules/rules'), { expand: EXPAND });
    expect(set.detections.length).toBe(603);
  });
});
