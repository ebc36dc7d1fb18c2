import { expect, it } from 'vitest';
import { isOwnMarker, markerHeaders, markerKindOf } from './index.ts';

it('X4 an end of input ends the topic it was written to, not one that mirrors it', () => {
  const headers = markerHeaders('end_of_input', 'security.events');
  expect(markerKindOf({ topic: 'security.events', headers })).toBe('end_of_input');
  expect(markerKindOf({ topic: 'eu.security.events', headers })).toBe('idle');
  const own = markerHeaders('end_of_input', 'eu.security.events');
  expect(markerKindOf({ topic: 'eu.security.events', headers: own })).toBe('end_of_input');
});

it('markers are known by their header, also those of builds that named no topic', () => {
  expect(markerKindOf({ topic: 't', headers: {} })).toBeNull();
  expect(markerKindOf({ topic: 't', headers: { th_marker: 'end_of_input' } })).toBe('end_of_input');
  expect(markerKindOf({ topic: 't', headers: { th_marker: 'idle' } })).toBe('idle');
  expect(markerKindOf({ topic: 't', headers: { th_marker: 'of a newer build' } })).toBe('unknown');
});

it('own markers are told from what a mirror brings, its markers included', () => {
  const topic = 'eu.security.events';
  expect(isOwnMarker({ topic, headers: markerHeaders('idle', topic) })).toBe(true);
  expect(isOwnMarker({ topic, headers: markerHeaders('idle', 'security.events') })).toBe(false);
  expect(isOwnMarker({ topic, headers: {} })).toBe(false);
});
