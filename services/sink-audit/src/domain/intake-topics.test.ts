import { expect, it } from 'vitest';
import { intakeTopics } from './intake-topics.ts';

it('R-208 events of a topic that mirrors another deployment are audited under its name in the cluster', () => {
  const topics = intakeTopics('us', ['eu.security.events']);
  expect(topics.get('us.security.events')?.name).toBe('security.events');
  expect(topics.get('eu.security.events')).toEqual({
    name: 'eu.security.events',
    kind: 'event',
    deadLetterTopic: 'eu.security.events.dlq',
  });
  expect(topics.size).toBe(intakeTopics('us').size + 1);
  expect(() => intakeTopics('eu', ['eu.security.events'])).toThrow('is an intake topic of this deployment itself');
});
