import {
  type CorrelationExplanation,
  createDecider,
  createEvidenceLog,
  createMatchStage,
  type DetectOptions,
  type Detector,
  type DetectResult,
} from '@tracehound/detect';
import { type Explanation, explainTest, type RuleSetCompiled } from '@tracehound/sigma';

/** A result with its reason: the condition and its values, or the evidence. */
export type ExplainedResult = DetectResult & { readonly explain?: Explanation | CorrelationExplanation };

/** As `createDetector`; every result says why. Slower, and it remembers the matches of late. */
export function createExplainingDetector(ruleSet: RuleSetCompiled, options: DetectOptions): Detector {
  const match = createMatchStage(ruleSet);
  const decider = createDecider(ruleSet, options);
  const log = createEvidenceLog(ruleSet);
  const tests = new Map(ruleSet.detections.map((rule) => [rule.description.rule_id, rule.test]));
  const evidence = (result: DetectResult): ExplainedResult => {
    const explain = log.explain(result);
    return explain ? { ...result, explain } : result;
  };
  return {
    push: (event) => {
      const matched = match(event);
      log.add(event, matched);
      return decider.push(event, matched).map((result): ExplainedResult => {
        const test = result.kind === 'detection' ? tests.get(result.rule_id) : undefined;
        return test ? { ...result, explain: explainTest(test, event.view) } : evidence(result);
      });
    },
    end: () => decider.end().map(evidence),
    counters: () => decider.counters(),
    takeGaps: () => decider.takeGaps(),
  };
}
