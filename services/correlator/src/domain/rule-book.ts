import type { RuleSet } from '@tracehound/event-model';
import { loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import { UnknownRulesError } from '../errors.ts';
import { Activations } from './activations.ts';

/** Records that claim one id; more would be somebody's attempt to fill memory. */
const CLAIMS_MAX = 4;

/**
 * The rule sets and activations read so far. Sets are content-addressed, so one read twice is the same set; they are
 * compiled when first used and kept.
 */
export class RuleBook {
  readonly activations: Activations = new Activations();
  private readonly files = new Map<string, RuleSet['files'][]>();
  private readonly compiledSets = new Map<string, RuleSetCompiled>();

  addRuleSet(ruleset: Pick<RuleSet, 'ruleset_id' | 'files'>): void {
    const known = this.files.get(ruleset.ruleset_id) ?? [];
    this.files.set(ruleset.ruleset_id, known);
    if (known.length < CLAIMS_MAX) known.push(ruleset.files);
  }

  has(rulesetId: string): boolean {
    return this.files.has(rulesetId);
  }

  /** Throws `UnknownRulesError` for a set not read yet, `SigmaError` for one that does not compile. */
  compiled(rulesetId: string): RuleSetCompiled {
    const known = this.compiledSets.get(rulesetId);
    if (known !== undefined) return known;
    // The id is the hash of the content, so only one claim to it can be true.
    for (const files of this.files.get(rulesetId) ?? []) {
      const rules = loadRuleSet(files);
      if (rules.rulesetId !== rulesetId) continue;
      this.compiledSets.set(rulesetId, rules);
      return rules;
    }
    throw new UnknownRulesError({ rulesetId });
  }
}
