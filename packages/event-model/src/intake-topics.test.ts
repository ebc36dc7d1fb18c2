import { describe, expect, it } from 'vitest';
import { checkMirroredSources, intakeTopicNames, mirroredIntakeTopic } from './index.ts';

const INVALID = { code: 'SEC_MIRRORED_SOURCE_INVALID' };

describe('mirrored topics', () => {
  it('are known by the intake topic their name ends with', () => {
    expect(mirroredIntakeTopic('eu.security.events')).toBe('security.events');
    expect(mirroredIntakeTopic('eu.ns.security.telemetry')).toBe('security.telemetry');
    expect(mirroredIntakeTopic('security.events')).toBeNull();
    expect(mirroredIntakeTopic('.security.events')).toBeNull();
    expect(mirroredIntakeTopic('eu.security.alerts')).toBeNull();
  });

  it('come after the own intake topics, each once', () => {
    const mirrored = ['eu.security.events', 'eu.security.events'];
    expect(intakeTopicNames('us', mirrored)).toEqual([
      'us.security.events',
      'us.security.telemetry',
      'eu.security.events',
    ]);
  });

  it('are refused when they are own topics, mirror none, or the cluster has no name of its own', () => {
    const refused = (namespace: string, topic: string, clusterId: string): unknown => {
      try {
        checkMirroredSources(namespace, { mirrored: [topic], clusterId });
        return null;
      } catch (error) {
        return error;
      }
    };
    expect(refused('eu', 'eu.security.events', 'us')).toMatchObject(INVALID);
    expect(refused('', 'eu.security.alerts', 'us')).toMatchObject(INVALID);
    expect(refused('', 'eu.security.events', 'local')).toMatchObject(INVALID);
    expect(refused('', 'eu.security.events', 'eu')).toMatchObject(INVALID);
    expect(refused('', 'eu.security.events', 'us')).toBeNull();
    expect(() => checkMirroredSources('', { mirrored: [], clusterId: 'local' })).not.toThrow();
  });
});
