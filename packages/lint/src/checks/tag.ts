import { RULE_LEVELS } from '@tracehound/sigma';
import {
  ATTACK_VERSION,
  isLaterTactic,
  isLaterTechnique,
  isTactic,
  tacticNames,
  tacticsIn,
  techniqueOf,
  techniquesIn,
} from '../attack.ts';
import type { Check, CheckContext } from '../check.ts';
import { suggestion } from '../nearest.ts';
import type { RuleDocument } from '../rule-document.ts';
import { entry, scalarsAt } from '../yaml-read.ts';

/** Namespaces of the Sigma specification (appendix Tags), and ours. */
const NAMESPACES: readonly string[] = ['attack', 'car', 'cve', 'd3fend', 'detection', 'stp', 'tlp', 'tracehound'];
const TLP: readonly string[] = ['red', 'amber', 'amber-strict', 'green', 'clear', 'white'];

function onTags(
  look: (found: { tag: string; rule: RuleDocument; report: (message: string) => void }) => void,
): NonNullable<Check['run']> {
  return (rule, context: CheckContext) => {
    for (const { value, at } of scalarsAt(rule.map, 'tags'))
      look({ tag: String(value), rule, report: (message) => context.report(at, message) });
  };
}

/** Runs a check on each technique id in the tags, `T1110.003`. */
function onTechniques(look: (id: string, report: (message: string) => void) => void): NonNullable<Check['run']> {
  return onTags(({ tag, report }) => {
    const id = techniquesIn([tag])[0];
    if (id) look(id, report);
  });
}

const tagsAt = (rule: RuleDocument): { line: number; column: number } => entry(rule.map, 'tags')?.keyAt ?? rule.at;
const alerts = (rule: RuleDocument): boolean =>
  rule.kind !== 'filter' &&
  RULE_LEVELS.indexOf(rule.level) >= RULE_LEVELS.indexOf('medium') &&
  rule.status !== 'deprecated';

export const TAG_CHECKS: readonly Check[] = [
  {
    code: 'tag-namespace',
    area: 'tag',
    level: 'warning',
    doc: 'A tag has no namespace, or one that Sigma does not define: attack, car, cve, d3fend, detection, stp or tlp. Coverage, routing and search look for these only. Ours is `tracehound`.',
    run: onTags(({ tag, report }) => {
      const [namespace = '', rest] = tag.toLowerCase().split('.');
      if (rest === undefined || !NAMESPACES.includes(namespace))
        report(`'${tag}' is in no known namespace${suggestion(namespace, NAMESPACES)}`);
    }),
  },
  {
    code: 'tag-format',
    area: 'tag',
    level: 'warning',
    doc: 'Tags are lower case with dashes: `attack.initial-access`. Capitals, blanks and the underscores of Sigma 1 make tags that searches miss.',
    run: onTags(({ tag, report }) => {
      const tidy = tag.toLowerCase().replaceAll(/[\s_]+/g, '-');
      if (tag !== tidy) report(`write '${tidy}'`);
    }),
  },
  {
    code: 'tag-duplicate',
    area: 'tag',
    level: 'warning',
    doc: 'A tag is listed twice. Delete one; another may have been meant.',
    run: (rule, { report }) => {
      const seen = new Set<string>();
      for (const { value, at } of scalarsAt(rule.map, 'tags')) {
        const tag = String(value).toLowerCase();
        if (seen.has(tag)) report(at, `'${tag}' is listed twice`);
        seen.add(tag);
      }
    },
  },
  {
    code: 'tag-cve-format',
    area: 'tag',
    level: 'warning',
    doc: 'A CVE tag is written `cve.2021-44228`: the year and at least four digits.',
    run: onTags(({ tag, report }) => {
      if (/^cve\./i.test(tag) && !/^cve\.\d{4}-\d{4,}$/i.test(tag)) report(`'${tag}' must look like 'cve.2021-44228'`);
    }),
  },
  {
    code: 'tag-tlp-unknown',
    area: 'tag',
    level: 'warning',
    doc: 'The Traffic Light Protocol knows red, amber, amber-strict, green and clear.',
    run: onTags(({ tag, report }) => {
      const colour = /^tlp\.(.*)$/i.exec(tag)?.[1]?.toLowerCase();
      if (colour !== undefined && !TLP.includes(colour))
        report(`'${colour}' is not a TLP label${suggestion(colour, TLP)}`);
    }),
  },
  {
    code: 'attack-missing',
    area: 'tag',
    level: 'warning',
    doc: 'A rule of level medium or above names no ATT&CK technique, so it is absent from coverage and analysts lack the usual words for it.',
    run: (rule, { report }) => {
      const hasOwn = rule.tags.some((tag) => /^attack\./i.test(tag));
      if (alerts(rule) && !hasOwn) report(tagsAt(rule), "no tag such as 'attack.t1110' says what this detects");
    },
  },
  {
    code: 'attack-unknown',
    area: 'tag',
    level: 'error',
    doc: `A technique id is not in Enterprise ATT&CK ${ATTACK_VERSION}, nor among the ids of version 19 that public rules use. It is misspelt, or from another matrix.`,
    run: onTechniques((id, report) => {
      if (!techniqueOf(id) && !isLaterTechnique(id)) report(`ATT&CK ${ATTACK_VERSION} has no ${id}`);
    }),
  },
  {
    code: 'attack-moved',
    area: 'tag',
    level: 'warning',
    doc: `ATT&CK replaced the technique by another id. Coverage counts the new one, as of version ${ATTACK_VERSION}.`,
    run: onTechniques((id, report) => {
      const movedTo = techniqueOf(id)?.movedTo;
      if (movedTo) report(`${id} is now ${movedTo} (${techniqueOf(movedTo)?.name ?? 'name unknown'})`);
    }),
  },
  {
    code: 'attack-deprecated',
    area: 'tag',
    level: 'warning',
    doc: 'ATT&CK deprecated the technique without a successor. Choose one that is in use.',
    run: onTechniques((id, report) => {
      const technique = techniqueOf(id);
      if (technique?.isDeprecated && !technique.movedTo) report(`${id} (${technique.name}) is deprecated`);
    }),
  },
  {
    code: 'attack-tactic-unknown',
    area: 'tag',
    level: 'warning',
    doc: 'An `attack.` tag is neither a technique, a group, a software, a mitigation, a data source nor a tactic.',
    run: onTags(({ tag, report }) => {
      const name = /^attack\.(.*)$/i.exec(tag.replaceAll('_', '-'))?.[1]?.toLowerCase();
      const isId = /^(t\d{4}(\.\d{3})?|g\d{4}|s\d{4}|m\d{4}|c\d{4}|ds\d{4}|ta\d{4})$/.test(name ?? '');
      if (name !== undefined && !isId && !isTactic(name))
        report(`ATT&CK has no tactic '${name}'${suggestion(name, tacticNames())}`);
    }),
  },
  {
    code: 'attack-tactic-mismatch',
    area: 'tag',
    level: 'info',
    doc: 'None of the tactics a rule names belongs to the technique. Either the technique or the tactic is not what was meant. Tactics of version 19 are not compared.',
    run: onTags(({ tag, rule, report }) => {
      const technique = techniqueOf(techniquesIn([tag])[0] ?? '');
      const tactics = tacticsIn(rule.tags);
      const isComparable =
        tactics.length > 0 &&
        !tactics.some(isLaterTactic) &&
        technique &&
        !technique.movedTo &&
        !technique.isDeprecated;
      if (isComparable && !technique.tactics.some((tactic) => tactics.includes(tactic)))
        report(`${technique.id} belongs to ${technique.tactics.join(', ')}`);
    }),
  },
  {
    code: 'attack-tactic-alone',
    area: 'tag',
    level: 'info',
    doc: 'The rule names a tactic but no technique. Coverage works on techniques; name the nearest one.',
    run: (rule, { report }) => {
      if (alerts(rule) && tacticsIn(rule.tags).length > 0 && techniquesIn(rule.tags).length === 0)
        report(tagsAt(rule), 'a tactic alone does not count as coverage: name a technique');
    },
  },
  {
    code: 'attack-technique-alone',
    area: 'tag',
    level: 'info',
    doc: 'The rule names techniques but no tactic. A technique may serve several; say which one this rule is about.',
    run: (rule, { report }) => {
      const known = rule.tags.map((tag) => tag.replaceAll('_', '-'));
      if (techniquesIn(rule.tags).length > 0 && tacticsIn(known).length === 0)
        report(tagsAt(rule), "add the tactic, such as 'attack.persistence'");
    },
  },
  {
    code: 'attack-parent-and-child',
    area: 'tag',
    level: 'info',
    doc: 'A rule names a technique and one of its sub-techniques. The sub-technique includes the technique.',
    run: onTags(({ tag, rule, report }) => {
      const id = techniquesIn([tag])[0];
      const child = techniquesIn(rule.tags).find((other) => id !== undefined && other.startsWith(`${id}.`));
      if (child) report(`${child} already says ${id}`);
    }),
  },
];
