import type { Scalar, Test } from '@tracehound/sigma';
import { UsageError } from '../usage-error.ts';

/** What the choice of fields needs of an event. */
export type FieldSource = {
  values(field: string): readonly Scalar[] | undefined;
  fields(): Iterable<string>;
};

/** A value of a field that may stand in a rule. */
export type FilterValue = string | number | boolean;

/** A field of a filter, with the values an event must have there, all of them. */
export type FilterField = { readonly field: string; readonly values: readonly FilterValue[] };

/** Where the organization stands whose key an event came in under: the one that rules and overrides go by. */
export const ORGANIZATION_FIELD = 'intake_org';

/** Who, on what, from where: what a verdict on an alert is usually about. */
const TELLING: readonly string[] = ['actor.id', 'subject.id', 'network.ip_hash', 'source.service'];
/** Only where nothing better is shared: many people have the same, or the next release has another. */
const WEAK: readonly string[] = [
  'network.ip',
  'network.user_agent',
  'network.asn',
  'source.instance',
  'source.platform',
  'network.country',
];
/** Shared by all events of an organization; it stands in every draft anyway. */
const OF_ALL: ReadonlySet<string> = new Set([ORGANIZATION_FIELD, 'organization_id', 'cluster_id']);
/** Fields named in the error when nothing fits. */
const NAMED_MAX = 12;

export type FieldChoice = {
  readonly events: readonly FieldSource[];
  /** Of the rule: what its windows are told apart by. */
  readonly groupBy: readonly string[];
  /** What the detections that were met ask for, and what they say is worth a look. */
  readonly detections: readonly { readonly test: Test; readonly fields: readonly string[] }[];
  /** `NAME` or `NAME=VALUE` as the user says; empty: chosen here. */
  readonly wanted: readonly string[];
};

/**
 * The fields of a filter that leaves out the events and little else: every field of the group that all of them share, then who, on
 * what and from where, and what the detections list under `fields`. More fields leave out less, so all that are shared are taken; but
 * not those the detections ask for themselves, which every match has, nor ids and times of single requests, which no
 * event to come has.
 * @throws UsageError when no event shares anything, or a wanted field is not shared.
 */
export function chooseFields({ events, groupBy, detections, wanted }: FieldChoice): readonly FilterField[] {
  if (wanted.length > 0) return wanted.map((text) => wantedField(text, events));
  const asked = new Set(detections.flatMap(({ test }) => fieldsOf(test)));
  const listed = detections.flatMap(({ fields }) => fields);
  const telling = [...TELLING, ...listed].filter((name) => !asked.has(name));
  const shared = (names: readonly string[]): readonly FilterField[] =>
    [...new Set(names)].filter((name) => !OF_ALL.has(name)).flatMap((name) => sharedField(name, events) ?? []);
  const chosen = shared([...groupBy, ...telling]);
  if (chosen.length > 0) return chosen;
  const weak = shared(WEAK.filter((name) => !asked.has(name))).slice(0, 1);
  if (weak.length > 0) return weak;
  throw new UsageError(
    `the events of the evidence share no field that tells them from others; choose with --field NAME or --field NAME=VALUE, of: ${namesOf(events)}`,
  );
}

function wantedField(text: string, events: readonly FieldSource[]): FilterField {
  const cut = text.indexOf('=');
  const field = cut < 0 ? text : text.slice(0, cut);
  if (!events.some((event) => valuesOf(event, field).length > 0)) {
    throw new UsageError(`--field ${field}: no event of the evidence has it; they have: ${namesOf(events)}`);
  }
  if (cut >= 0) {
    const wanted = text.slice(cut + 1);
    // As the events have it: a number stays one.
    const value = events.flatMap((event) => valuesOf(event, field)).find((one) => String(one) === wanted);
    if (value !== undefined) return { field, values: [value] };
    throw new UsageError(`--field ${text}: no event of the evidence has that value; ${spreadOf(field, events)}`);
  }
  const shared = sharedField(field, events);
  if (shared !== null) return shared;
  throw new UsageError(
    `--field ${field}: the events of the evidence do not share it, write --field ${field}=VALUE; ${spreadOf(field, events)}`,
  );
}

/** Values that all events have under a name. */
function sharedField(field: string, events: readonly FieldSource[]): FilterField | null {
  const [first, ...others] = events.map((event) => valuesOf(event, field));
  const values = (first ?? []).filter((value) => others.every((theirs) => theirs.includes(value)));
  return values.length === 0 ? null : { field, values };
}

/** Each once; nothing stands for no value: a filter on that would leave out whatever lacks the field. */
function valuesOf(event: FieldSource, field: string): readonly FilterValue[] {
  const values = (event.values(field) ?? []).filter((value) => value !== null && value !== '');
  return [...new Set(values)] as readonly FilterValue[]; // Null was taken out.
}

function spreadOf(field: string, events: readonly FieldSource[]): string {
  const values = [...new Set(events.flatMap((event) => valuesOf(event, field)))];
  const some = values.slice(0, 3).map((value) => JSON.stringify(value));
  return `${values.length} values: ${some.join(', ')}${values.length > some.length ? ', …' : ''}`;
}

function namesOf(events: readonly FieldSource[]): string {
  const names = [...new Set(events.flatMap((event) => [...event.fields()]))].filter(
    (name) => !OF_ALL.has(name) && events.some((event) => valuesOf(event, name).length > 0),
  );
  return `${names.slice(0, NAMED_MAX).join(', ')}${names.length > NAMED_MAX ? ', …' : ''}`;
}

function fieldsOf(test: Test): readonly string[] {
  if (test.op === 'and' || test.op === 'or') return test.of.flatMap(fieldsOf);
  if (test.op === 'not') return fieldsOf(test.of);
  return 'field' in test ? [test.field] : [];
}
