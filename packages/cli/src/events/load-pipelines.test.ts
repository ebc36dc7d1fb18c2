import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UsageError } from '../usage-error.ts';
import { isPipelineFile, loadPipelines } from './load-pipelines.ts';
import { readRuleFiles } from './load-rules.ts';

let folder = '';
const RULE = 'title: t\nlogsource: {product: p}\ndetection: {s: {a: 1}, condition: s}\n';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pipelines-'));
  mkdirSync(join(folder, 'pipelines'));
  writeFileSync(join(folder, 'pipelines', 'mine.yml'), 'name: mine\ntransformations: []\n');
  writeFileSync(join(folder, 'pipelines', 'rule.yml'), RULE);
  writeFileSync(join(folder, 'bad.yml'), 'transformations:\n  - {type: x}\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('--pipeline', () => {
  it('takes files and names of shipped pipelines', () => {
    const pipelines = loadPipelines([join(folder, 'pipelines', 'mine.yml'), 'cloudtrail']);
    expect(pipelines.map(({ name }) => name)).toEqual(['mine', 'CloudTrail rules on Elastic Common Schema']);
    expect(loadPipelines()).toEqual([]);
  });

  it('says which names there are', () => {
    expect(() => loadPipelines(['nosuch'])).toThrow(/--pipeline nosuch: no such file.*cloudtrail, ecs, github/);
    expect(() => loadPipelines(['../secrets'])).toThrow(UsageError);
  });

  it('names what is wrong with a file, with its place', () => {
    expect(() => loadPipelines([join(folder, 'bad.yml')])).toThrow(/bad\.yml:2:12 unsupported 'x'/);
  });
});

it('a folder of rules may hold pipelines: they are no rules, but rules in such a folder are', () => {
  expect(isPipelineFile(join(folder, 'pipelines', 'mine.yml'))).toBe(true);
  const found = readRuleFiles([join(folder, 'pipelines')]).map(({ path }) => path.split('/').at(-1));
  expect(found).toEqual(['rule.yml']);
});
