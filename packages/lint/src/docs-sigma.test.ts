import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  compileTest,
  createJsonFieldView,
  loadRuleSet,
  RULE_LIMITS,
  type RuleFile,
  type RuleSetCompiled,
  SigmaError,
  type SigmaProblemCode,
} from '@tracehound/sigma';
import { describe, expect, test } from 'vitest';
import { formatFinding } from './check.ts';
import { lintRules } from './lint.ts';
import { readRuleTestFile } from './rule-test-file.ts';
import { runRuleTest } from './rule-tests.ts';

/**
 * Pages about rules cannot rot: everything in them that can be run is run. Of their fenced blocks, `yaml base` are rules
 * that later examples stand on, `yaml rule` must load on top of them without a warning, `yaml test` is a test file
 * over the base and the rule before it. Tables headed `Item | Event | Result` are selections with one item, run over a
 * JSON event: `match`, `no match`, or `refused` with the code of the loader.
 */
const ROOT = join(import.meta.dirname, '../../..');
const PAGES = ['docs/sigma.md', 'docs/rules-guide.md'] as const;
const PAGE = readFileSync(join(ROOT, PAGES[0]), 'utf8');
/** Lists behind the placeholders of the page. */
const EXPAND = { admins: ['root', 'adm*'], office: ['10.0.0.0/8', '192.168.0.0/16'] };

type Block = { readonly path: string; readonly kind: string; readonly line: number; readonly text: string };

const BLOCKS = PAGES.flatMap((path): Block[] => {
  const page = readFileSync(join(ROOT, path), 'utf8');
  return [...page.matchAll(/^```yaml (\w+)\n([\s\S]*?)^```$/gm)].map((found) => ({
    path,
    kind: found[1] ?? '',
    line: page.slice(0, found.index).split('\n').length,
    text: found[2] ?? '',
  }));
});

function isBefore(block: Block, other: Block): boolean {
  return block.path === other.path && block.line < other.line;
}

/** The block on top of the base before it. */
function filesOf(block: Block): RuleFile[] {
  const base = BLOCKS.filter((one) => one.kind === 'base' && isBefore(one, block));
  return [...base, block].map(({ path, line, text }) => ({ path: `${path}:${line}`, content: text }));
}

function load(block: Block): RuleSetCompiled {
  return loadRuleSet(filesOf(block), { expand: EXPAND });
}

describe('examples', () => {
  const rules = BLOCKS.filter(({ kind }) => kind === 'rule' || kind === 'base');
  const tests = BLOCKS.filter(({ kind }) => kind === 'test');

  test.each(rules)('$path line $line: $kind loads', (block) => {
    expect(load(block).warnings).toEqual([]);
  });

  test.each(tests)('$path line $line: the tests pass', (block) => {
    const rule = BLOCKS.findLast((one) => one.kind === 'rule' && isBefore(one, block));
    if (!rule) throw new Error('a test without a rule before it');
    const file = readRuleTestFile(block.path, block.text);
    expect(file.tests.length).toBeGreaterThan(0);
    for (const one of file.tests) expect([one.name, runRuleTest(one, load(rule)).failures]).toEqual([one.name, []]);
  });

  test('the guide shows rules without a remark', () => {
    const guide = BLOCKS.findLast(({ path, kind }) => path === PAGES[1] && kind === 'rule');
    if (!guide) throw new Error('the guide shows no rule');
    const { findings } = lintRules(filesOf(guide), { matchesRetentionMs: 14 * 86_400_000, today: '2026-01-20' });
    expect(findings.map(formatFinding)).toEqual([]);
  });

  test('blocks are of known kinds', () => {
    expect([...new Set(BLOCKS.map(({ kind }) => kind))].sort()).toEqual(['base', 'rule', 'test']);
  });
});

type Row = { readonly line: number; readonly item: string; readonly event: string; readonly result: string };

/** Rows of all tables headed `Item | Event | Result`; a pipe inside a cell is written `\|`. */
function rowsOf(page: string): readonly Row[] {
  const rows: Row[] = [];
  let isInside = false;
  for (const [index, text] of page.split('\n').entries()) {
    if (!text.startsWith('|')) isInside = false;
    else if (text.startsWith('| Item | Event | Result |')) isInside = true;
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
    const [rule] = loadRuleSet([{ path: PAGES[0], content }], { expand: EXPAND }).detections;
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
