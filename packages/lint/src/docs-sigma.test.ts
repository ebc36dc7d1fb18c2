import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  compileTest,
  createJsonFieldView,
  loadRuleSet,
  RULE_LIMITS,
  type RuleSetCompiled,
  SigmaError,
  type SigmaProblemCode,
} from '@tracehound/sigma';
import { describe, expect, test } from 'vitest';
import { readRuleTestFile } from './rule-test-file.ts';
import { runRuleTest } from './rule-tests.ts';

/**
 * `docs/sigma.md` cannot rot: everything in it that can be run is run. Of its fenced blocks,
 * `yaml base` are rules that all later examples stand on, `yaml rule` must load on top of them without a warning,
 * `yaml test` is a test file over the base and the rule before it. Tables headed `Item | Event | Result` are selections
 * with one item, run over a JSON event; `match`, `no match`, or `refused` with the code of the loader.
 */
const PATH = 'docs/sigma.md';
const PAGE = readFileSync(join(import.meta.dirname, '../../..', PATH), 'utf8');
/** Lists behind the placeholders of the page. */
const EXPAND = { admins: ['root', 'adm*'], office: ['10.0.0.0/8', '192.168.0.0/16'] };

type Block = { readonly kind: string; readonly line: number; readonly text: string };

const BLOCKS: readonly Block[] = [...PAGE.matchAll(/^```yaml (\w+)\n([\s\S]*?)^```$/gm)].map((found) => ({
  kind: found[1] ?? '',
  line: PAGE.slice(0, found.index).split('\n').length,
  text: found[2] ?? '',
}));

function load(block: Block): RuleSetCompiled {
  const base = BLOCKS.filter(({ kind, line }) => kind === 'base' && line < block.line);
  const files = [...base, block].map(({ line, text }) => ({ path: `${PATH}:${line}`, content: text }));
  return loadRuleSet(files, { expand: EXPAND });
}

describe('examples', () => {
  test.each(BLOCKS.filter(({ kind }) => kind === 'rule' || kind === 'base'))('line $line: $kind loads', (block) => {
    const { warnings } = block.kind === 'base' ? loadRuleSet([{ path: PATH, content: block.text }]) : load(block);
    expect(warnings).toEqual([]);
  });

  test.each(BLOCKS.filter(({ kind }) => kind === 'test'))('line $line: the test passes', (block) => {
    const rule = BLOCKS.findLast(({ kind, line }) => kind === 'rule' && line < block.line);
    const { tests } = readRuleTestFile(PATH, block.text);
    expect(tests.length).toBeGreaterThan(0);
    for (const one of tests) expect([one.name, runRuleTest(one, load(rule as Block)).failures]).toEqual([one.name, []]);
  });

  test('blocks are of known kinds', () => {
    expect(new Set(BLOCKS.map(({ kind }) => kind))).toEqual(new Set(['base', 'rule', 'test', 'filter'].slice(0, 3)));
  });
});

type Row = { readonly line: number; readonly item: string; readonly event: string; readonly result: string };

/** Rows of all tables headed `Item | Event | Result`; a pipe inside a cell is written `\|`. */
function rowsOf(page: string): readonly Row[] {
  const rows: Row[] = [];
  let isInside = false;
  for (const [index, text] of page.split('\n').entries()) {
    if (!text.startsWith('|')) isInside = false;
    else if (/^\| Item \| Event \| Result \|/.test(text)) isInside = true;
    else if (isInside && !text.startsWith('|---')) {
      const [item = '', event = '', result = ''] = text
        .split(/(?<!\\)\|/)
        .slice(1)
        .map((cell) =>
          cell
            .trim()
            .replace(/^`+ ?(.*?) ?`+$/, '$1')
            .replaceAll('\\|', '|'),
        );
      rows.push({ line: index + 1, item, event, result });
    }
  }
  return rows;
}

function resultOf({ item, event }: Row): string {
  const content = `title: t\nlogsource: {product: p}\ndetection:\n  s:\n    ${item}\n  condition: s\n`;
  try {
    const [rule] = loadRuleSet([{ path: PATH, content }], { expand: EXPAND }).detections;
    if (!rule) return 'no rule';
    return compileTest(rule.test)(createJsonFieldView(JSON.parse(event))) ? 'match' : 'no match';
  } catch (error) {
    if (!(error instanceof SigmaError)) throw error;
    return `refused ${error.problems[0]?.code satisfies SigmaProblemCode | undefined}`;
  }
}

describe('items', () => {
  const rows = rowsOf(PAGE);

  test('the tables are found', () => {
    expect(rows.length).toBeGreaterThan(60);
  });

  test.each(rows)('line $line: $item over $event: $result', (row) => {
    expect(resultOf(row)).toBe(row.result.replaceAll('`', '').replace(/\s*\(.*$/, ''));
  });
});

test('the table of limits is that of the code', () => {
  const written = [...PAGE.matchAll(/^\| `(\w+Max)` \| ([\d,]+)( days)? \|/gm)].map(
    ([, name, value = '', days]) => [name, Number(value.replaceAll(',', '')) * (days ? 86_400_000 : 1)] as const,
  );
  expect(Object.fromEntries(written)).toEqual(RULE_LIMITS);
});

describe('named tests', () => {
  const cells = [...PAGE.matchAll(/^\| ([POQ]\d+) \|.*\| ([^|]+) \|$/gm)].map(([, id = '', cell = '']) => ({
    id,
    cell,
  }));

  test('P1 to P11 are all there', () => {
    const ids = cells.map(({ id }) => id).filter((id) => id.startsWith('P'));
    expect(ids).toEqual(Array.from({ length: 11 }, (_, index) => `P${index + 1}`));
  });

  test.each(cells)('$id: $cell', ({ id, cell }) => {
    const paths = [...cell.matchAll(/`([^`]+)`/g)].map(([, path = '']) => join(import.meta.dirname, '../..', path));
    expect(paths.length > 0 || cell.includes('this page')).toBe(true);
    for (const path of paths) {
      expect([path, existsSync(path)]).toEqual([path, true]);
      if (id.startsWith('P')) expect(readFileSync(path, 'utf8')).toMatch(new RegExp(`'${id}\\b`));
    }
  });
});
