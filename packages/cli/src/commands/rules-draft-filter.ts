import { writeFileSync } from 'node:fs';
import {
  type CorrelationRule,
  type DetectionRule,
  exceptionsOver,
  loadRuleSet,
  type RuleException,
  type RuleSetCompiled,
  SigmaError,
} from '@tracehound/sigma';
import { expiredProblems } from '../deployment/exceptions.ts';
import { liveProblems } from '../deployment/live-rules.ts';
import { type FilterDocument, filterDocument } from '../filters/filter-document.ts';
import { chooseFields, ORGANIZATION_FIELD } from '../filters/filter-fields.ts';
import { counted } from '../render/counted.ts';
import {
  type AlertCase,
  type AlertSource,
  CHAIN,
  chosenAlert,
  detectionsMet,
  type EvidenceEvent,
  evidenceGap,
  evidenceVerdict,
  finalsOfEvents,
  readAlertCase,
  readAlerts,
} from '../replay/alert-evidence.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export type DraftFilterFlags = {
  /** The beginning of the id of an alert, eight digits or more. */
  readonly alert: string;
  readonly owner: string;
  readonly reason: string;
  /** A day or an instant in UTC, to come. */
  readonly expires: string;
  /** `NAME` or `NAME=VALUE` each; chosen unless told. */
  readonly field?: readonly string[];
  /** Where the filter goes; standard output unless told. Must not exist. */
  readonly out?: string;
  /** Whether the alert would have been raised is said, too. */
  readonly preview?: true;
};

export type DraftFilterContext = AlertSource & { readonly terminal: Pick<Terminal, 'out' | 'note'> };

/** Events and rules that are named one by one. */
const NAMED_MAX = 10;
const SAYS_ALL =
  '  `tracehound backtest --topic --rules PATH...` with the filter among the paths says it of all traffic';

/**
 * `tracehound rules draft-filter --alert ID`: a filter that would have left out the events behind an alert, and as little else as can
 * be told from them (R-212). It passes what `rules apply` asks of a filter, or nothing is written. Puts nothing into force. Exit code 0; with `preview`
 * 1 when the alert would still have been raised.
 * @throws UsageError for an alert that is not there, or events that share nothing; SigmaError for a filter that does not load.
 */
export async function runRulesDraftFilter(flags: DraftFilterFlags, context: DraftFilterContext): Promise<number> {
  for (const name of ['owner', 'reason', 'expires'] as const) {
    if (flags[name].trim() === '') throw new UsageError(`--${name} must say something: somebody answers for a filter`);
  }
  const one = await readAlertCase(chosenAlert(await readAlerts(context), flags.alert), context);
  const document = draftOf(one, flags);
  const { after, exception } = checked(document, one.ruleSet, context.now());
  if (flags.out === undefined) context.terminal.out(document.text.trimEnd());
  else writeNew(flags.out, document.text);
  const left = keptEvents(one, after);
  tellReach({ one, after, exception, left }, context.terminal);
  return flags.preview === true ? preview(one, after, context.terminal) : 0;
}

function draftOf(one: AlertCase, flags: DraftFilterFlags): FilterDocument {
  const { alert, rule, events, chained } = one;
  if (rule.isWarming)
    throw new UsageError('that alert is of rules that are still to come: there is nothing to filter yet');
  if (events.length === 0 && chained.length > 0) {
    const inner = chained.map((id) => id.slice(CHAIN.length, CHAIN.length + 12)).join(', --alert ');
    throw new UsageError(`that alert stands on other correlations alone: draft from those, --alert ${inner}`);
  }
  if (events.length === 0) throw new UsageError('no event of the evidence is in the topics any more');
  const detections = [...new Set(events.flatMap((event) => detectionsMet(one, event)))];
  if (detections.length === 0) throw new UsageError('the evidence meets no rule of its set: see rules explain --alert');
  for (const { id, event } of events) {
    // A third-party log may have a field of that name.
    if (event.view.values(ORGANIZATION_FIELD)?.includes(alert.organization_id)) continue;
    throw new UsageError(
      `event ${id} has a field ${ORGANIZATION_FIELD} of its own: no filter could tell its organization`,
    );
  }
  const fields = chooseFields({
    events: events.map(({ event }) => event.view),
    groupBy: rule.groupBy,
    detections,
    wanted: flags.field ?? [],
  });
  return filterDocument({
    alertId: alert.alert_id,
    ruleTitle: alert.rule.title,
    organization: alert.organization_id,
    detections,
    fields,
    owner: flags.owner.trim(),
    reason: flags.reason.trim(),
    expires: flags.expires.trim(),
  });
}

/** What `rules apply` asks, of the set of the alert with the filter in it. */
function checked(
  { id, text }: FilterDocument,
  before: RuleSetCompiled,
  nowMs: number,
): { readonly after: RuleSetCompiled; readonly exception: RuleException } {
  if (before.exceptions.some(({ uid }) => uid === id)) {
    throw new UsageError(`that filter was in force already, as ${id}: choose other fields with --field`);
  }
  // Errors of the loader begin with the path; the id keeps it apart from drafts that are in force.
  const after = loadRuleSet([...before.files, { path: `drafted-filter-${id}.yml`, content: text }]);
  const problems = liveProblems(after);
  if (problems.length > 0) throw new SigmaError(problems);
  const exception = after.exceptions.find(({ uid }) => uid === id);
  if (exception === undefined || exception.rules.length === 0) {
    throw new UsageError('the filter would reach no rule: has the set two rules of one id?');
  }
  const expired = expiredProblems([exception], nowMs);
  if (expired.length > 0) throw new UsageError(expired.join('\n'));
  return { after, exception };
}

function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new UsageError(`${file} is there already`);
    throw error;
  }
}

/** Events of the evidence that still meet a detection of the rule. */
function keptEvents(one: AlertCase, after: RuleSetCompiled): readonly EvidenceEvent[] {
  const rule = sameRule(one, after);
  return one.events.filter((event) => detectionsMet({ ruleSet: after, rule }, event).length > 0);
}

/** The rule in the set with the filter: its meaning is another, and its place may be where rules are warming up. */
function sameRule({ rule }: AlertCase, after: RuleSetCompiled): CorrelationRule {
  const found = after.correlations.find(
    ({ uid, override, isWarming }) =>
      uid === rule.uid && override?.organization === rule.override?.organization && !isWarming,
  );
  if (found !== undefined) return found;
  throw new UsageError('the set with the filter has not the rule any more');
}

function tellReach(
  {
    one,
    after,
    exception,
    left,
  }: {
    readonly one: AlertCase;
    readonly after: RuleSetCompiled;
    readonly exception: RuleException;
    readonly left: readonly EvidenceEvent[];
  },
  { note }: Pick<Terminal, 'note'>,
): void {
  const out = one.events.filter((event) => !left.includes(event));
  note(`leaves out ${out.length} of ${counted(one.events.length, 'event')} of the evidence: ${listed(out)}`);
  if (left.length > 0) note(`leaves in ${listed(left)}`);
  const gone = one.alert.event_ids.length - one.chained.length - one.events.length;
  if (gone > 0) note(`${counted(gone, 'event')} of the evidence ${gone === 1 ? 'is' : 'are'} no longer in the topics`);
  const others = [...alsoReached(one, after, exception)];
  if (others.length > 0) note(`events like these are left out of these rules too: ${some(others)}`);
}

/** Titles of other rules that speak and stand on the detections of the filter. */
function alsoReached(
  { rule, alert }: AlertCase,
  after: RuleSetCompiled,
  exception: RuleException,
): ReadonlySet<string> {
  const correlations = after.correlations.filter(
    (other) =>
      other.uid !== rule.uid &&
      other.emitsAlert &&
      exceptionsOver(after, other, alert.organization_id).some(({ uid }) => uid === exception.uid),
  );
  const findings = after.detections.filter(
    (detection: DetectionRule) => detection.emitsFinding && exception.rules.includes(detection.id),
  );
  return new Set([...correlations, ...findings].map(({ description }) => description.title));
}

function preview(one: AlertCase, after: RuleSetCompiled, { note }: Pick<Terminal, 'note'>): number {
  const gap = evidenceGap(one);
  if (gap !== null) {
    note(`• the evidence alone cannot say whether the alert would have been raised: ${gap.why}`);
    note(SAYS_ALL);
    return 0;
  }
  const before = evidenceVerdict(one);
  if (before.kind === 'differs') note(`• as it is, ${before.why}`);
  const finals = finalsOfEvents({ ...one, ruleSet: after, rule: sameRule(one, after) });
  if (finals.length > 0) {
    note('✗ with the filter the evidence would still have raised the alert');
    return 1;
  }
  const { count, count_exact: isExact, event_ids: named } = one.alert;
  if (!isExact || count > named.length) {
    note(
      `• the ${named.length} events that the alert names would not have raised it; it counted ${isExact ? '' : 'at least '}${count}`,
    );
    note(SAYS_ALL);
  } else note('✓ with the filter the evidence would not have raised the alert');
  return 0;
}

const listed = (events: readonly EvidenceEvent[]): string =>
  events.length === 0 ? 'none' : some(events.map(({ id }) => id));

function some(names: readonly string[]): string {
  const more = names.length - NAMED_MAX;
  return `${names.slice(0, NAMED_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
