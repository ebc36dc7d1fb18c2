import type { RuleFile } from '@tracehound/sigma';
import { referencesOf } from './correlation-sketch.ts';
import { readRules } from './lint.ts';
import { profileOf, type RuleDocument } from './rule-document.ts';
import { createRuleIndex } from './rule-index.ts';
import { mapAt, textsAt } from './yaml-read.ts';

/** The profiles that rules of the files name, sorted. */
export function profilesOf(files: readonly RuleFile[]): readonly string[] {
  return [...new Set(readRules(files).flatMap((rule) => profileOf(rule) ?? []))].toSorted();
}

/**
 * The files with only the rules of a profile, what those stand on whatever its profile, and the filters of what is
 * left. Other documents become empty lines, so that places in the files stay what they are. Text that is no rule stays
 * for the loader to report.
 */
export function selectProfile(files: readonly RuleFile[], profile: string): readonly RuleFile[] {
  const rules = readRules(files);
  const index = createRuleIndex(rules);
  const kept = new Set<RuleDocument>();
  function keep(rule: RuleDocument): void {
    if (kept.has(rule)) return;
    kept.add(rule);
    for (const reference of rule.correlation ? referencesOf(rule.correlation) : []) {
      const target = index.named(reference);
      if (target) keep(target);
    }
  }
  for (const rule of rules) if (profileOf(rule) === profile.toLowerCase() && rule.kind !== 'filter') keep(rule);
  for (const rule of rules) if (rule.kind === 'filter' && isOf(rule, [...kept])) kept.add(rule);
  const dropped = new Set(rules.filter((rule) => !kept.has(rule)));
  return files.flatMap((file) => {
    const gone = new Set([...dropped].filter(({ path }) => path === file.path).map(({ at }) => at.line));
    const all = rules.filter(({ path }) => path === file.path).length;
    if (gone.size === 0) return [file];
    return gone.size === all ? [] : [{ ...file, content: without(file.content, gone) }];
  });
}

/** A filter of every rule of a log source, or of one that is kept. A filter of others would only be refused. */
function isOf(filter: RuleDocument, kept: readonly RuleDocument[]): boolean {
  const named = textsAt(mapAt(filter.map, 'filter'), 'rules').map((name) => name.toLowerCase());
  if (named.length === 0 || (named.length === 1 && named[0] === 'any')) return true;
  const names = new Set(kept.flatMap(({ id, name }) => [id?.toLowerCase(), name?.toLowerCase()]));
  return named.every((name) => names.has(name));
}

/** The text with the documents that have their first key at one of the lines blanked, separators included. */
function without(content: string, firstLines: ReadonlySet<number>): string {
  const lines = content.replaceAll('\r\n', '\n').split('\n');
  const result: string[] = [];
  let from = 0;
  for (let line = 1; line <= lines.length; line++) {
    if (line < lines.length && !/^---(?:\s|$)/.test(lines[line] ?? '')) continue;
    const document = lines.slice(from, line);
    const isGone = [...firstLines].some((first) => first > from && first <= line);
    result.push(...(isGone ? document.map(() => '') : document));
    from = line;
  }
  return result.join('\n');
}
