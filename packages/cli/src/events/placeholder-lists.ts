import { readFileSync, statSync } from 'node:fs';
import type { PlaceholderLists } from '@tracehound/sigma';
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { UsageError } from '../usage-error.ts';

/** What a name may hold: rules write it between percent signs. */
const NAME = /^[^%\s\\=/]+$/;

/**
 * The values of `--expand`, for `%placeholders%` of the modifier `expand`. Each is `name=a,b` or a YAML file: a map of
 * names to values. Lists of one name are joined, so that a file can be added to. Values are taken as written: `007`
 * stays `007`. A value with a comma needs the file.
 * @throws UsageError naming the option, and for files the line, when something is neither.
 */
export function readPlaceholderLists(options: readonly string[] = []): PlaceholderLists {
  const lists = new Map<string, string[]>();
  for (const option of options) {
    for (const [name, values] of isAssignment(option) ? [assigned(option)] : fromFile(option)) {
      lists.set(name, [...new Set([...(lists.get(name) ?? []), ...values])]);
    }
  }
  return Object.fromEntries(lists);
}

/** `name=…`, unless the part before the sign is the path of a file. */
function isAssignment(option: string): boolean {
  const at = option.indexOf('=');
  return at >= 0 && !option.slice(0, at).includes('/');
}

function assigned(option: string): readonly [string, readonly string[]] {
  const at = option.indexOf('=');
  const name = checkedName(option.slice(0, at), `--expand ${option}`);
  const values = option
    .slice(at + 1)
    .split(',')
    .map((value) => value.trim());
  if (values.includes('')) throw new UsageError(`--expand ${option}: a value is empty; write ${name}=first,second`);
  return [name, values];
}

function fromFile(path: string): readonly (readonly [string, readonly string[]])[] {
  const kind = statSync(path, { throwIfNoEntry: false });
  if (!kind?.isFile()) {
    const what = kind ? 'is not a file' : 'there is no such file';
    throw new UsageError(`--expand ${path}: ${what}; write name=first,second or the path of a YAML file`);
  }
  const lines = new LineCounter();
  // Failsafe: every scalar is the text that was written.
  const document = parseDocument(readFileSync(path, 'utf8'), { schema: 'failsafe', lineCounter: lines });
  const at = (offset: number | undefined): string => `--expand ${path}:${lines.linePos(offset ?? 0).line}`;
  const [broken] = document.errors;
  if (broken) throw new UsageError(`${at(broken.pos[0])}: ${broken.message.split('\n')[0]}`);
  if (!isMap(document.contents)) throw new UsageError(`--expand ${path}: write a map of names to lists of values`);
  return document.contents.items.map(({ key, value }) => {
    const where = at(isScalar(key) ? key.range?.[0] : undefined);
    const name = checkedName(isScalar(key) ? String(key.value) : '', where);
    const items = isSeq(value) ? value.items : [value];
    const values = items.map((item) => (isScalar(item) ? String(item.value ?? '') : ''));
    if (values.length === 0 || values.includes(''))
      throw new UsageError(`${where}: '${name}' needs a list of texts, none of them empty`);
    return [name, values] as const;
  });
}

function checkedName(name: string, where: string): string {
  if (NAME.test(name)) return name;
  throw new UsageError(`${where}: '${name}' is no placeholder name; write it without percent signs, spaces, / and \\`);
}
