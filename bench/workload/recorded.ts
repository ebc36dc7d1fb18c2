import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadRuleSet, type MatcherRule, type RuleFile, type Test } from '@tracehound/sigma';

/** Public rules and recorded events of `testdata`, made as many as wanted. */
type Json = Readonly<Record<string, unknown>>;

const DATA = join(import.meta.dirname, '../../testdata');

/** Placeholders in public rules; no recorded event holds such a value. */
const PLACEHOLDERS: Readonly<Record<string, readonly string[]>> = {
  Workstations: ['workstation-1'],
  'DC-MACHINE-NAME': ['dc-1'],
  admin_account: ['admin-1'],
  vpn_users: ['vpn-1'],
};

/** The first of the public rules; beyond their number copies whose texts are changed. */
export function publicRules(count: number): readonly MatcherRule[] {
  const originals = loadRuleSet(ruleFiles('sigma-rules/rules'), { expand: PLACEHOLDERS }).detections;
  return Array.from({ length: count }, (_, index) => {
    const { logSource, test } = originals[index % originals.length] as MatcherRule;
    const copy = Math.floor(index / originals.length);
    return { logSource, test: copy === 0 ? test : changed(test, `~${copy}`) };
  });
}

function ruleFiles(folder: string): readonly RuleFile[] {
  return readdirSync(join(DATA, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yml'))
    .map((file) => ({ path: file, content: readFileSync(join(DATA, folder, file), 'utf8') }));
}

function changed(test: Test, suffix: string): Test {
  switch (test.op) {
    case 'and':
    case 'or':
      return { ...test, of: test.of.map((part) => changed(part, suffix)) };
    case 'not':
      return { ...test, of: changed(test.of, suffix) };
    case 'text':
    case 'keyword':
      return {
        ...test,
        parts: test.parts.map((part) => (part.kind === 'text' ? { ...part, text: part.text + suffix } : part)),
      };
    default:
      return test;
  }
}

/** CloudTrail, Windows, Okta, GitHub and other cloud events, over and over. */
export function* recordedLines(count: number): Generator<string> {
  const folders = ['cloudtrail-stratus', 'sigma-regression', 'panther-events', 'scenario-okta-admin'];
  const lines = folders.flatMap((folder) =>
    readLines(join(folder, 'events.jsonl')).map((event) => JSON.stringify(event['event'] ?? event)),
  );
  for (let index = 0; index < count; index++) yield lines[index % lines.length] as string;
}

/**
 * The representative workload of the correlations: sshd events of an internet-facing host with their own times, and between
 * them cloud events. The recording is repeated with new ids, each time 60 days later, so that every pass gives the same.
 */
export function* sshAndCloudLines(count: number): Generator<string> {
  const ssh = readLines('auth-elastic/events.jsonl');
  const cloud = ['cloudtrail-stratus', 'scenario-okta-admin', 'panther-events']
    .flatMap((folder) => readLines(join(folder, 'events.jsonl')).map((event) => (event['event'] ?? event) as Json))
    .map((event) => ({ ...event, time: undefined, ts: undefined }));
  for (let index = 0; index < count; index++) {
    const pass = Math.floor(index / (2 * ssh.length));
    const at = Math.floor((index % (2 * ssh.length)) / 2);
    const event = ssh[at] as Json;
    const time = new Date(Date.parse(String(event['time'])) + pass * REPEATED_AFTER_MS).toISOString();
    const id = `${index}`;
    yield index % 2 === 0
      ? JSON.stringify({ ...event, id: `${String(event['id'])}#${pass}`, time, ts: undefined })
      : JSON.stringify({ id, time, ...cloud[at % cloud.length], event_id: `c${id}`, occurred_at: time });
  }
}

/** Events of one pass of `sshAndCloudLines`. */
export function sshAndCloudPass(): number {
  return 2 * readLines('auth-elastic/events.jsonl').length;
}

/** Sigma rules over the sshd events, three detections and their correlations, and the public rules. */
export function sshAndCloudRules(): readonly RuleFile[] {
  const content = readFileSync(join(DATA, 'auth-elastic/ssh-rules.yml'), 'utf8');
  return [{ path: 'ssh-rules.yml', content }, ...ruleFiles('sigma-rules/rules')];
}

export { PLACEHOLDERS };

const REPEATED_AFTER_MS = 60 * 86_400_000;

function readLines(file: string): readonly Json[] {
  const lines = readFileSync(join(DATA, file), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Json);
}
