import type { Match, MatchBatch } from '@tracehound/event-model';
import { type RuleSetCompiled } from '@tracehound/sigma';
import type { PartitionEngineConfig } from '../src/engine.ts';
/** Hand-made logs for tests that say exactly what happens when. */
export type SmallRule = {
  readonly name: string;
  readonly type: 'event_count' | 'value_count' | 'temporal_ordered';
  readonly spanMs: number;
  readonly threshold: number;
  readonly title?: string;
};
export declare function smallRuleSet(rules: readonly SmallRule[]): RuleSetCompiled;
export declare const SMALL_TOPIC: {
  topic: string;
  topic_id: string;
};
export declare function smallConfig(ruleSets: readonly RuleSetCompiled[], sources?: number): PartitionEngineConfig;
export declare function smallMatch(
  fields: Partial<Match> & {
    readonly event_id: string;
    readonly event_time: number;
  },
): Match;
export declare function smallBatch(
  ruleSet: RuleSetCompiled,
  fields: Partial<MatchBatch> & {
    readonly prev_to: number;
    readonly to: number;
    readonly watermark: number;
  },
): MatchBatch;
