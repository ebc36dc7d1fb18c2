import type { RuleSetCompiled } from '../compiled-rules.ts';
import { createJsonFieldView } from '../field-view.ts';
import { loadRuleSet } from '../rule-set.ts';
import type { Test } from '../test-tree.ts';
import type { Pipeline } from './pipeline-definition.ts';
import { readPipeline } from './read-pipeline.ts';

/** A pipeline of these steps, written as a YAML list. */
export function pipelineOf(steps: string, head = ''): Pipeline {
  return readPipeline({ path: 'p.yml', content: `name: test\n${head}\ntransformations:\n${steps}\n` });
}

/** A rule of Windows process creation with this detection, condition included. */
export function ruleOf(detection: string, head = ''): string {
  return `title: rule\nname: rule\nid: r1\n${head}\nlogsource: {product: windows, category: process_creation}\ndetection:\n${detection}\n`;
}

/** A rule with one selection, in YAML flow style. */
export function selecting(selection: string, head = ''): string {
  return ruleOf(`  selection: ${selection}\n  condition: selection`, head);
}

export function load(rule: string, ...pipelines: readonly Pipeline[]): RuleSetCompiled {
  return loadRuleSet([{ path: 'r.yml', content: rule }], { pipelines });
}

export function testOf(rule: string, ...pipelines: readonly Pipeline[]): Test | undefined {
  return load(rule, ...pipelines).detections[0]?.test;
}

export function matches(
  rule: string,
  pipelines: readonly Pipeline[],
  event: Readonly<Record<string, unknown>>,
): boolean {
  return load(rule, ...pipelines).matchEvent(createJsonFieldView(event), null).length > 0;
}

/** Messages with `line:column`, when the rule is refused. */
export function refusals(rule: string, ...pipelines: readonly Pipeline[]): readonly string[] {
  const set = loadRuleSet([{ path: 'r.yml', content: rule }], { pipelines, onProblem: 'refuse-rule' });
  return set.refused.map(({ line, column, code, message }) => `${line}:${column} ${code} ${message}`);
}
