import { describe, expect, test } from 'vitest';
import { namespacedTopic, RECORD, RECORD_NAMES, TOPIC_NAMES, TOPIC_PROFILES, TOPICS, topicSettings } from './index.ts';

/** X1, without the dead letters. */
const X1 = [
  'detection.activations',
  'detection.rules',
  'security.alert-lifecycle',
  'security.alerts',
  'security.deliveries',
  'security.event-detected',
  'security.events',
  'security.findings',
  'security.late',
  'security.shadow',
  'security.matches',
  'security.telemetry',
];
const DAY_MS = 86_400_000;

describe('X1 topics', () => {
  test('every topic of X1 and its dead letters, nothing else', () => {
    expect([...TOPIC_NAMES].sort()).toEqual(X1.flatMap((name) => [name, `${name}.dlq`]).sort());
    for (const name of TOPIC_NAMES) {
      expect(TOPICS[name].deadLetterOf).toBe(name.endsWith('.dlq') ? name.slice(0, -'.dlq'.length) : null);
    }
  });

  test.each(['default', 'local'] as const)(
    'profile %s: append time everywhere, replicas that can keep a promise',
    (profile) => {
      for (const settings of topicSettings({ profile, namespace: 'ns' })) {
        expect(settings.topic.startsWith('ns.')).toBe(true);
        expect(settings.config['message.timestamp.type']).toBe('LogAppendTime');
        expect(Number(settings.config['min.insync.replicas'])).toBeLessThanOrEqual(settings.replicationFactor);
        expect(settings.partitions).toBeGreaterThan(0);
      }
    },
  );

  test('production survives the loss of one broker', () => {
    expect(TOPIC_PROFILES.default).toEqual({ replication: 3, minInsyncReplicas: 2 });
    expect(TOPICS['security.events'].partitions).toEqual({ default: 12, local: 4 });
  });

  test('rules and activations are kept for ever, in one partition; only rules are compacted (X7)', () => {
    for (const name of ['detection.rules', 'detection.activations'] as const) {
      expect(TOPICS[name].retentionMs).toBe(-1);
      expect(TOPICS[name].partitions).toEqual({ default: 1, local: 1 });
    }
    expect(TOPIC_NAMES.filter((name) => TOPICS[name].cleanup === 'compact')).toEqual(['detection.rules']);
  });

  test('retention has a reason and suits what rests on it', () => {
    for (const name of TOPIC_NAMES) expect(TOPICS[name].retentionReason.length).toBeGreaterThan(20);
    // Alerts are remembered at least as long as the events they name (X9); late events as long as events (X3).
    expect(TOPICS['security.alerts'].retentionMs).toBeGreaterThanOrEqual(TOPICS['security.events'].retentionMs);
    expect(TOPICS['security.late'].retentionMs).toBe(TOPICS['security.events'].retentionMs);
    expect(TOPICS['security.matches'].retentionMs).toBeGreaterThanOrEqual(2 * DAY_MS);
  });

  test('every record has a topic, and dead letters carry dead letters only', () => {
    const carried = new Set(TOPIC_NAMES.flatMap((name) => TOPICS[name].records));
    expect([...carried].sort()).toEqual([...RECORD_NAMES].sort());
    for (const name of TOPIC_NAMES) {
      if (TOPICS[name].deadLetterOf !== null) expect(TOPICS[name].records).toEqual([RECORD.DeadLetter]);
    }
  });

  test('an empty namespace leaves names alone', () => {
    expect(namespacedTopic('', 'security.events')).toBe('security.events');
    expect(namespacedTopic('t1', 'security.events.dlq')).toBe('t1.security.events.dlq');
  });
});
