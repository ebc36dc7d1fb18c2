import { entryOf, type ProblemSink, textEntry, textListEntry, type YamlMap } from './yaml-tree.ts';

/** What an analyst needs when the rule alerts; carried by alerts. */
export type Triage = {
  readonly meaning: string | null;
  readonly falsePositives: readonly string[];
  readonly nextSteps: readonly string[];
};

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
