import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The clone; tests run from anywhere in it. */
export const ROOT: string = join(import.meta.dirname, '..', '..');

/** What every pipeline declares by itself (packages/telemetry): `<service>_records_consumed_total`, `<service>_verdicts_total`. */
const PIPELINE_NOUNS = ['records_consumed_total', 'verdicts_total'];
const SERVICE_WORDS = ['gateway', 'correlator', 'sink', 'alerter'];

/** Written by Prometheus itself at each scrape. */
const OF_PROMETHEUS = ['up'];

/** Names as the services declare them, plus the series a histogram turns into. */
export function declaredMetrics(): ReadonlySet<string> {
  const names = new Set(OF_PROMETHEUS);
  for (const word of SERVICE_WORDS) for (const noun of PIPELINE_NOUNS) names.add(`${word}_${noun}`);
  for (const file of globSync('services/*/src/metrics.ts', { cwd: ROOT })) {
    const source = readFileSync(join(ROOT, file), 'utf8');
    for (const [, type, name] of source.matchAll(/type: '(\w+)',\s*name: '(\w+)'/g)) {
      if (name === undefined) continue;
      names.add(name);
      if (type === 'histogram') for (const part of ['bucket', 'sum', 'count']) names.add(`${name}_${part}`);
    }
  }
  return names;
}

/** Metric names of a PromQL expression, with `{__name__=~"(a|b)_c"}` spelled out. */
export function metricsOf(expression: string): readonly string[] {
  const byPattern = [...expression.matchAll(/__name__=~"\(([\w|]+)\)(\w+)"/g)].flatMap(([, words, rest]) =>
    (words ?? '').split('|').map((word) => `${word}${rest}`),
  );
  const bare = expression
    .replaceAll(/"[^"]*"/g, '') // label values
    .replaceAll(/\{[^}]*\}/g, '') // label matchers
    .replaceAll(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, '') // grouping labels
    .replaceAll(/\[[^\]]*\]/g, '');
  const byName = [...bare.matchAll(/\b(up|[a-z]+(?:_[a-z]+)+)\b(?!\s*\()/g)].map(([name]) => name);
  return [...byPattern, ...byName];
}
