import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { declaredMetrics, metricsOf, ROOT } from './declared-metrics.ts';

type Dashboard = {
  uid: string;
  panels: {
    title: string;
    datasource: { uid: string };
    targets: { expr: string }[];
    gridPos: { x: number; y: number; w: number; h: number };
  }[];
};

const FOLDER = join(ROOT, 'deploy/grafana/dashboards');
const dashboards = readdirSync(FOLDER).map((file) => {
  const dashboard = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Dashboard;
  return { file, dashboard, panels: dashboard.panels.map((panel) => [panel.title, panel] as const) };
});

describe('dashboards', () => {
  it('have an id each', () => {
    expect(new Set(dashboards.map(({ dashboard }) => dashboard.uid)).size).toBe(dashboards.length);
  });

  it('show the way of an event in ten panels', () => {
    const overview = dashboards.find(({ file }) => file === 'overview.json');
    expect(overview?.panels.map(([title]) => title)).toEqual([
      'Services',
      'Records without a verdict',
      'Intake',
      'Intake latency',
      'Verdicts that are not ok',
      'Records consumed',
      'Watermark age',
      'Audit lag',
      'Alerts',
      'Deliveries',
    ]);
  });
});

describe.each(dashboards)('dashboard $file', ({ dashboard, panels }) => {
  it.each(panels)('asks only for metrics that services declare: %s', (_title, panel) => {
    const declared = declaredMetrics();
    for (const { expr } of panel.targets) {
      const asked = metricsOf(expr);
      expect(asked.length, expr).toBeGreaterThan(0);
      expect(
        asked.filter((metric) => !declared.has(metric)),
        expr,
      ).toEqual([]);
    }
  });

  it('uses the provisioned data source in every panel', () => {
    const provisioned = parse(
      readFileSync(join(ROOT, 'deploy/grafana/provisioning/datasources/prometheus.yml'), 'utf8'),
    ) as {
      datasources: { uid: string }[];
    };
    const uids = provisioned.datasources.map(({ uid }) => uid);
    for (const [title, panel] of panels) expect(uids, title).toContain(panel.datasource.uid);
  });

  it('has no panels on top of each other', () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_unused, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
  });
});

describe('metricsOf', () => {
  it('finds names among functions, labels and groupings, so that an undeclared one is seen', () => {
    expect(
      metricsOf(
        'sum by (le) (rate(gateway_x_seconds_bucket{result="a_b"}[1m])) / ignoring (some_label) sink_lag_records',
      ),
    ).toEqual(['gateway_x_seconds_bucket', 'sink_lag_records']);
    expect(metricsOf('sum({__name__=~"(sink|alerter)_verdicts_total", verdict!="ok"})')).toEqual([
      'sink_verdicts_total',
      'alerter_verdicts_total',
    ]);
  });
});
