/**
 * What a stage says about one item. Expected trouble is a verdict, never an exception
 * (`docs/adr/0002-verdicts.md`). Every verdict but `ok` carries a reason from the closed list of
 * its service, which doubles as a metric label; it never holds data of the event.
 */
export type Verdict<T, Reason extends string = string> =
  | Ok<T>
  | Drop<Reason>
  | DeadLetter<Reason>
  | Redirect<Reason>
  | Retry<Reason>;

/** The item goes on to the next stage as `value`. */
export type Ok<T> = { readonly kind: 'ok'; readonly value: T };

/** The item ends here on purpose (a marker, a duplicate). Counted, never silent. */
export type Drop<Reason extends string = string> = { readonly kind: 'drop'; readonly reason: Reason };

/** The item can never succeed. It goes to `<topic>.dlq`; `detail` names what and where, without personal data. */
export type DeadLetter<Reason extends string = string> = {
  readonly kind: 'deadLetter';
  readonly reason: Reason;
  readonly detail: string;
};

/** The item goes to another named lane (`late`, for one) instead of the next stage. */
export type Redirect<Reason extends string = string> = {
  readonly kind: 'redirect';
  readonly reason: Reason;
  readonly lane: string;
  readonly value: unknown;
};

/** The item may succeed later: nothing is acknowledged, the partition pauses and backs off. */
export type Retry<Reason extends string = string> = {
  readonly kind: 'retry';
  readonly reason: Reason;
  readonly cause: unknown;
};

export type VerdictKind = Verdict<unknown>['kind'];

export const VERDICT_KINDS: readonly VerdictKind[] = ['ok', 'drop', 'deadLetter', 'redirect', 'retry'];

export function ok<T>(value: T): Ok<T> {
  return { kind: 'ok', value };
}

export function drop<const R extends string>(reason: R): Drop<R> {
  return { kind: 'drop', reason };
}

export function deadLetter<const R extends string>(reason: R, detail: string): DeadLetter<R> {
  return { kind: 'deadLetter', reason, detail };
}

export function redirect<const R extends string>(reason: R, lane: string, value: unknown): Redirect<R> {
  return { kind: 'redirect', reason, lane, value };
}

export function retry<const R extends string>(reason: R, cause: unknown): Retry<R> {
  return { kind: 'retry', reason, cause };
}
