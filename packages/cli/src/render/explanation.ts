import type { CorrelationExplanation, GroupExplanation } from '@tracehound/detect';
import type { Explanation, LeafExplanation, Scalar } from '@tracehound/sigma';

/** What a rule says of an event, ready to be shown or printed as JSON. */
export type RuleExplanation = {
  readonly rule_id: string;
  readonly rule_title: string;
  readonly file: string;
  readonly line: number;
  readonly event_id: string;
  /** False when the rule is for another log source; the condition is shown all the same. */
  readonly log_source_fits: boolean;
  readonly matched: boolean;
  /** The fewest tests that would have to turn out otherwise. */
  readonly missing: readonly string[];
  readonly condition: Explanation;
};

type Paint = (text: string, colour: 'good' | 'bad' | 'dim') => string;

const CODES = { good: '32', bad: '31', dim: '2' } as const;

function painter(colours: boolean): Paint {
  return (text, colour) => (colours ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text);
}

/** The tree of a condition, one line a test, with a mark for true and false. */
export function explanationText(explanation: RuleExplanation, colours: boolean): string {
  const paint = painter(colours);
  const verdict = explanation.matched ? paint('matches', 'good') : paint('does not match', 'bad');
  const head = `${explanation.rule_title} (${explanation.file}:${explanation.line}) ${verdict} event ${plain(explanation.event_id)}`;
  const lines = [head];
  if (!explanation.log_source_fits) lines.push(paint('  the rule is for another log source', 'dim'));
  lines.push(...treeLines(explanation.condition, '  ', paint));
  if (explanation.missing.length > 0)
    lines.push(
      `  to match it would need: ${explanation.missing.map((test) => paint(plain(test), 'bad')).join(' and ')}`,
    );
  return lines.join('\n');
}

/** Why a result is there, as indented lines: the condition with its values, or what was asked and the evidence. */
export function reasonLines(reason: Explanation | CorrelationExplanation, colours: boolean): string[] {
  const paint = painter(colours);
  if ('op' in reason) return treeLines(reason, '  ', paint);
  const evidence = reason.evidence.map(({ id, at, steps }) =>
    paint(
      `    ${[at ?? '(let go)'.padEnd(24), plain(id), plain((steps ?? []).join(', '))].join('  ')}`.trimEnd(),
      'dim',
    ),
  );
  return [`  asked: ${plain(reason.asked)}`, ...evidence];
}

function treeLines(node: Explanation, indent: string, paint: Paint): string[] {
  const mark = node.matched ? paint('✓', 'good') : paint('✗', 'bad');
  switch (node.op) {
    case 'test':
      return [`${indent}${mark} ${plain(node.test)}  ${paint(saw(node), 'dim')}`];
    case 'not':
      return [`${indent}${mark} not`, ...treeLines(node.of, `${indent}  `, paint)];
    case 'and':
    case 'or':
      return [
        `${indent}${mark} ${node.op === 'and' ? 'all of' : 'any of'}`,
        ...node.of.flatMap((part) => treeLines(part, `${indent}  `, paint)),
      ];
  }
}

function saw(leaf: LeafExplanation): string {
  if (leaf.values === null) return '(no such field)';
  if (leaf.values.length === 0) return leaf.field === null ? '(in no value)' : '(an empty list)';
  return `(${leaf.field === null ? 'in' : 'is'} ${leaf.values.map(valueText).join(', ')})`;
}

function valueText(value: Scalar): string {
  return plain(JSON.stringify(value));
}

/** A group of a correlation: what it reached, what lacked, its events, and what would have made it fire. */
export function groupText(explanation: GroupExplanation, colours: boolean): string {
  const paint = painter(colours);
  const group = Object.entries(explanation.group ?? {}).map(([field, value]) => `${field}=${value ?? 'null'}`);
  const where = group.length === 0 ? 'all events' : plain(group.join(' '));
  const organization = explanation.organization_id === 'platform' ? '' : ` of ${plain(explanation.organization_id)}`;
  const verdict = explanation.holds ? paint('fires', 'good') : paint('does not fire', 'bad');
  const lines = [
    `  ${where}${organization} ${verdict}: ${plain(explanation.reached)}, ${explanation.from} to ${explanation.to}`,
  ];
  if (explanation.missing !== null) lines.push(`    missing: ${plain(explanation.missing)}`);
  if (explanation.would_fire_with.length > 0)
    lines.push(`    would fire with ${explanation.would_fire_with.join(', or with ')}`);
  for (const event of explanation.events) {
    const value = event.value === null ? '' : `  ${plain(event.value)}`;
    lines.push(paint(`    ${event.at}  ${plain(event.id)}  ${plain(event.step)}${value}`, 'dim'));
  }
  return lines.join('\n');
}

/** Values come from events: what could steer a terminal is shown as a question mark. */
function plain(text: string): string {
  return text.replace(/\p{C}/gu, '?');
}
