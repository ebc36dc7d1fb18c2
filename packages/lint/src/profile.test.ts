import { loadRuleSet, type RuleFile } from '@tracehound/sigma';
import { describe, expect, test } from 'vitest';
import { profilesOf, selectProfile } from './profile.ts';

const detection = (name: string, profile: string | null): string =>
  `title: ${name}\nname: ${name}\nlogsource: {product: p}\ndetection: {s: {x: ${name}}, condition: s}\n${profile === null ? '' : `custom: {profile: ${profile}}\n`}`;
const correlation = (name: string, rule: string, profile: string): string =>
  `title: ${name}\nname: ${name}\ncorrelation: {type: event_count, rules: [${rule}], timespan: 1m, condition: {gte: 2}}\ncustom: {profile: ${profile}}\n`;
const filter = (rules: string): string =>
  `title: f\nlogsource: {product: p}\nfilter: {rules: ${rules}, s: {y: 1}, condition: not s}\n`;

function namesOf(files: readonly RuleFile[]): string[] {
  const { detections, correlations } = loadRuleSet(files);
  return [...detections, ...correlations].map(({ name, path, line }) => `${path}:${line} ${name}`);
}

describe('rules of a profile', () => {
  const files = [
    {
      path: 'a.yml',
      content: [detection('one', 'default'), detection('two', null), detection('three', 'extended')].join('---\n'),
    },
    {
      path: 'b.yml',
      content: `# A file.\n---\n${correlation('many', 'three', 'Default')}---\n${correlation('other', 'two', 'extended')}`,
    },
    { path: 'c.yml', content: detection('four', 'extended') },
  ];

  test('come with what they stand on, at the places they had', () => {
    expect(namesOf(files)).toHaveLength(6);
    expect(namesOf(selectProfile(files, 'default'))).toEqual(['a.yml:1 one', 'a.yml:12 three', 'b.yml:3 many']);
    expect(namesOf(selectProfile(files, 'EXTENDED'))).toEqual([
      'a.yml:7 two',
      'a.yml:12 three',
      'c.yml:1 four',
      'b.yml:8 other',
    ]);
    expect(selectProfile(files, 'nobody')).toEqual([]);
    expect(profilesOf(files)).toEqual(['default', 'extended']);
  });

  test('filters stay with the rules they are for', () => {
    const filtered = (rules: string) => [...files, { path: 'f.yml', content: filter(rules) }];
    expect(selectProfile(filtered('any'), 'default').map(({ path }) => path)).toContain('f.yml');
    expect(selectProfile(filtered('[one]'), 'default').map(({ path }) => path)).toContain('f.yml');
    expect(selectProfile(filtered('[four]'), 'default').map(({ path }) => path)).not.toContain('f.yml');
  });

  test('what is no rule stays, for the loader to name', () => {
    const broken = { path: 'x.yml', content: 'title: [\n' };
    expect(selectProfile([...files, broken], 'default')).toContainEqual(broken);
  });
});
