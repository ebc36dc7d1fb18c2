import type { RuleSet } from '@tracehound/event-model';
import { loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import { UnknownRulesError } from '../errors.ts';
import { Activations } from './activations.ts';

/**
 * The rule sets and activations read so far. Sets are content-addressed, so one read twice is the same set; they are
 * compiled when first used and kept.
 */
export class RuleBook {
  readonly activations: Activations = new Activations();
  private readonly files = new Map<string, RuleSet['files']>();
  private readonly compiledSets = new Map<string, RuleSetCompiled>();

  addRuleSet(ruleset: Pick<RuleSet, 'ruleset_id' | 'files'>): void {
    if (!this.files.has(ruleset.ruleset_id)) this.files.set(ruleset.ruleset_id, ruleset.files);
  }

  has(rulesetId: string): boolean {
    return this.files.has(rulesetId);
  }

  /** Throws `UnknownRulesError` for a set not read yet, `SigmaError` for one that does not compile. */
  compiled(rulesetId: string): RuleSetCompiled {
    const known = this.compiledSets.get(rulesetId);
    if (known !== undefined) return known;
    const files = this.files.get(rulesetId);
    if (files === undefined) throw new UnknownRulesError({ rulesetId });
    const rules = loadRuleSet(files);
    this.compiledSets.set(rulesetId, rules);
    return rules;
  }
}
