import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  type ActivityEvent,
  type AuthenticationEvent,
  aliasOf,
  definitionOf,
  ENRICHED_FIELDS,
  ENVELOPE_SENSITIVITY,
  EVENT_TYPES,
  type EventType,
  eventTypeOf,
  FAMILIES,
  type Family,
  isEventType,
  RECORD_SCHEMAS,
  RECORD_SENSITIVITY,
  RETENTION_CLASSES,
  type RecordName,
  SEVERITIES,
  severityOf,
  TOPICS,
  type TypedEvent,
} from './index.ts';

/** Requirement R-102, by family. */
const AUDIT_COUNTS: Readonly<Partial<Record<Family, number>>> = {
  auth: 10,
  authz: 5,
  org: 5,
  member: 5,
  project: 5,
  run: 5,
  artifact: 4,
  workspace: 4,
  billing: 3,
  security: 5,
  system: 3,
  compliance: 4,
};

/** Requirement R-103: the session vocabulary, word by word, and the type each word must lead to. */
const SESSION_WORDS = {
  login_success: 'auth.login.success',
  login_failed: 'auth.login.failure',
  logout: 'auth.logout',
  password_changed: 'auth.password.changed',
  mfa_enabled: 'auth.mfa.enabled',
  mfa_disabled: 'auth.mfa.disabled',
  session_terminated: 'auth.session.terminated',
  access_blocked: 'security.access.blocked',
  blacklist_hit: 'security.blocklist.hit',
  suspicious_activity: 'security.suspicious_activity',
  permission_denied: 'authz.permission.denied',
  data_export: 'data.exported',
} as const;

describe('R-102: the 58 audit types', () => {
  const audit = EVENT_TYPES.filter((type) => type.origin === 'R-102');

  test('58 types in 12 families, each with its count', () => {
    expect(audit).toHaveLength(58);
    const counts: Record<string, number> = {};
    for (const type of audit) counts[type.family] = (counts[type.family] ?? 0) + 1;
    expect(counts).toEqual(AUDIT_COUNTS);
  });

  test('names and aliases are unique and lower case; the family is the first word', () => {
    const names = EVENT_TYPES.flatMap((type) => [type.name, ...type.aliases.map((alias) => alias.name)]);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/);
    for (const type of EVENT_TYPES) expect(type.name.startsWith(`${type.family}.`)).toBe(true);
  });

  test('audit and security types are never sampled', () => {
    for (const type of EVENT_TYPES) {
      if (type.topic === 'security.events') expect(type.sample, type.name).toBe('never');
    }
    expect(audit.every((type) => type.sample === 'never')).toBe(true);
  });
});

describe('R-103: the session vocabulary', () => {
  test.each(Object.entries(SESSION_WORDS))('%s is accepted and comes back lossless', (word, type) => {
    expect(eventTypeOf(word)?.name).toBe(type);
    expect(aliasOf(type, 'session')).toBe(word);
    expect(isEventType(word)).toBe(false);
  });

  test('nothing else is in the vocabulary, and blocklist_hit is the neutral name', () => {
    const words = EVENT_TYPES.flatMap((type) => type.aliases.filter((alias) => alias.vocabulary === 'session'));
    expect(words.map((alias) => alias.name).sort()).toEqual(Object.keys(SESSION_WORDS).sort());
    expect(eventTypeOf('blocklist_hit')?.name).toBe('security.blocklist.hit');
    expect(aliasOf('security.blocklist.hit', 'tracehound')).toBe('blocklist_hit');
    expect(aliasOf('org.created', 'session')).toBeUndefined();
  });
});

test('R-104: each verification event has a type of its own', () => {
  const types = EVENT_TYPES.filter((type) => type.origin === 'R-104').map((type) => type.name);
  expect(types).toEqual(
    expect.arrayContaining([
      'verification.key.succeeded',
      'verification.key.failed',
      'verification.signature.succeeded',
      'verification.signature.failed',
      'authz.policy.violated',
      'config.environment.switched',
      'performance.verification.timed',
      'performance.throughput.measured',
      'performance.error_rate.measured',
      'security.anomaly.detected',
      'compliance.violation.detected',
    ]),
  );
});

// ECS 8.17, event.category and event.type allowed values.
const ECS_CATEGORIES =
  'api authentication configuration database driver email file host iam intrusion_detection library malware network package process registry session threat vulnerability web'.split(
    ' ',
  );
const ECS_TYPES =
  'access admin allowed change connection creation deletion denied device end error group indicator info installation protocol start user'.split(
    ' ',
  );
// OCSF 1.4: highest activity_id of the classes in use; 99 = Other is allowed everywhere.
const OCSF_ACTIVITY_MAX: ReadonlyMap<number, number> = new Map([
  [0, 0],
  [2003, 3],
  [2004, 3],
  [3001, 11],
  [3002, 6],
  [3003, 2],
  [3004, 11],
  [3005, 2],
  [3006, 6],
  [6002, 8],
  [6003, 4],
  [6005, 10],
  [6006, 13],
]);

function fieldNames(record: string): string[] {
  const schema = RECORD_SCHEMAS[`tracehound.events.v1.${record}` as RecordName];
  return (schema.fields as readonly { name: string }[]).map((field) => field.name);
}

describe('R-109: every type is mapped', () => {
  test.each(EVENT_TYPES.map((type) => [type.name, type] as const))('%s', (_name, type) => {
    expect(FAMILIES[type.family]).toBeDefined();
    expect(RETENTION_CLASSES[type.retention]).toBeDefined();
    expect(SEVERITIES[type.severity].ocsf).toBeGreaterThan(0);
    expect(['SUCCESS', 'FAILURE', 'UNKNOWN']).toContain(type.outcome);
    expect(type.doc).toMatch(/\.$/);
    // The topic carries the record, or nobody could write the type.
    expect(TOPICS[type.topic].records).toContain(`tracehound.events.v1.${type.record}`);
    expect(type.ecs.category.length * type.ecs.type.length).toBeGreaterThan(0);
    for (const category of type.ecs.category) expect(ECS_CATEGORIES).toContain(category);
    for (const word of type.ecs.type) expect(ECS_TYPES).toContain(word);
    const activityMax = OCSF_ACTIVITY_MAX.get(type.ocsf.classUid);
    expect(activityMax).toBeDefined();
    expect(type.ocsf.activityId === 99 || type.ocsf.activityId <= (activityMax ?? 0)).toBe(true);
    for (const [key, sensitivity] of Object.entries(type.payload)) {
      expect(key).toMatch(/^[a-z][a-z0-9_.]{0,63}$/);
      expect(['none', 'low', 'high']).toContain(sensitivity);
      // A payload key of the name of a typed field would be hidden behind it.
      expect(fieldNames(type.record)).not.toContain(key);
    }
  });

  test('every envelope field and every typed field has a sensitivity', () => {
    const envelope = (
      RECORD_SCHEMAS['tracehound.events.v1.ActivityEvent'].fields as readonly { name: string; type: unknown }[]
    ).find((field) => field.name === 'envelope')?.type as { fields: readonly { name: string; type: unknown }[] };
    const leaves = envelope.fields.map((field) => field.name);
    const known = Object.keys(ENVELOPE_SENSITIVITY).map((path) => path.split('.')[0]);
    expect(new Set(known)).toEqual(new Set(leaves));
    for (const record of new Set(EVENT_TYPES.map((type) => type.record))) {
      const typed = fieldNames(record).filter(
        (name) => !['schema_rev', 'envelope', 'payload', 'changes'].includes(name),
      );
      const named = Object.keys(RECORD_SENSITIVITY[record] ?? {}).map((path) => path.split('.')[0]);
      expect(new Set(named), record).toEqual(new Set(typed));
    }
  });
});

test('R-202: what enrichers add is defined with type and unit, on the types that carry it, and hides no typed field', () => {
  expect(Object.keys(ENRICHED_FIELDS)).toEqual(['geo.speed_kmh', 'days_idle', 'device_is_new', 'network_is_new']);
  for (const [field, { type, unit, sensitivity, on, doc }] of Object.entries(ENRICHED_FIELDS)) {
    expect(doc).toMatch(/\.$/);
    expect(unit === null, field).toBe(type !== 'number');
    for (const name of on) {
      expect(definitionOf(name).payload[field]).toBe(sensitivity);
      expect(fieldNames(definitionOf(name).record)).not.toContain(field);
    }
  }
});

test('R-107: what happens before a login needs no organization, what tenants do needs one', () => {
  for (const name of ['auth.login.failure', 'security.brute_force.detected', 'system.health_check'] as const) {
    expect(definitionOf(name).nullOrganization).toBe(true);
  }
  for (const name of ['org.deleted', 'data.exported', 'auth.mfa.disabled', 'member.role.changed'] as const) {
    expect(definitionOf(name).nullOrganization).toBe(false);
  }
});

test('severities: Sigma level equals OCSF severity_id, and words of all vocabularies are known', () => {
  const levels = ['informational', 'low', 'medium', 'high', 'critical'];
  for (const [index, level] of levels.entries()) {
    expect(SEVERITIES[severityOf(level) ?? 'UNKNOWN']).toMatchObject({ sigma: level, ocsf: index + 1 });
  }
  expect(['info', 'warning', 'critical'].map(severityOf)).toEqual(['INFORMATIONAL', 'MEDIUM', 'CRITICAL']);
  expect(severityOf('WARNING')).toBe('MEDIUM');
  expect(severityOf('constructor')).toBeUndefined();
});

test.each(['constructor', '__proto__', 'toString', '', 'auth', 'auth.login.succes', 'AUTH.LOGOUT'])(
  '%j is no event type',
  (name) => {
    expect(eventTypeOf(name)).toBeUndefined();
    expect(isEventType(name)).toBe(false);
  },
);

test('types: a misspelt type does not compile, and the type selects the record', () => {
  // @ts-expect-error: misspelt
  const misspelt: EventType = 'auth.login.succes';
  expect(isEventType(misspelt)).toBe(false);
  expectTypeOf<TypedEvent<'auth.logout'>['mfa_used']>().toEqualTypeOf<AuthenticationEvent['mfa_used']>();
  expectTypeOf<TypedEvent<'data.exported'>['record_count']>().toEqualTypeOf<ActivityEvent['record_count']>();
  expectTypeOf<TypedEvent<'auth.logout'>['envelope']['event_type']>().toEqualTypeOf<'auth.logout'>();
});
