import { createJsonFieldView, loadRuleSet, type RuleMatch, type RuleSetCompiled } from '@tracehound/sigma';
import { type Preset, workload } from '../workload/events.ts';
import { workloadRules } from '../workload/rules.ts';

/** Ready matches of the ten correlations over the shared traffic: what an engine is fed, without the cost of finding it. */
export type LoadedMatch = {
  readonly match: RuleMatch;
  readonly event: { readonly id: string; readonly timeMs: number; readonly organization: string };
};

export function loadRules(): RuleSetCompiled {
  return loadRuleSet([{ path: 'workload.yml', content: workloadRules(9, true) }]);
}

/** The matches of so many events, in the order in which they arrive. */
export function createLoad(ruleSet: RuleSetCompiled, preset: Preset, count: number): LoadedMatch[] {
  const load: LoadedMatch[] = [];
  for (const line of workload(preset, count)) {
    const fields = JSON.parse(line) as Record<string, unknown>;
    const view = createJsonFieldView(fields);
    const event = {
      id: String(fields['event_id']),
      timeMs: Date.parse(String(fields['timestamp'])),
      // One tenant: the organization of the workload is a field that rules group by.
      organization: 'acme',
    };
    for (const match of ruleSet.matchesOf(view, ruleSet.matchEvent(view, null)).matches) load.push({ match, event });
  }
  return load;
}

export function uuid(random: () => number): string {
  const part = (digits: number): string =>
    Math.floor(random() * 16 ** digits)
      .toString(16)
      .padStart(digits, '0');
  // Flat, as a reader gives it, not pieces put together.
  return JSON.parse(`"${part(8)}-${part(4)}-7${part(3)}-8${part(3)}-${part(6)}${part(6)}"`) as string;
}
