import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createDetector, createEventReader, type DetectResult } from '@tracehound/detect';
import { loadRuleSet } from '@tracehound/sigma';
import { type PackRule, RULES } from './pack.ts';

type Json = Readonly<Record<string, unknown>>;
const TESTDATA = join(RULES, '../testdata');
/** As the default of an activation (EXACTNESS X3). */
const LATENESS_MS = 120_000;

/** What a person would be told: alerts of correlations and findings of detections that nothing stands on. */
export function noticesOver(rules: readonly PackRule[], events: Iterable<Json>): DetectResult[] {
  const ruleSet = loadRuleSet(rules.map(({ path, content }) => ({ path, content })));
  const detector = createDetector(ruleSet, { latenessMs: LATENESS_MS });
  const read = createEventReader();
  const notices: DetectResult[] = [];
  let line = 0;
  for (const event of events) notices.push(...detector.push(read(event, ++line)));
  notices.push(...detector.end());
  return notices;
}

const COMBINED =
  /^(?<ip>\S+) \S+ \S+ \[(?<day>\d+)\/(?<month>\w+)\/(?<year>\d+):(?<time>[\d:]+) \+0000\] "\S+ (?<path>\S+)[^"]*" (?<status>\d+) (?<bytes>\S+)/;
const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec';

/**
 * The public web log of testdata/web-elastic as our own events: a refused page is `authz.access.denied`, one asked for
 * too often `security.rate_limit.exceeded`, every other one `data.read`. Visitors are known by their address only.
 */
export function webLog(): Json[] {
  const lines = gunzipSync(readFileSync(join(TESTDATA, 'web-elastic/access.log.gz')))
    .toString('utf8')
    .split('\n');
  const events = lines.flatMap((line, index) => {
    const { ip, day, month, year, time, path, status, bytes } = COMBINED.exec(line)?.groups ?? {};
    if (ip === undefined || month === undefined) return [];
    const number = String(MONTHS.indexOf(month) / 3 + 1).padStart(2, '0');
    return [
      {
        event_id: `web-${index}`,
        event_type: typeOfStatus(status),
        occurred_at: `${year}-${number}-${day}T${time}Z`,
        organization_id: 'web',
        actor: { type: 'visitor', id: ip },
        source: { platform: 'web', service: 'site' },
        network: { ip },
        resource_id: path,
        size_bytes: Number(bytes) || 0,
      },
    ];
  });
  return events.sort((a, b) => (a.occurred_at < b.occurred_at ? -1 : a.occurred_at > b.occurred_at ? 1 : 0));
}

function typeOfStatus(status: string | undefined): string {
  if (status === '401' || status === '403') return 'authz.access.denied';
  return status === '429' ? 'security.rate_limit.exceeded' : 'data.read';
}

/** The sample events of testdata/panther-events on which their own rules do not alert, as third-party events. */
export function quietVendorEvents(): Json[] {
  return readFileSync(join(TESTDATA, 'panther-events/events.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { expected: boolean; log_type: string; event: Json })
    .filter(({ expected }) => !expected)
    .map(({ log_type, event }, index) => {
      const [product = '', service = ''] = log_type.toLowerCase().split('.');
      return {
        event_id: `vendor-${index}`,
        occurred_at: new Date(Date.parse('2026-01-05T00:00:00Z') + index * 1_000).toISOString(),
        organization_id: 'vendors',
        external: true,
        log_source: { product, service },
        event,
      };
    });
}
