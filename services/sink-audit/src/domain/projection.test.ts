import { createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { RECORD, RECORD_NAMES, type RecordInputByName, type RecordName } from '@tracehound/event-model';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  alertDelivery,
  alertLifecycle,
  correlationAlert,
  detectionFinding,
  lateEvent,
  loginFailure,
  ruleActivation,
} from '../../test/event.fixture.ts';
import type { Projection, RecordKind } from './audit-row.ts';
import { INTAKE_KINDS } from './intake-topics.ts';
import { type NamedRecord, project, uuidOf } from './projection.ts';

const registry = createMemoryRegistry();
const codec = createAvroCodec({ registry });
const TOPIC_ID = '6f1f8f7e-0c4b-4a4f-9c56-0f6d2f9d8a11';

beforeAll(async () => {
  await registerRecords(registry);
  await codec.prepare(RECORD_NAMES);
});

async function decoded<N extends RecordName>(name: N, value: RecordInputByName[N]): Promise<NamedRecord> {
  return codec.decode(codec.encode(name, value));
}

async function projected<N extends RecordName>(
  kind: RecordKind,
  name: N,
  value: RecordInputByName[N],
): Promise<Projection> {
  const verdict = project(kind, await decoded(name, value));
  if (verdict.kind !== 'ok') throw new Error(`refused: ${JSON.stringify(verdict)}`);
  return verdict.value;
}

describe('projection', () => {
  it('R-107 a null subject organization lives in `platform`, and stays null in its own column', async () => {
    const event = loginFailure({ organization_id: null, intake_org: 'platform' });
    const columns = await projected('event', RECORD.AuthenticationEvent, event);
    expect(columns).toMatchObject({ organizationId: 'platform', subjectOrganizationId: null });
  });

  it('R-308 takes the retention class from the catalogue, `standard` for types it does not know', async () => {
    const known = await projected('event', RECORD.AuthenticationEvent, loginFailure());
    const unknown = await projected('event', RECORD.AuthenticationEvent, loginFailure({ event_type: 'vendor.thing' }));
    const exported = loginFailure({ event_type: 'compliance.data_export.completed', family: 'compliance' });
    expect([known.retentionClass, unknown.retentionClass]).toEqual(['long', 'standard']);
    expect((await projected('event', RECORD.AuthenticationEvent, exported)).retentionClass).toBe('permanent');
  });

  it('keeps native names and lists of third-party events, and numbers a double cannot hold as text', async () => {
    const field = (name: string, type: 'STRING' | 'NUMBER' | 'BOOLEAN' | 'NULL', ...texts: string[]) => ({
      name,
      is_list: texts.length > 1,
      values: texts.map((text) => ({ type, text })),
    });
    const columns = await projected('event', RECORD.ExternalEvent, {
      envelope: { ...loginFailure().envelope, event_type: 'external.event', family: 'external' },
      log_source: { product: 'aws', service: 'cloudtrail', category: null },
      fields: [
        field('eventName', 'STRING', 'ConsoleLogin'),
        field('eventName', 'STRING', 'second'),
        field('resources.arn', 'STRING', 'a', 'b'),
        field('bytes', 'NUMBER', '1e400000'),
        field('id', 'NUMBER', '12345678901234567890'),
        field('count', 'NUMBER', '42'),
        field('mfa', 'BOOLEAN', 'false'),
        field('error', 'NULL', 'null'),
        { name: 'empty', is_list: true, values: [] },
      ],
    });
    expect(JSON.parse(columns.attrs)).toMatchObject({
      log_source: { product: 'aws', service: 'cloudtrail' },
      fields: {
        eventName: 'ConsoleLogin',
        'resources.arn': ['a', 'b'],
        bytes: '1e400000',
        id: '12345678901234567890',
        count: 42,
        mfa: false,
        error: null,
        empty: [],
      },
    });
  });

  it('a name like __proto__ in a third-party event is a name', async () => {
    const columns = await projected('event', RECORD.ExternalEvent, {
      envelope: { ...loginFailure().envelope, event_type: 'external.event', family: 'external' },
      log_source: { product: 'x', service: null, category: null },
      fields: [{ name: '__proto__', is_list: false, values: [{ type: 'STRING', text: 'kept' }] }],
    });
    expect(columns.attrs).toContain('"__proto__":"kept"');
  });

  it('gives every other kind its identity, rule, severity and source', async () => {
    expect(
      await projected('alert', RECORD.CorrelationAlert, correlationAlert({ kind: 'FINAL', revision: 4_002 })),
    ).toMatchObject({
      recordKey: '01234567-89ab-cdef-0123-456789abcdef:4002:FINAL',
      alertId: '01234567-89ab-cdef-0123-456789abcdef',
      revision: 4_002,
      action: 'FINAL',
      severity: 4,
      retentionClass: 'long',
      eventTimeMs: 2_000,
      occurredAtMs: 1_000,
    });
    expect(await projected('finding', RECORD.DetectionFinding, detectionFinding(TOPIC_ID))).toMatchObject({
      recordKey: 'fedcba98-7654-3210-fedc-ba9876543210',
      srcTopicId: TOPIC_ID,
      srcPartition: 2,
      srcOffset: 41,
      severity: 4,
    });
    const late = await projected('late', RECORD.LateEvent, lateEvent(TOPIC_ID));
    expect(late).toMatchObject({ recordKey: 'event-1:A', action: 'A', eventId: 'event-1' });
    expect(late.attrs).not.toContain('payload');
    expect(await projected('delivery', RECORD.AlertDelivery, alertDelivery())).toMatchObject({
      recordKey: 'd-1:1:SENT',
      outcome: 'success',
      service: 'soc',
    });
    expect(
      (await projected('delivery', RECORD.AlertDelivery, { ...alertDelivery(), status: 'IN_DOUBT' })).outcome,
    ).toBe('unknown');
    expect(await projected('lifecycle', RECORD.AlertLifecycle, alertLifecycle())).toMatchObject({
      recordKey: '01234567-89ab-cdef-0123-456789abcdef:6000:acknowledged:ada',
      actorId: 'ada',
    });
  });

  it('refuses a record on a topic of another kind, whatever the pair', async () => {
    const records = [
      ['event', await decoded(RECORD.AuthenticationEvent, loginFailure())],
      ['alert', await decoded(RECORD.CorrelationAlert, correlationAlert())],
      ['finding', await decoded(RECORD.DetectionFinding, detectionFinding(TOPIC_ID))],
      ['late', await decoded(RECORD.LateEvent, lateEvent(TOPIC_ID))],
      ['delivery', await decoded(RECORD.AlertDelivery, alertDelivery())],
      ['lifecycle', await decoded(RECORD.AlertLifecycle, alertLifecycle())],
      ['rules', await decoded(RECORD.RuleActivation, ruleActivation())],
    ] as const;
    for (const kind of new Set(Object.values(INTAKE_KINDS))) {
      for (const [own, record] of records) {
        expect([kind, own, project(kind, record).kind]).toEqual([kind, own, kind === own ? 'ok' : 'deadLetter']);
      }
    }
  });

  it('refuses ids that must be UUIDs and are none', async () => {
    const alert = project('alert', await decoded(RECORD.CorrelationAlert, correlationAlert({ alert_id: 'nope' })));
    expect(alert).toMatchObject({ kind: 'deadLetter', reason: 'invalid_id' });
    expect(project('late', await decoded(RECORD.LateEvent, lateEvent('x')))).toMatchObject({ reason: 'invalid_id' });
    expect(uuidOf('0123456789ABCDEF0123456789abcdef')).toBe('01234567-89ab-cdef-0123-456789abcdef');
    expect(uuidOf('01234567-89ab-cdef-0123-456789abcde')).toBeNull();
  });

  it('is a pure function: equal records give equal columns', async () => {
    const event = loginFailure();
    expect(await projected('event', RECORD.AuthenticationEvent, event)).toEqual(
      await projected('event', RECORD.AuthenticationEvent, event),
    );
  });
});
