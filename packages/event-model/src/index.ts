/**
 * Ring 0: the words every other package shares - verdicts, errors, ids, the event catalogue and the record
 * types generated from `schemas/`. It does no I/O, reads no clock, and depends on nothing.
 */
export * from './errors.ts';
export * from './ids.ts';
export * from './verdict.ts';
