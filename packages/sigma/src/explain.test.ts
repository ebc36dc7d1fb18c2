import { describe, expect, it } from 'vitest';
import { createJsonFieldView } from './field-view.ts';
import { blockersOf, type Explanation, explainTest, loadRuleSet } from './index.ts';

function explain(detection: string, event: Record<string, unknown>): Explanation {
  const content = `title: t\nlogsource: {product: x}\ndetection:\n${detection}`;
  const rule = loadRuleSet([{ path: 'r.yml', content }]).detections[0];
  if (!rule) throw new Error('no rule');
  return explainTest(rule.test, createJsonFieldView(event));
}

const blockers = (detection: string, event: Record<string, unknown>): string[] =>
  blockersOf(explain(detection, event)).map(({ test }) => test);

const AND_NOT = `    a: {user: root, cmd|contains: [nc, ncat]}
    b: {host|startswith: build-}
    condition: a and not b
`;

describe('explainTest', () => {
  it('shows every leaf with the values it saw', () => {
    const explanation = explain(AND_NOT, { user: 'Root', cmd: 'bash' });
    expect(explanation).toMatchObject({ op: 'and', matched: false });
    const leaves: string[] = [];
    const visit = (node: Explanation): void => {
      if (node.op === 'test') leaves.push(`${node.matched} ${node.test} ${JSON.stringify(node.values)}`);
      else if (node.op === 'not') visit(node.of);
      else for (const part of node.of) visit(part);
    };
    visit(explanation);
    expect(leaves).toEqual([
      'true user is "root" ["Root"]',
      'false cmd contains "nc" ["bash"]',
      'false cmd contains "ncat" ["bash"]',
      'false host starts with "build-" null',
    ]);
  });

  it('agrees with the matcher', () => {
    const content = `title: t\nlogsource: {product: x}\ndetection:\n${AND_NOT}`;
    const set = loadRuleSet([{ path: 'r.yml', content }]);
    for (const event of [
      {},
      { user: 'root' },
      { user: 'root', cmd: 'ncat' },
      { user: 'root', cmd: 'nc', host: 'build-1' },
      { user: ['x', 'root'], cmd: 'nc', host: null },
    ]) {
      const matched = set.matchEvent(createJsonFieldView(event), null).length === 1;
      expect(explain(AND_NOT, event).matched).toBe(matched);
    }
  });

  it('names the keyword values, and cuts long ones', () => {
    const explanation = explain('    k: [mimikatz]\n    condition: k\n', { a: `mimikatz ${'x'.repeat(999)}`, b: 1 });
    expect(explanation).toMatchObject({ op: 'test', matched: true, field: null });
    expect(explanation.op === 'test' ? String(explanation.values?.[0]).length : 0).toBe(256);
  });
});

describe('blockersOf', () => {
  it('is empty when the rule matches', () => {
    expect(blockers(AND_NOT, { user: 'root', cmd: 'nc' })).toEqual([]);
  });
  it('names what keeps a rule from matching, the easier way of several', () => {
    expect(blockers(AND_NOT, { cmd: 'nc' })).toEqual(['user is "root"']);
    expect(blockers(AND_NOT, { user: 'root', cmd: 'nc', host: 'build-7' })).toEqual(['host starts with "build-"']);
    const either = '    a: {x: 1, y: 2}\n    b: {z: 3}\n    condition: a or b\n';
    expect(blockers(either, {})).toEqual(['z is "3"']);
  });
});
