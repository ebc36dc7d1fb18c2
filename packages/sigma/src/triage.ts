import { entryOf, type ProblemSink, textEntry, textListEntry, type YamlMap } from './yaml-tree.ts';

/** What an analyst needs when the rule alerts; carried by alerts. */
export type Triage = {
  readonly meaning: string | null;
  readonly falsePositives: readonly string[];
  readonly nextSteps: readonly string[];
};

/** The guide as records on the wire carry it (`TriageGuide` of the alert and finding records). */
export type TriageGuide = {
  readonly meaning: string | null;
  readonly false_positives: string[];
  readonly next_steps: string[];
};

/**
 * The bounds of a guide on an alert: a few lines each. Alerts of one rule all carry it, so a rule that brings a manual
 * must not multiply it by its alerts. The shipped rules stay below 120 characters a text
 * and five texts a list.
 */
const TEXT_CHARACTERS_MAX = 500;
const LIST_MAX = 10;

/** What Sigma rules write in `falsepositives` when they know of none. */
const SAYS_NOTHING: ReadonlySet<string> = new Set(['unknown', 'unlikely', 'none', 'n/a', '-', '']);

/**
 * The guide that alerts carry: Sigma's own `falsepositives` and those of the guide, each once; null when there is
 * nothing to say. Cut to its bounds: ten entries a list, 500 characters an entry.
 */
export function triageGuide(rule: {
  readonly triage: Triage | null;
  readonly falsePositives: readonly string[];
}): TriageGuide | null {
  const { triage } = rule;
  const meaning = triage?.meaning ? short(triage.meaning) : null;
  const causes = [...rule.falsePositives, ...(triage?.falsePositives ?? [])].filter(
    (cause) => !SAYS_NOTHING.has(cause.trim().toLowerCase()),
  );
  const falsePositives = listOf(causes);
  const nextSteps = listOf(triage?.nextSteps ?? []);
  if (meaning === null && falsePositives.length + nextSteps.length === 0) return null;
  return { meaning, false_positives: falsePositives, next_steps: nextSteps };
}

function listOf(texts: readonly string[]): string[] {
  return [...new Set(texts.map(short))].slice(0, LIST_MAX);
}

/** Whole characters: half a surrogate pair would not survive UTF-8. */
function short(text: string): string {
  const line = text.trim();
  if (line.length <= TEXT_CHARACTERS_MAX) return line;
  return `${line.slice(0, TEXT_CHARACTERS_MAX - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** `x-triage`, or `triage` under `custom`: a map of meaning, false_positives, next_steps. */
export function readTriage(rule: YamlMap, warnings: ProblemSink): Triage | null {
  const custom = entryOf(rule, 'custom')?.value;
  const entry = entryOf(rule, 'x-triage') ?? (custom?.kind === 'map' ? entryOf(custom, 'triage') : undefined);
  if (!entry) return null;
  if (entry.value.kind !== 'map') {
    warnings.report('value_invalid', entry.keyAt, 'a triage guide is a map of meaning, false_positives and next_steps');
    return null;
  }
  const texts = (map: YamlMap, key: string): string[] => textListEntry(map, key, warnings).map(({ text }) => text);
  return {
    meaning: textEntry(entry.value, 'meaning', warnings) ?? null,
    falsePositives: texts(entry.value, 'false_positives'),
    nextSteps: texts(entry.value, 'next_steps'),
  };
}
