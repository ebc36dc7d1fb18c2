import { listRules, type RuleListing, readRules } from '@tracehound/lint';
import { exceptionJson, exceptionText, loadRuleSet } from '@tracehound/sigma';
import { ofProfile } from '../events/profile-rules.ts';
import { columns } from '../render/columns.ts';
import { counted } from '../render/counted.ts';
import type { Terminal } from '../terminal.ts';
import { requireRuleFiles } from './rule-files.ts';

export type RulesListCommand = {
  readonly paths: readonly string[];
  readonly format: 'table' | 'ndjson' | 'json';
  /** Only rules of this profile, with what they stand on. */
  readonly profile?: string;
};

/** Types named in the table; the rest is counted. */
const SHOWN_MAX = 3;

/** Prints each rule with what it needs, what stands on what, and which filters and overrides reach it. */
export async function runRulesList(
  command: RulesListCommand,
  terminal: Terminal,
  now: () => number = Date.now,
): Promise<number> {
  const files = ofProfile(requireRuleFiles(command.paths), command.profile);
  // What cannot run is a matter for lint: a filter or an override that cannot has no effect.
  const { exceptions } = loadRuleSet(files, { onProblem: 'refuse-rule' });
  const listings = listRules(readRules(files)).map((listing) => {
    const uid = listing.id ?? listing.name ?? listing.title;
    return { ...listing, exceptions: exceptions.filter(({ rules }) => rules.includes(uid)).map(exceptionJson) };
  });
  switch (command.format) {
    case 'json':
      terminal.out(JSON.stringify(listings, null, 2));
      break;
    case 'ndjson':
      for (const listing of listings) terminal.out(JSON.stringify(listing));
      break;
    case 'table':
      terminal.out(
        columns(
          ['RULE', 'TYPE', 'LEVEL', 'STATUS', 'PROFILE', 'EVENTS', 'GROUP BY', 'TIMESPAN', 'STANDS ON'],
          listings.map(rowOf),
        ),
      );
      for (const one of exceptions) {
        const reach = one.rules.length === 0 ? 'no rule: it has no effect' : abridged(one.rules);
        terminal.out(`${exceptionText(one, now())} (${reach})`);
      }
      terminal.note(counted(listings.length, 'rule'));
  }
  return 0;
}

function rowOf(listing: RuleListing): readonly string[] {
  const types = listing.event_types.map(({ name }) => name);
  return [
    listing.name ?? listing.title,
    listing.type,
    listing.level,
    listing.status ?? '-',
    listing.profile ?? '-',
    abridged(types.length > 0 ? types : listing.log_sources),
    listing.group_by.join(', ') || '-',
    listing.timespan ?? '-',
    abridged(listing.stands_on),
  ];
}

function abridged(texts: readonly string[]): string {
  if (texts.length === 0) return '-';
  const rest = texts.length - SHOWN_MAX;
  return texts.slice(0, SHOWN_MAX).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
