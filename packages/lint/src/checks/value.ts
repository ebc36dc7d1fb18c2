import type { Position, YamlScalar } from '@tracehound/sigma';
import type { Check, CheckContext } from '../check.ts';
import { type ItemSketch, itemsOf } from '../detection-sketch.ts';
import { valueKey } from '../implication.ts';
import { ipVersionOf } from '../ip-address.ts';

/** Runs a check on each item of a rule's selections. */
function onItems(look: (item: ItemSketch, context: CheckContext) => void): NonNullable<Check['run']> {
  return ({ detection }, context) => {
    if (detection) for (const item of itemsOf(detection)) look(item, context);
  };
}

/** Runs a check on each text value compared as a pattern: no regular expressions, networks, numbers. */
function onTexts(
  look: (found: { item: ItemSketch; text: string; at: Position }, context: CheckContext) => void,
): NonNullable<Check['run']> {
  return onItems((item, context) => {
    if (!isText(item)) return;
    for (const { value, at } of item.values) if (typeof value === 'string') look({ item, text: value, at }, context);
  });
}

const NOT_TEXT: readonly string[] = [
  're',
  'cidr',
  'exists',
  'fieldref',
  'expand',
  'lt',
  'lte',
  'gt',
  'gte',
  'minute',
  'hour',
  'day',
  'week',
  'month',
  'year',
];
const ENCODINGS: readonly string[] = ['base64', 'base64offset', 'wide', 'utf16', 'utf16le', 'utf16be', 'windash'];
const ANCHORS: readonly string[] = ['contains', 'startswith', 'endswith'];

const has = (item: ItemSketch, ...modifiers: readonly string[]): boolean =>
  item.modifiers.some((name) => modifiers.includes(name));
const isText = (item: ItemSketch): boolean => !has(item, ...NOT_TEXT);
const isWhole = (item: ItemSketch): boolean => isText(item) && !has(item, ...ANCHORS, ...ENCODINGS);
/** A wildcard that no backslash takes away. */
const endsInStar = (text: string): boolean => /(^|[^\\])(\\\\)*\*$/.test(text);

/** Reports the second of two equal values. */
function repeated(
  item: ItemSketch,
  keyOf: (value: YamlScalar['value']) => string,
): readonly { value: YamlScalar['value']; at: Position }[] {
  const seen = new Set<string>();
  return item.values.filter(({ value }) => {
    const key = keyOf(value);
    const isSeen = seen.has(key);
    seen.add(key);
    return isSeen;
  });
}

/** Network with host bits cleared; undefined when it is no IPv4 network. */
function maskedIpv4(network: string): string | undefined {
  const [address = '', bits = ''] = network.split('/');
  if (ipVersionOf(address) !== 4 || !/^\d{1,2}$/.test(bits) || Number(bits) > 32) return undefined;
  const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(bits));
  const base = Math.floor(value / size) * size;
  return `${[24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join('.')}/${bits}`;
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const version = ipVersionOf(address);
  if (version === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

export const VALUE_CHECKS: readonly Check[] = [
  {
    code: 'wildcard-doubled',
    area: 'value',
    level: 'warning',
    doc: 'Two `*` side by side mean the same as one. If literal stars are meant, escape them: `\\*`.',
    run: onTexts(({ text, at }, { report }) => {
      if (/(^|[^\\])\*\*/.test(text)) report(at, "'**' is the same as '*'");
    }),
  },
  {
    code: 'wildcard-bare',
    area: 'value',
    level: 'warning',
    doc: 'A value of only `*` asks for any value. `field|exists: true` says so without a pattern; an empty string counts as a value in both.',
    run: onTexts(({ item, text, at }, { report }) => {
      if (item.field !== '' && /^\*+$/.test(text) && !has(item, 'neq'))
        report(at, `write '${item.field}|exists: true'`);
    }),
  },
  {
    code: 'wildcard-in-contains',
    area: 'value',
    level: 'warning',
    doc: '`contains` already allows anything before and after the value; a `*` at its edge adds nothing and hides the fast path of simpler engines.',
    run: onTexts(({ item, text, at }, { report }) => {
      if (has(item, 'contains') && text.length > 1 && !/^\*+$/.test(text) && (text.startsWith('*') || endsInStar(text)))
        report(at, "'contains' needs no '*' at the edge of its value");
    }),
  },
  {
    code: 'wildcard-redundant-edge',
    area: 'value',
    level: 'warning',
    doc: '`startswith` allows anything after its value and `endswith` anything before it; a `*` there adds nothing.',
    run: onTexts(({ item, text, at }, { report }) => {
      if (/^\*+$/.test(text)) return;
      if (has(item, 'startswith') && endsInStar(text)) report(at, "'startswith' needs no '*' at the end of its value");
      if (has(item, 'endswith') && text.startsWith('*')) report(at, "'endswith' needs no '*' before its value");
    }),
  },
  {
    code: 'wildcard-use-modifier',
    area: 'value',
    level: 'info',
    doc: 'A value with `*` only at its edges says the same as `contains`, `startswith` or `endswith`, which are easier to read.',
    run: onTexts(({ item, text, at }, { report }) => {
      if (!isWhole(item) || item.field === '' || item.values.length > 1) return;
      const shape = /^(\*?)[^*?\\]+(\*?)$/.exec(text);
      const modifier = shape?.[1] ? (shape[2] ? 'contains' : 'endswith') : shape?.[2] ? 'startswith' : undefined;
      if (modifier) report(at, `write '${item.field}|${modifier}' without '*'`);
    }),
  },
  {
    code: 'wildcard-escaped-by-path',
    area: 'value',
    level: 'warning',
    doc: 'A path that ends in `\\*` ends in a literal star, because the backslash takes the meaning away from it. Write `\\\\*` for a backslash followed by anything.',
    run: onTexts(({ text, at }, { report }) => {
      if (/^[^\\]*\\[^\\]*.*[^\\]\\\*$/.test(text))
        report(at, "'\\*' is a literal star: write '\\\\*' for any file below");
    }),
  },
  {
    code: 'value-duplicate',
    area: 'value',
    level: 'warning',
    doc: 'A list names the same value twice. Delete one; another may have been meant.',
    run: onItems((item, { report }) => {
      for (const { value, at } of repeated(item, (one) => valueKey(one, true)))
        report(at, `'${value}' is listed twice`);
    }),
  },
  {
    code: 'value-duplicate-case',
    area: 'value',
    level: 'warning',
    doc: 'A list names two values that differ in case only. Comparison ignores case unless `cased` is given, so one of them is enough.',
    run: onItems((item, { report }) => {
      if (has(item, 'cased', 're', 'base64', 'base64offset', 'expand')) return;
      const exact = new Set(repeated(item, (one) => valueKey(one, true)));
      for (const found of repeated(item, (one) => valueKey(one)))
        if (!exact.has(found)) report(found.at, `'${found.value}' is listed in another case: comparison ignores case`);
    }),
  },
  {
    code: 'value-shadowed',
    area: 'value',
    level: 'info',
    doc: 'A longer value of `contains`, `startswith` or `endswith` is already matched by a shorter one of the same list, so it adds nothing. Under `all` the shorter one adds nothing.',
    run: onItems((item, { report }) => {
      const anchor = item.modifiers.find((name) => ANCHORS.includes(name));
      if (!anchor || has(item, 'all', 're', 'cased', 'fieldref', ...ENCODINGS)) return;
      const texts = item.values.map(({ value }) => String(value).toLowerCase());
      const holds = (long: string, short: string): boolean =>
        anchor === 'contains'
          ? long.includes(short)
          : anchor === 'startswith'
            ? long.startsWith(short)
            : long.endsWith(short);
      item.values.forEach(({ at, value }, position) => {
        const long = texts[position] ?? '';
        const short = texts.find(
          (other) => other !== long && other !== '' && !/[*?\\]/.test(other) && holds(long, other),
        );
        if (short !== undefined) report(at, `'${value}' is already matched by '${short}'`);
      });
    }),
  },
  {
    code: 'value-single-list',
    area: 'value',
    level: 'info',
    doc: 'A list of one value says the same as the value alone.',
    run: onItems((item, { report }) => {
      if (item.isList && item.values.length === 1 && !has(item, 'all'))
        report(item.at, 'a list of one: write the value itself');
    }),
  },
  {
    code: 'value-null-in-list',
    area: 'value',
    level: 'error',
    doc: 'The Sigma specification forbids null beside other values in a list. Write two alternatives: one with the values and one with null.',
    run: onItems((item, { report }) => {
      const none = item.values.find(({ value }) => value === null);
      if (none && item.values.length > 1) report(none.at, 'null must stand alone: use a second alternative');
    }),
  },
  {
    code: 'value-empty-with-modifier',
    area: 'value',
    level: 'error',
    doc: 'Every text contains, starts and ends with the empty text, so the test only asks for presence. Give the value, or use `exists`.',
    run: onTexts(({ item, text, at }, { report }) => {
      if (text === '' && has(item, ...ANCHORS)) report(at, 'the empty text is part of every text');
    }),
  },
  {
    code: 'value-outer-space',
    area: 'value',
    level: 'warning',
    doc: 'An exact value begins or ends with a blank, which fields seldom do. Use `contains` if the blank is meant to separate words.',
    run: onTexts(({ item, text, at }, { report }) => {
      if (isWhole(item) && item.field !== '' && text !== text.trim() && text.trim() !== '')
        report(at, 'the value begins or ends with a blank');
    }),
  },
  {
    code: 'value-number-rewritten',
    area: 'value',
    level: 'warning',
    doc: 'YAML reads the value as a number, and numbers compare by their shortest text: `0777` and `08` lose their zeros, `1.10` its last digit, `1e3` is 1000. An event that holds the text as written is not found. Put it in quotes; write the number itself if that is meant.',
    run: onItems((item, { report }) => {
      // After `re` and `cidr` a number is no value at all, and where sizes are compared only the number counts.
      if (!isText(item)) return;
      for (const { value, written, at } of item.values)
        if (written !== undefined) report(at, `YAML makes this the number ${value}: write '${written}' in quotes`);
    }),
  },
  {
    code: 'value-number-quoted',
    area: 'value',
    level: 'info',
    doc: 'A number in quotes. Numbers and their decimal text compare equal here, but not in every engine; write the number.',
    run: onTexts(({ item, text, at }, { report }) => {
      if (isWhole(item) && /^(0|-?[1-9]\d{0,14})$/.test(text)) report(at, `write ${text} without quotes`);
    }),
  },
  {
    code: 'value-boolean-quoted',
    area: 'value',
    level: 'info',
    doc: 'A truth value in quotes. It compares equal to the boolean here, but not in every engine; write `true` or `false`.',
    run: onTexts(({ item, text, at }, { report }) => {
      if (isWhole(item) && /^(true|false)$/i.test(text)) report(at, `write ${text.toLowerCase()} without quotes`);
    }),
  },
  {
    code: 'value-contains-short',
    area: 'value',
    level: 'info',
    doc: '`contains` with one or two letters matches nearly everything and cannot be indexed. Ask for more of the text.',
    run: onTexts(({ item, text, at }, { report }) => {
      if (has(item, 'contains') && !has(item, ...ENCODINGS) && /^[a-z0-9]{1,2}$/i.test(text))
        report(at, `'${text}' is in nearly every text`);
    }),
  },
  {
    code: 'modifier-all-single',
    area: 'value',
    level: 'warning',
    doc: '`all` asks that every value of a list matches; with one value it changes nothing. Values are probably missing.',
    run: onItems((item, { report }) => {
      if (has(item, 'all') && item.values.length === 1) report(item.at, "'all' with one value changes nothing");
    }),
  },
  {
    code: 'modifier-neq-without-exists',
    area: 'value',
    level: 'info',
    doc: 'A field that is absent is different from every value, so `neq` matches events without the field. Add `field|exists: true` if the field must be there.',
    run: ({ detection }, { report }) => {
      for (const items of detection?.selections.flatMap(({ alternatives }) => alternatives) ?? []) {
        for (const item of items) {
          const isGuarded = items.some((other) => other.field === item.field && other !== item && !has(other, 'neq'));
          if (has(item, 'neq') && !has(item, 'fieldref') && !isGuarded)
            report(item.at, `events without '${item.field}' match too: add '${item.field}|exists: true'`);
        }
      }
    },
  },
  {
    code: 'modifier-base64-offset',
    area: 'value',
    level: 'warning',
    doc: 'Inside a longer encoded text a value appears in three forms, by its offset. `base64` with `contains` finds one of them only; use `base64offset|contains`.',
    run: onItems((item, { report }) => {
      if (has(item, 'base64') && has(item, 'contains'))
        report(item.at, "use 'base64offset|contains': two of three offsets are missed");
    }),
  },
  {
    code: 'modifier-windash-without-dash',
    area: 'value',
    level: 'warning',
    doc: '`windash` gives the variants of a dash or slash before a word. Without one in the value it does nothing.',
    run: onItems((item, { report }) => {
      const hasDash = item.values.some(({ value }) => /(^|[^\w])[-/\u2013\u2014\u2015]\w/.test(String(value)));
      if (has(item, 'windash') && !hasDash)
        report(item.at, "no value has a dash before a word: 'windash' does nothing");
    }),
  },
  {
    code: 'modifier-order',
    area: 'value',
    level: 'warning',
    doc: 'Modifiers apply from left to right, so encodings must come before `contains`, `startswith` and `endswith`. Other engines refuse or misread any other order.',
    run: onItems((item, { report }) => {
      const anchor = item.modifiers.findIndex((name) => ANCHORS.includes(name));
      const late = item.modifiers.find((name, at) => anchor >= 0 && at > anchor && ENCODINGS.includes(name));
      if (late) report(item.at, `write '${late}' before '${item.modifiers[anchor]}'`);
    }),
  },
  {
    code: 'modifier-cased-without-letters',
    area: 'value',
    level: 'info',
    doc: '`cased` makes comparison respect case. Values without letters have none.',
    run: onItems((item, { report }) => {
      const isPlain = item.values.every(({ value }) => String(value).toLowerCase() === String(value).toUpperCase());
      if (has(item, 'cased') && item.values.length > 0 && isPlain)
        report(item.at, "no value has letters: 'cased' does nothing");
    }),
  },
  {
    code: 'modifier-fieldref-self',
    area: 'value',
    level: 'error',
    doc: 'A field is compared with itself, which is always equal. Another field was meant.',
    run: onItems((item, { report }) => {
      const self = item.values.find(({ value }) => value === item.field);
      if (has(item, 'fieldref') && self) report(self.at, `'${item.field}' is compared with itself`);
    }),
  },
  {
    code: 'cidr-invalid',
    area: 'value',
    level: 'error',
    doc: 'The value of `cidr` is not a network: an IPv4 or IPv6 address, optionally with a prefix length such as `/24`.',
    run: onItems((item, { report }) => {
      if (!has(item, 'cidr')) return;
      for (const { value, at } of item.values)
        if (!isNetwork(String(value))) report(at, `'${value}' is not a network such as 10.0.0.0/8`);
    }),
  },
  {
    code: 'cidr-host-bits',
    area: 'value',
    level: 'warning',
    doc: 'The network has bits set beyond its prefix length. They are ignored, so either the address or the length is not what was meant.',
    run: onItems((item, { report }) => {
      if (!has(item, 'cidr')) return;
      for (const { value, at } of item.values) {
        const masked = maskedIpv4(String(value));
        if (masked !== undefined && masked !== String(value))
          report(at, `'${value}' has host bits set: the network is ${masked}`);
      }
    }),
  },
  {
    code: 'cidr-instead-of-prefix',
    area: 'value',
    level: 'info',
    doc: 'A list of address prefixes as text. `cidr` says the same as a network, also for ranges that do not end at a dot, and reads IPv4-mapped addresses.',
    run: onTexts(({ item, text, at }, { report }) => {
      const parts = /^(\d{1,3}\.){1,3}$/.test(text) ? text.split('.').length - 1 : 0;
      if (has(item, 'startswith') && parts > 0)
        report(
          at,
          `write '${item.field}|cidr: ${text}${Array(4 - parts)
            .fill('0')
            .join('.')}/${parts * 8}'`,
        );
    }),
  },
  {
    code: 'field-space',
    area: 'value',
    level: 'warning',
    doc: 'A field name begins or ends with a blank, or stands before a modifier with one. Names are compared exactly, so it matches nothing.',
    run: onItems((item, { report }) => {
      const isSpaced = [item.field, ...item.modifiers].some((name) => name !== name.trim());
      if (isSpaced) report(item.at, `take the blank out of '${[item.field, ...item.modifiers].join('|')}'`);
    }),
  },
  {
    code: 'field-case-mixed',
    area: 'value',
    level: 'warning',
    doc: 'A rule spells one field in two ways that differ in case. Names are compared exactly, so one of them matches nothing.',
    run: ({ detection }, { report }) => {
      const seen = new Map<string, string>();
      for (const { field, at } of detection ? itemsOf(detection) : []) {
        const known = seen.get(field.toLowerCase());
        if (known !== undefined && known !== field) report(at, `'${field}' is also spelt '${known}'`);
        else seen.set(field.toLowerCase(), field);
      }
    },
  },
];
