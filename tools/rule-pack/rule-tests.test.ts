import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readRuleTestFile, runRuleTest } from '@tracehound/lint';
import { loadRuleSet } from '@tracehound/sigma';
import { expect, it } from 'vitest';
import { RULES, readPack } from './pack.ts';

const pack = readPack();
const whole = loadRuleSet(pack.map(({ path, content }) => ({ path, content })));

it.each(pack.map((rule) => [rule.name, rule] as const))('rules test: %s', (_, { path }) => {
  const testPath = path.replace(/\.yml$/, '.test.yml');
  const file = readRuleTestFile(testPath, readFileSync(join(RULES, testPath), 'utf8'));
  const own = file.rules?.map((name) => {
    const rulePath = join(dirname(path), name);
    return { path: rulePath, content: readFileSync(join(RULES, rulePath), 'utf8') };
  });
  const ruleSet = own ? loadRuleSet(own) : whole;
  for (const test of file.tests) expect(runRuleTest(test, ruleSet).failures, test.name).toEqual([]);
});
