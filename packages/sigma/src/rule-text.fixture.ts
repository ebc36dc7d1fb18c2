import {
  type CorrelationRule,
  formatProblem,
  loadRuleSet,
  type RuleSetCompiled,
  type RuleSetOptions,
  SigmaError,
  type Test,
} from './index.ts';

/** The set of one file. */
export function load(content: string, options?: RuleSetOptions): RuleSetCompiled {
  return loadRuleSet([{ path: 'r.yml', content }], options);
}

/** `code message` of every problem with a file; empty when it loads. */
export function problemsOf(content: string, options?: RuleSetOptions): string[] {
  try {
    load(content, options);
  } catch (error) {
    if (error instanceof SigmaError) return error.problems.map(formatProblem);
    throw error;
  }
  return [];
}

/** A detection over one selection `s`, given as YAML in flow style. */
export function detection(name: string, selection: string): string {
  return `title: ${name}\nname: ${name}\nlogsource: {product: test}\ndetection: {s: ${selection}, condition: s}\n`;
}

/** Detections a, b, c and d. */
export const ABCD: string = ['a', 'b', 'c', 'd'].map((name) => detection(name, `{${name}: 1}`)).join('---\n');

/** A correlation `x` over `ABCD`; body in YAML flow style without the braces. */
export function correlation(body: string, name = 'x'): string {
  return `title: ${name}\nname: ${name}\ncorrelation: {timespan: 5m, ${body}}\n`;
}

/** The last correlation of `ABCD` and these documents. */
export function loadCorrelation(...documents: readonly string[]): CorrelationRule {
  const rule = load([ABCD, ...documents].join('---\n')).correlations.at(-1);
  if (!rule) throw new Error('no correlation was loaded');
  return rule;
}

/** The test of a detection with one item. */
export function testOf(item: string, options?: RuleSetOptions): Test {
  const rule = load(detection('t', `{${item}}`), options).detections[0];
  if (!rule) throw new Error('no detection was loaded');
  return rule.test;
}

/** A test of text, as short as it can be written: parts with `*` and `?`, the anchor as in a rule. */
export function showTest(test: Test): string {
  switch (test.op) {
    case 'and':
    case 'or':
      return `(${test.of.map(showTest).join(` ${test.op} `)})`;
    case 'not':
      return `not ${showTest(test.of)}`;
    case 'text':
      return `${test.field}${test.anchor === 'whole' ? '' : `|${test.anchor}`}${test.cased ? '|cased' : ''}=${showParts(test.parts)}`;
    case 'keyword':
      return `keyword${test.cased ? '|cased' : ''}=${showParts(test.parts)}`;
    case 'keyword_regex':
      return `keyword~/${test.pattern}/${test.flags}`;
    case 'regex':
      return `${test.field}~/${test.pattern}/${test.flags}`;
    case 'null':
      return `${test.field}=null`;
    case 'exists':
      return `${test.field} ${test.present ? 'exists' : 'absent'}`;
    case 'compare':
      return `${test.field} ${test.relation} ${test.value}`;
    case 'time':
      return `${test.unit}(${test.field}) ${test.relation} ${test.value}`;
    case 'cidr':
      return `${test.field} in ${test.network}`;
    case 'fieldref':
      return `${test.field} ${test.negated ? '!' : ''}${test.anchor}${test.cased ? '|cased' : ''} ${test.other}`;
  }
}

function showParts(parts: Extract<Test, { op: 'keyword' }>['parts']): string {
  return parts.map((part) => (part.kind === 'text' ? part.text : part.kind === 'any' ? '<*>' : '<?>')).join('');
}
