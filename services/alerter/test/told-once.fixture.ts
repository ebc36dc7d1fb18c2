import { expect } from 'vitest';
import type { AlerterWorld } from './alerter-world.fixture.ts';

/** Each of these alerts is told once, thin ones get their details, nothing else is told, and every fact is in the log. */
export async function expectToldOnce(world: AlerterWorld, alertIds: readonly string[]): Promise<void> {
  const { arrivals } = world.receiver;
  const opened = arrivals.filter(({ body }) => body.type === 'alert.opened');
  expect(opened.map(({ body }) => body.data['alert_id']).sort()).toEqual([...alertIds].sort());
  // Nothing twice: what else came are the details of thin notices, each under an id of its own.
  expect(world.receiver.ids()).toHaveLength(arrivals.length);
  const rest = arrivals.filter(({ body }) => body.type !== 'alert.opened');
  expect(rest.every(({ body }) => body.type === 'alert.completed')).toBe(true);
  expect(rest).toHaveLength(opened.filter(({ body }) => body.data['thin'] === true).length);
  const facts = await world.decoded('security.deliveries');
  const told = facts.filter((fact) => fact['status'] === 'SENT').map((fact) => fact['delivery_id']);
  expect([...new Set(told)].sort()).toEqual(world.receiver.ids());
}
