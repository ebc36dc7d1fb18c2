import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  EVENT_TYPES,
  type EventTypeDefinition,
  eventTypeOf,
  RECORD_SCHEMAS,
  type RecordName,
} from '@tracehound/event-model';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type PackRule, RULES, readPack, speaking } from './pack.ts';

const pack = readPack();
const named = pack.map((rule) => [rule.name, rule] as const);
const correlations = pack.filter((rule) => rule.references.length > 0);
const attack: {
  attack_version: string;
  tactics: { shortname: string }[];
  techniques: { id: string; tactics: string[]; deprecated?: boolean; revoked_by?: string }[];
} = JSON.parse(readFileSync(join(RULES, '../testdata/attack/enterprise-attack.json'), 'utf8'));

describe('every rule of the pack', () => {
  it('has an id and a name of its own, and a file of that name', () => {
    expect(new Set(pack.map((rule) => rule.id)).size).toBe(pack.length);
    expect(new Set(pack.map((rule) => rule.name)).size).toBe(pack.length);
    for (const rule of pack) expect(rule.path.endsWith(`/${rule.name.replaceAll('_', '-')}.yml`), rule.path).toBe(true);
  });

  it.each(named)('%s says who wrote it, when, why, and what to do at night', (_, { raw, profile }) => {
    expect(raw).toMatchObject({
      author: 'Tracehound',
      status: expect.stringMatching(/^(stable|test|experimental)$/),
      date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
      level: expect.stringMatching(/^(informational|low|medium|high|critical)$/),
      description: expect.stringMatching(/\.$/),
      custom: { triage: { meaning: expect.any(String), false_positives: expect.any(String) } },
    });
    expect(['default', 'extended']).toContain(profile);
    const { triage } = raw['custom'] as { triage: { next_steps: string[] } };
    for (const list of [raw['falsepositives'], raw['references'], triage.next_steps] as string[][]) {
      expect(list.length).toBeGreaterThan(0);
    }
  });

  it.each(named)('%s names techniques of the pinned ATT&CK version, and tactics they belong to', (_, { tags }) => {
    const words = tags.map((tag) => tag.replace(/^attack\./, ''));
    const techniques = words
      .filter((word) => /^t\d/.test(word))
      .map((word) => attack.techniques.find(({ id }) => id.toLowerCase() === word));
    expect(attack.attack_version).toBe('18.1');
    expect(techniques.length).toBeGreaterThan(0);
    const tactics = words.filter((word) => !/^t\d/.test(word));
    for (const technique of techniques) {
      expect(technique, tags.join()).toBeDefined();
      expect(technique?.deprecated ?? technique?.revoked_by).toBeUndefined();
      expect(technique?.tactics.some((tactic) => tactics.includes(tactic))).toBe(true);
    }
    for (const tactic of tactics) {
      expect(
        techniques.some((technique) => technique?.tactics.includes(tactic)),
        tactic,
      ).toBe(true);
    }
  });

  it.each(named)('%s has tests that expect it and tests that forbid it', (name, { path }) => {
    const file = join(RULES, path.replace(/\.yml$/, '.test.yml'));
    expect(existsSync(file), file).toBe(true);
    const { tests }: { tests: { name: string; expect?: { rule: string }[]; forbid?: string[]; arrival?: unknown }[] } =
      parse(readFileSync(file, 'utf8'));
    expect(tests.filter((test) => test.expect?.some(({ rule }) => rule === name)).length).toBeGreaterThan(1);
    expect(tests.filter((test) => test.forbid?.includes(name)).length).toBeGreaterThan(0);
    expect(tests.some((test) => test.arrival !== undefined)).toBe(true);
    expect(new Set(tests.map((test) => test.name)).size).toBe(tests.length);
  });
});

/** Field names a detection's selections use, without modifiers, and the event types they name. */
function selected(rule: PackRule): { fields: string[]; types: string[] } {
  const fields: string[] = [];
  const types: string[] = [];
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) for (const item of node) walk(item);
    else if (typeof node === 'object' && node !== null) {
      for (const [key, value] of Object.entries(node)) {
        const [field = '', modifier] = key.split('|');
        fields.push(field, ...(modifier === 'fieldref' ? [String(value)] : []));
        if (field === 'event_type') types.push(...[value].flat().map(String));
      }
    }
  };
  for (const [key, value] of Object.entries(rule.raw['detection'] as object)) if (key !== 'condition') walk(value);
  return { fields, types };
}

const ENVELOPE =
  /^(event_type|outcome|actor\.(id|type)|subject\.id|trace\.(trace_id|trust)|trace_id|session_id|flags)$/;
const SOURCE = /^(source\.(platform|service|sdk|instance)|network\.(ip_hash|asn))$/;

function carries(type: EventTypeDefinition, field: string): boolean {
  const typed = RECORD_SCHEMAS[`tracehound.events.v1.${type.record}` as RecordName].fields as readonly {
    name: string;
  }[];
  return (
    ENVELOPE.test(field) || SOURCE.test(field) || field in type.payload || typed.some(({ name }) => name === field)
  );
}

function typesOf(rule: PackRule): readonly EventTypeDefinition[] {
  if (rule.references.length > 0) {
    return pack.filter((other) => rule.references.includes(other.name)).flatMap((other) => typesOf(other));
  }
  const { types } = selected(rule);
  return types.length === 0 ? EVENT_TYPES : types.flatMap((name) => eventTypeOf(name) ?? []);
}

describe('R-202: the catalogue defines every type and field that the pack uses', () => {
  it.each(named.filter(([, rule]) => rule.references.length === 0))('%s', (_, rule) => {
    const { fields, types } = selected(rule);
    for (const name of types) expect(eventTypeOf(name)?.name).toBe(name);
    const service = (rule.raw['logsource'] as { service?: string }).service;
    for (const type of typesOf(rule)) {
      if (types.length > 0 && service !== undefined) expect(type.family).toBe(service);
    }
    for (const field of fields)
      expect(
        typesOf(rule).some((type) => carries(type, field)),
        field,
      ).toBe(true);
  });

  it.each(correlations.map((rule) => [rule.name, rule] as const))('%s groups by and counts known fields', (_, rule) => {
    const { correlation } = rule.raw as {
      correlation: { aliases?: Record<string, Record<string, string>>; condition?: { field?: string | string[] } };
    };
    const aliases = correlation.aliases ?? {};
    const groups = rule.groupBy.flatMap((field) => (aliases[field] ? Object.values(aliases[field]) : [field]));
    const counted = [correlation.condition?.field ?? []].flat();
    for (const field of [...groups, ...counted]) {
      expect(
        typesOf(rule).some((type) => carries(type, field)),
        field,
      ).toBe(true);
    }
    for (const reference of rule.references)
      expect(
        pack.some(({ name }) => name === reference),
        reference,
      ).toBe(true);
  });
});

describe('what the pack promises', () => {
  it('a trace, which clients choose, is never the only group of a severe rule', () => {
    const severe = correlations.filter(({ level }) => level === 'high' || level === 'critical');
    expect(severe.length).toBeGreaterThan(10);
    for (const { name, groupBy } of severe) {
      expect(groupBy.filter((field) => !/^(trace\.)?trace_id$/.test(field)).length, name).toBeGreaterThan(0);
    }
  });

  it('the default profile stands on its own: its steps are in it, and no step of it speaks', () => {
    const inDefault = pack.filter(({ profile }) => profile === 'default');
    const names = inDefault.map(({ name }) => name);
    for (const rule of inDefault) for (const step of rule.references) expect(names, rule.name).toContain(step);
    expect(
      speaking(inDefault)
        .filter((rule) => rule.references.length === 0)
        .map(({ name }) => name),
    ).toEqual(['blocklist_hit_let_through']);
    expect(speaking(inDefault).filter(({ path }) => path.includes('/stages/'))).toEqual([]);
  });

  it('the threats of R-202 are looked for by default', () => {
    const alerting = speaking(pack.filter(({ profile }) => profile === 'default')).map(({ name }) => name);
    expect(alerting).toEqual(
      expect.arrayContaining([
        'login_brute_force',
        'stuffing_then_success_elsewhere',
        'password_spray',
        'impossible_travel',
        'new_device_then_access_changed',
        'self_granted_role_used',
        'exfiltration_volume',
        'blocklist_hits_repeated',
        'rate_limit_abuse',
        'unauthorized_access',
      ]),
    );
  });
});
