import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RuleFile, RuleSetCompiled } from '../compiled-rules.ts';
import { createJsonFieldView } from '../field-view.ts';
import { loadRuleSet } from '../rule-set.ts';
import type { Pipeline } from './pipeline-definition.ts';
import { readPipeline } from './read-pipeline.ts';

/** The pipelines in `rules/pipelines`, with public rules over recorded events under other names. */
const ROOT = join(import.meta.dirname, '../../../..');
const DATA = join(ROOT, 'testdata');

type Json = Readonly<Record<string, unknown>>;
type Expected = { readonly matches: Readonly<Record<string, readonly string[]>> };

function shipped(name: string): Pipeline {
  const path = `rules/pipelines/${name}.yml`;
  return readPipeline({ path, content: readFileSync(join(ROOT, path), 'utf8') });
}

function rulesOf(folder: string): readonly RuleFile[] {
  return readdirSync(join(DATA, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yml'))
    .map((file) => ({ path: file, content: readFileSync(join(DATA, folder, file), 'utf8') }));
}

function linesOf<Line>(file: string): readonly Line[] {
  const lines = readFileSync(join(DATA, file), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Line);
}

function expectedOf(file: string, set: RuleSetCompiled): readonly string[] {
  const { matches } = JSON.parse(readFileSync(join(DATA, file), 'utf8')) as Expected;
  const own = new Set(set.detections.map(({ id }) => id));
  const pairs = Object.entries(matches).flatMap(([rule, names]) => names.map((name) => [rule, name] as const));
  return pairs.flatMap(([rule, name]) => (own.has(rule) ? [`${rule} -> ${name}`] : [])).sort();
}

function pairsOf(set: RuleSetCompiled, events: readonly { name: string; event: Json }[]): readonly string[] {
  return events
    .flatMap(({ name, event }) =>
      set.matchEvent(createJsonFieldView(event), null).map((index) => `${set.detections[index]?.id} -> ${name}`),
    )
    .sort();
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Names in snake case, at every depth. */
function snakeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [snakeCase(key), snakeKeys(inner)]));
}

/** A CloudTrail record as the Elastic AWS integration stores it. Absent keys stay absent. */
function cloudtrailToEcs(record: Json): Json {
  const identity = (record['userIdentity'] ?? {}) as Json;
  const objects = (keep: 'texts' | 'objects'): Json => {
    const kept = ['requestParameters', 'responseElements', 'additionalEventData'].filter(
      (key) => (typeof record[key] === 'object' && record[key] !== null) === (keep === 'objects') && key in record,
    );
    return Object.fromEntries(kept.map((key) => [snakeCase(key).replace('event_data', 'eventdata'), record[key]]));
  };
  const ecs: Json = {
    '@timestamp': record['eventTime'],
    event: { action: record['eventName'], provider: record['eventSource'], id: record['eventID'] },
    cloud: { region: record['awsRegion'], account: { id: identity['accountId'] } },
    source: { address: record['sourceIPAddress'] },
    user_agent: { original: record['userAgent'] },
    user: { id: identity['principalId'], name: identity['userName'] },
    aws: {
      cloudtrail: {
        error_code: record['errorCode'],
        error_message: record['errorMessage'],
        event_type: record['eventType'],
        read_only: record['readOnly'],
        user_identity: snakeKeys(identity),
        ...objects('texts'),
        flattened: objects('objects'),
      },
    },
  };
  return JSON.parse(JSON.stringify(ecs)) as Json;
}

/** An Okta event as the Elastic Okta integration stores it. */
function oktaToEcs(record: Json): Json {
  const { published, debugContext, ...rest } = record;
  const debug = ((debugContext ?? {}) as Json)['debugData'];
  const known = ['requestUri', 'url', 'threatSuspected', 'deviceFingerprint', 'requestId'];
  const data = typeof debug === 'object' && debug !== null ? (debug as Json) : {};
  const direct = Object.fromEntries(Object.entries(data).filter(([key]) => known.includes(key)));
  return {
    '@timestamp': published,
    okta: {
      ...(snakeKeys(rest) as Json),
      debug_context: { debug_data: { ...(snakeKeys(direct) as Json), flattened: data } },
    },
  };
}

/** A GitHub audit event as the Elastic GitHub integration stores it. */
function githubToEcs({ action, actor, user, ...rest }: Json): Json {
  return { event: { action }, user: { name: actor, target: { name: user } }, github: rest };
}

describe('the records of a vendor under their own names and under those of ECS give the same pairs', () => {
  it('CloudTrail: the 80 of cloudtrail-stratus', () => {
    const rules = rulesOf('sigma-rules/rules/cloud/aws');
    const set = loadRuleSet(rules, { pipelines: [shipped('cloudtrail'), shipped('ecs')] });
    const records = linesOf<Json>('cloudtrail-stratus/events.jsonl');
    const events = records.map((record) => ({ name: String(record['eventID']), event: cloudtrailToEcs(record) }));
    const expected = expectedOf('cloudtrail-stratus/expected-sigmahq.json', set);
    expect(expected).toHaveLength(80);
    expect(pairsOf(set, events)).toEqual(expected);
    expect(pairsOf(loadRuleSet(rules), events)).toEqual([]);
  });

  it.each([
    ['AWS.CloudTrail', 'cloud/aws', 'cloudtrail', cloudtrailToEcs],
    ['GitHub.Audit', 'application/github', 'github', githubToEcs],
    [
      'Amazon.EKS.Audit',
      'application/kubernetes',
      'kubernetes-audit',
      (event: Json) => ({ kubernetes: { audit: event } }),
    ],
  ] as const)('%s: those of panther-events', (logType, folder, name, wrap) => {
    const set = loadRuleSet(rulesOf(`sigma-rules/rules/${folder}`), { pipelines: [shipped(name)] });
    const lines = linesOf<{ case: string; log_type: string; event: Json }>('panther-events/events.jsonl');
    const own = lines.filter((line) => line.log_type === logType);
    const events = own.map((line) => ({ name: line.case, event: wrap(line.event) }));
    const names = new Set(own.map((line) => line.case));
    const expected = expectedOf('panther-events/expected-sigmahq.json', set);
    expect(expected.length).toBeGreaterThan(0);
    expect(pairsOf(set, events)).toEqual(expected.filter((pair) => names.has(pair.split(' -> ')[1] ?? '')));
  });
});

/** No rule matches the few Okta samples of panther-events, so the takeover scenario stands beside them. */
it('Okta: the pairs of the records as they are', () => {
  const rules = rulesOf('sigma-rules/rules/identity/okta');
  const samples = linesOf<{ log_type: string; event: Json }>('panther-events/events.jsonl');
  const scenario = linesOf<{ log_type: string; event: Json }>('scenario-okta-admin/events.jsonl');
  const records = [...samples, ...scenario].filter((line) => line.log_type === 'Okta.SystemLog');
  const events = records.map(({ event }, index) => ({ name: String(index), event }));
  const expected = pairsOf(loadRuleSet(rules), events);
  const set = loadRuleSet(rules, { pipelines: [shipped('okta')] });
  const wrapped = events.map(({ name, event }) => ({ name, event: oktaToEcs(event) }));
  expect(expected.length).toBeGreaterThan(0);
  expect(pairsOf(set, wrapped)).toEqual(expected);
});

describe('Windows events as Winlogbeat stores them', () => {
  /** `Hashes` becomes fields, names of the operating system those of ECS, everything else stays in `winlog.event_data`. */
  it('process creation', () => {
    const rule = `title: t
logsource: {product: windows, category: process_creation}
detection:
  image: {Image|endswith: '\\cmd.exe', ParentImage|contains: word, User|contains: adm}
  hash: {Hashes|contains: ['IMPHASH=${'a'.repeat(32)}', 'MD5=${'b'.repeat(32)}']}
  rest: {LogonId: '0x3e7'}
  condition: all of them`;
    const set = loadRuleSet([{ path: 'r.yml', content: rule }], { pipelines: [shipped('ecs')] });
    const event = {
      process: { executable: 'C:\\cmd.exe', parent: { executable: 'winword' }, pe: { imphash: 'A'.repeat(32) } },
      user: { name: 'admin' },
      winlog: { event_data: { LogonId: '0x3E7' } },
    };
    expect(set.matchEvent(createJsonFieldView(event), null)).toEqual([0]);
  });

  it('public rules of Linux load', () => {
    const set = loadRuleSet(rulesOf('sigma-rules/rules/linux'), { pipelines: [shipped('ecs')] });
    const names = JSON.stringify(set.detections.map(({ test }) => test));
    expect(names).not.toContain('"field":"CommandLine"');
    expect(names).toContain('"field":"process.command_line"');
  });
});

describe('sshd', () => {
  it('rules with generic names, and those of the auth facility, run on parsed lines', () => {
    const rule = `title: failed
name: failed
logsource: {product: linux, service: auth}
detection: {words: ['Failed password'], who: {USER: '*'}, condition: all of them}
---
title: brute force
correlation: {type: value_count, rules: [failed], group-by: [src_ip], timespan: 15m, condition: {gte: 5, field: USER}}`;
    const set = loadRuleSet([{ path: 'r.yml', content: rule }], { pipelines: [shipped('sshd')] });
    const source = { product: 'linux', service: 'sshd', category: null };
    const views = linesOf<Json>('auth-elastic/events.jsonl').map(createJsonFieldView);
    const matched = views.filter((view) => set.matchEvent(view, source).length > 0);
    expect(matched.length).toBeGreaterThan(1_000);
    const first = matched[0];
    const hit = first && set.matchesOf(first, [0]).matches[0];
    expect(hit?.group_key).toContain(String(first?.values('ip')?.[0]));
  });
});

describe('tracehound', () => {
  it('generic names of application rules become those of the taxonomy', () => {
    const rule = `title: t
logsource: {category: application}
detection: {s: {src_ip|cidr: 10.0.0.0/8, user.name: bob, event.action: auth.login.failure}, condition: s}`;
    const set = loadRuleSet([{ path: 'r.yml', content: rule }], { pipelines: [shipped('tracehound')] });
    const event = { event_type: 'auth.login.failure', actor: { name: 'bob' }, network: { ip: '10.1.1.1' } };
    expect(set.matchEvent(createJsonFieldView(event), null)).toEqual([0]);
  });
});

it('every shipped pipeline loads, and is documented', () => {
  const documented = readFileSync(join(ROOT, 'docs/pipelines.md'), 'utf8');
  for (const file of readdirSync(join(ROOT, 'rules/pipelines'))) {
    const name = file.replace('.yml', '');
    expect(shipped(name).steps.length).toBeGreaterThan(0);
    expect(documented).toContain(`\`${name}\``);
  }
});
