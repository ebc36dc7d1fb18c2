import { describe, expect, it } from 'vitest';
import { loadRuleSet } from './rule-set.ts';
import { triageGuide } from './triage.ts';

const RULE = 'title: t\nlogsource: {category: c}\ndetection: {s: {x: 1}, condition: s}\n';

const guideOf = (more: string) => {
  const set = loadRuleSet([{ path: 't.yml', content: RULE + more }]);
  return set.detections[0]?.description.triage;
};

describe('the triage guide that alerts carry', () => {
  it("joins Sigma's false positives with those of the guide, each once", () => {
    expect(
      guideOf(
        'falsepositives: [Backups, Unknown]\ncustom: {triage: {meaning: m, false_positives: [Scans, Backups], next_steps: [n1, n2]}}\n',
      ),
    ).toEqual({ meaning: 'm', false_positives: ['Backups', 'Scans'], next_steps: ['n1', 'n2'] });
    expect(guideOf('falsepositives: [Backups]\n')).toEqual({
      meaning: null,
      false_positives: ['Backups'],
      next_steps: [],
    });
  });

  it.each(['', 'falsepositives: [unknown]\n', 'falsepositives: ["None", " unlikely "]\n', 'custom: {triage: {}}\n'])(
    'is null when the rule says nothing: %j',
    (more) => {
      expect(guideOf(more)).toBeNull();
    },
  );

  it('is on correlations too, and no part of what they mean', () => {
    const correlation = (more: string) =>
      loadRuleSet([
        {
          path: 't.yml',
          content: `name: a\n${RULE}---\ntitle: c\ncorrelation: {type: event_count, rules: [a], timespan: 1m, condition: {gte: 2}}\n${more}`,
        },
      ]).correlations[0];
    const guided = correlation('custom: {triage: {meaning: m}}\n');
    expect(guided?.description.triage).toEqual({ meaning: 'm', false_positives: [], next_steps: [] });
    expect(guided?.semanticHash).toBe(correlation('')?.semanticHash);
  });

  it('is cut to its bounds, at whole characters', () => {
    const texts = Array.from(
      { length: 12 },
      (_, index) => `${index} ${'x'.repeat(498 - `${index} `.length)}\u{1F600}y`,
    );
    const guide = triageGuide({
      triage: { meaning: texts[0] ?? '', falsePositives: texts, nextSteps: texts },
      falsePositives: [],
    });
    expect(guide?.false_positives).toHaveLength(10);
    expect(guide?.next_steps[0]).toBe(`${texts[0]?.slice(0, 498)}…`);
    expect(guide?.meaning?.isWellFormed()).toBe(true);
  });
});
