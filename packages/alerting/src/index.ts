/**
 * Decisions of the alerter: whether an alert record is news, what a person is told, to whom, and what follows from a
 * receiver's answer. Pure: no clock, no I/O, no randomness (`now` and `random` are arguments). It refuses to know
 * where alerts are stored and how bytes reach a receiver.
 */
export type * from './alert-record.ts';
export type * from './alert-view.ts';
export * from './delivery-decision.ts';
export * from './delivery-id.ts';
export * from './explain-rule.ts';
export * from './notice.ts';
export * from './routing.ts';
export * from './severity.ts';
export * from './suppression.ts';
export * from './timeline.ts';
export * from './webhook-body.ts';
export * from './webhook-signature.ts';
