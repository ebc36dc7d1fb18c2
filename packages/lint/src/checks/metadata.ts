import { RULE_KEYS, RULE_LEVELS } from '@tracehound/sigma';
import type { Check, CheckContext } from '../check.ts';
import { suggestion } from '../nearest.ts';
import type { RuleDocument } from '../rule-document.ts';
import { entry, mapAt, scalarsAt, text, textAt } from '../yaml-read.ts';

const STATUSES: readonly string[] = ['stable', 'test', 'experimental', 'deprecated', 'unsupported'];
const RELATIONS: readonly string[] = ['derived', 'obsolete', 'merged', 'renamed', 'similar', 'correlation'];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** The specification allows 256; lists and notices cut longer titles. */
const TITLE_CHARACTERS_MAX = 110;
const DESCRIPTION_CHARACTERS_MIN = 16;

/** Is the text a date of the calendar, as YYYY-MM-DD? */
function isDate(date: string): boolean {
  const parts = /^(\d{4})-(\d{2})-(\d{2})$/.exec(date);
  if (!parts) return false;
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
  return day >= 1 && day <= days;
}

/** A check that the rule has a key with a value. */
function missing(key: string, level: Check['level'], doc: string, applies = isAnyRule): Check {
  return {
    code: `${key}-missing`,
    area: 'metadata',
    level,
    doc,
    run: (rule, { report }) => {
      if (applies(rule) && scalarsAt(rule.map, key).length === 0) report(rule.at, `the rule has no '${key}'`);
    },
  };
}

const isAnyRule = (_rule: RuleDocument): boolean => true;
const alerts = ({ kind }: RuleDocument): boolean => kind !== 'filter';

function duplicate(property: 'id' | 'name' | 'title', level: Check['level'], doc: string): Check {
  return {
    code: `${property}-duplicate`,
    area: 'metadata',
    level,
    doc,
    run: (rule, { index, report }) => {
      const earlier = index.earlier(rule, property);
      if (earlier) report(rule.at, `the rule at ${earlier.path}:${earlier.at.line} has the same ${property}`);
    },
  };
}

/** Runs a check on the text of one key. */
function onText(
  key: string,
  look: (found: { value: string; rule: RuleDocument; report: (message: string) => void }) => void,
): NonNullable<Check['run']> {
  return (rule, context: CheckContext) => {
    const found = entry(rule.map, key);
    const value = text(found?.value);
    if (found && value !== undefined)
      look({ value, rule, report: (message) => context.report(found.value.at, message) });
  };
}

export const METADATA_CHECKS: readonly Check[] = [
  missing('title', 'error', 'A rule needs a title: it heads every alert and notice.'),
  missing(
    'id',
    'warning',
    'Without an id, alerts are tied to the name or title, and renaming the rule makes it a new one. Give it a random UUID.',
  ),
  missing(
    'status',
    'warning',
    'The status says whether a rule is ready for production: stable, test or experimental.',
    alerts,
  ),
  missing('level', 'warning', 'Without a level a rule counts as medium and is routed as such. State it.', alerts),
  missing(
    'author',
    'info',
    'The author is shown with every match; the licence of public rules asks for it, and analysts know whom to ask.',
  ),
  missing('date', 'info', 'The date of a rule tells how old its assumptions are.'),
  missing(
    'description',
    'warning',
    'The description tells an analyst at night what the rule saw and why that matters.',
  ),
  missing('falsepositives', 'info', 'Known harmless causes save every analyst the same search. List them.', alerts),
  duplicate(
    'id',
    'error',
    'Two rules have one id. Alert ids, silences and suppressions could not tell them apart, so the set is refused.',
  ),
  duplicate('name', 'error', 'Two rules have one name, so a correlation that refers to it could mean either.'),
  duplicate('title', 'warning', 'Two rules have one title. Analysts cannot tell their alerts apart.'),
  {
    code: 'id-not-uuid',
    area: 'metadata',
    level: 'warning',
    doc: 'The id is not a UUID. The specification asks for one so that ids of different authors never meet.',
    run: onText('id', ({ value, report }) => {
      if (!UUID.test(value)) report(`'${value}' is not a UUID`);
    }),
  },
  {
    code: 'status-invalid',
    area: 'metadata',
    level: 'error',
    doc: 'The status is none of stable, test, experimental, deprecated and unsupported.',
    run: onText('status', ({ value, report }) => {
      if (!STATUSES.includes(value)) report(`'${value}' is not a status${suggestion(value, STATUSES)}`);
    }),
  },
  {
    code: 'status-retired',
    area: 'metadata',
    level: 'warning',
    doc: 'The rule is deprecated or unsupported, yet part of the set. Replace it by its successor or take it out.',
    run: onText('status', ({ value, report }) => {
      if (value === 'deprecated' || value === 'unsupported') report(`the rule is ${value}: take it out of the set`);
    }),
  },
  {
    code: 'level-invalid',
    area: 'metadata',
    level: 'error',
    doc: 'The level is none of informational, low, medium, high and critical.',
    run: onText('level', ({ value, report }) => {
      if (!RULE_LEVELS.includes(value)) report(`'${value}' is not a level${suggestion(value, RULE_LEVELS)}`);
    }),
  },
  {
    code: 'level-above-status',
    area: 'metadata',
    level: 'warning',
    doc: 'A critical rule wakes people up, and an experimental one has not been tried. Try it at a lower level first, or raise the status.',
    run: onText('level', ({ value, rule, report }) => {
      if (value === 'critical' && rule.status === 'experimental') report('an experimental rule should not be critical');
    }),
  },
  {
    code: 'date-invalid',
    area: 'metadata',
    level: 'warning',
    doc: 'A date is not one of the calendar in the form YYYY-MM-DD. Sigma 1 wrote slashes.',
    run: (rule, { report }) => {
      for (const key of ['date', 'modified']) {
        const value = entry(rule.map, key)?.value;
        const date = text(value);
        if (value && date !== undefined && !isDate(date)) report(value.at, `'${key}' must be a date as YYYY-MM-DD`);
      }
    },
  },
  {
    code: 'date-modified-before',
    area: 'metadata',
    level: 'warning',
    doc: 'The rule was modified before it was written. One of the dates is wrong.',
    run: onText('modified', ({ value, rule, report }) => {
      const date = textAt(rule.map, 'date');
      if (date !== undefined && isDate(date) && isDate(value) && value < date)
        report(`modified ${value}, written ${date}`);
    }),
  },
  {
    code: 'title-too-long',
    area: 'metadata',
    level: 'warning',
    doc: `Titles of more than ${TITLE_CHARACTERS_MAX} characters are cut in lists and notices. Move detail to the description.`,
    run: onText('title', ({ value, report }) => {
      if (value.length > TITLE_CHARACTERS_MAX)
        report(`${value.length} characters: at most ${TITLE_CHARACTERS_MAX} are shown`);
    }),
  },
  {
    code: 'title-ends-with-period',
    area: 'metadata',
    level: 'info',
    doc: 'A title is a heading and ends without a full stop.',
    run: onText('title', ({ value, report }) => {
      if (value.trimEnd().endsWith('.')) report('take the full stop off the title');
    }),
  },
  {
    code: 'title-says-detects',
    area: 'metadata',
    level: 'info',
    doc: 'Every rule detects something; a title that begins with "Detects" spends its most visible word on that.',
    run: onText('title', ({ value, report }) => {
      if (/^detect(s|ion of)?\b/i.test(value)) report('begin with what happened');
    }),
  },
  {
    code: 'description-short',
    area: 'metadata',
    level: 'info',
    doc: 'The description has fewer than 16 characters, or only repeats the title. Say what happened and why it matters.',
    run: onText('description', ({ value, rule, report }) => {
      if (value.trim().length < DESCRIPTION_CHARACTERS_MIN || value.trim() === rule.title)
        report('say what happened and why it matters');
    }),
  },
  {
    code: 'falsepositives-vague',
    area: 'metadata',
    level: 'info',
    doc: 'A list of false positives with "none", "unknown" or the like tells nothing. Name the harmless causes.',
    run: (rule, { report }) => {
      for (const { value, at } of scalarsAt(rule.map, 'falsepositives'))
        if (
          /^(none|no|unknown|unlikely|pentests?|penetration test(ing)?|legitimate( use| activity)?|tbd|n\/a)\.?$/i.test(
            String(value).trim(),
          )
        )
          report(at, `'${value}' tells an analyst nothing`);
    },
  },
  {
    code: 'reference-not-link',
    area: 'metadata',
    level: 'info',
    doc: 'An entry of `references` is not a link. Prose belongs in the description.',
    run: (rule, { report }) => {
      for (const { value, at } of scalarsAt(rule.map, 'references'))
        if (!/^https?:\/\/\S+$/.test(String(value))) report(at, `'${value}' is not a link`);
    },
  },
  {
    code: 'related-type-invalid',
    area: 'metadata',
    level: 'warning',
    doc: 'An entry of `related` has a type that Sigma does not know: derived, obsolete, merged, renamed or similar.',
    run: (rule, { report }) => {
      const related = entry(rule.map, 'related')?.value;
      for (const item of related?.kind === 'list' ? related.items : []) {
        const type = item.kind === 'map' ? textAt(item, 'type') : undefined;
        if (type === undefined || !RELATIONS.includes(type))
          report(item.at, `'${type ?? ''}' is not a relation${suggestion(type ?? '', RELATIONS)}`);
      }
    },
  },
  {
    code: 'key-unknown',
    area: 'metadata',
    level: 'warning',
    doc: 'Sigma has no such key, so it has no effect; mostly it is misspelt. Keys of your own go under `custom` or begin with `x-`.',
    run: (rule, { report }) => {
      for (const { key, keyAt } of rule.map.entries)
        if (!RULE_KEYS.includes(key) && !key.startsWith('x-'))
          report(keyAt, `Sigma has no key '${key}'${suggestion(key, RULE_KEYS)}`);
    },
  },
  {
    code: 'logsource-key-unknown',
    area: 'metadata',
    level: 'warning',
    doc: 'A log source has product, service, category and definition. Another key has no effect, so the rule may apply to more than was meant.',
    run: (rule, { report }) => {
      const known = ['product', 'service', 'category', 'definition'];
      for (const { key, keyAt } of mapAt(rule.map, 'logsource')?.entries ?? [])
        if (!known.includes(key) && key !== 'custom' && !key.startsWith('x-'))
          report(keyAt, `a log source has no '${key}'${suggestion(key, known)}`);
    },
  },
  {
    code: 'rule-duplicate',
    area: 'metadata',
    level: 'warning',
    doc: 'Two detection rules of one log source ask for exactly the same. Each event gives two alerts. Keep one, or relate them in a correlation.',
    run: (rule, { index, report }) => {
      if (rule.kind !== 'detection') return;
      const body = bodyOf(rule);
      for (const other of index.rules) {
        if (other === rule) return;
        if (other.kind === 'detection' && other.logSource.product === rule.logSource.product && bodyOf(other) === body)
          return report(rule.at, `asks for the same as the rule at ${other.path}:${other.at.line}`);
      }
    },
  },
];

const bodies = new WeakMap<RuleDocument, string>();

/** Log source and detection without places, for comparison. */
function bodyOf(rule: RuleDocument): string {
  let body = bodies.get(rule);
  if (body === undefined) {
    const parts = [rule.logSource, mapAt(rule.map, 'detection')];
    body = JSON.stringify(parts, (key, value: unknown) => (key === 'at' || key === 'keyAt' ? undefined : value));
    bodies.set(rule, body);
  }
  return body;
}
