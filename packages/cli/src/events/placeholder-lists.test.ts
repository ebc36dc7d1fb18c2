import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { UsageError } from '../usage-error.ts';
import { readPlaceholderLists } from './placeholder-lists.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracehound-expand-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(content: string, name = 'lists.yml'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function refusal(...options: string[]): string {
  try {
    readPlaceholderLists(options);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return 'taken';
}

describe('--expand', () => {
  it('reads lists of the command line and of files, values as written', () => {
    const path = file('admins: [root, "adm*"]\noffice:\n  - 10.0.0.0/8\n  - 0777\n  - 1.10\none: true\n');
    expect(readPlaceholderLists([path])).toEqual({
      admins: ['root', 'adm*'],
      office: ['10.0.0.0/8', '0777', '1.10'],
      one: ['true'],
    });
    expect(readPlaceholderLists(['a=x, y', 'b=k=v'])).toEqual({ a: ['x', 'y'], b: ['k=v'] });
    expect(readPlaceholderLists()).toEqual({});
  });

  it('joins lists of one name, each value once', () => {
    expect(readPlaceholderLists([file('a: [x, y]\n'), 'a=y,z'])).toEqual({ a: ['x', 'y', 'z'] });
  });

  it('keeps names of the prototype harmless', () => {
    const lists = readPlaceholderLists(['__proto__=x', 'constructor=y']);
    expect(Object.keys(lists)).toEqual(['__proto__', 'constructor']);
  });

  it('takes a file whose path holds the sign', () => {
    expect(readPlaceholderLists([file('a: [x]\n', 'a=b.yml')])).toEqual({ a: ['x'] });
  });

  it('says what is wrong and where', () => {
    expect(refusal('lists.yaml')).toBe(
      '--expand lists.yaml: there is no such file; write name=first,second or the path of a YAML file',
    );
    expect(refusal(folder)).toContain('is not a file');
    expect(refusal('a=')).toBe('--expand a=: a value is empty; write a=first,second');
    expect(refusal('a=x,,y')).toContain('a value is empty');
    expect(refusal('%a%=x')).toContain("'%a%' is no placeholder name; write it without percent signs");
    expect(refusal('=x')).toContain("'' is no placeholder name");
    expect(refusal(file('- a\n'))).toContain('write a map of names to lists of values');
    expect(refusal(file('a: [x]\na: [y]\n'))).toMatch(/lists\.yml:2: /);
    expect(refusal(file('a: [x]\nb: []\n'))).toMatch(/lists\.yml:2: 'b' needs a list of texts/);
    expect(refusal(file('a: [x]\n\nb: {c: d}\n'))).toMatch(/lists\.yml:3: 'b' needs a list of texts/);
    expect(refusal(file('a: [x\n'))).toMatch(/lists\.yml:\d: /);
    expect(refusal(file('a b: [x]\n'))).toMatch(/lists\.yml:1: 'a b' is no placeholder name/);
  });
});
