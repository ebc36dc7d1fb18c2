/**
 * Writes a workload and its rules to a folder:
 *
 *   node --conditions=@tracehound/source bench/workload/write.ts --out DIR [--preset real] [--events 1000000] [--detections 100]
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PRESETS, workload } from './events.ts';
import { workloadRules } from './rules.ts';

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    preset: { type: 'string', default: 'real' },
    events: { type: 'string', default: '1000000' },
    detections: { type: 'string', default: '100' },
    seed: { type: 'string', default: '42' },
  },
});
const preset = PRESETS.find((name) => name === values.preset);
if (preset === undefined || values.out === undefined) {
  process.stderr.write(`--out DIR [--preset ${PRESETS.join('|')}] [--events N] [--detections N] [--seed N]\n`);
  process.exit(2);
}
mkdirSync(values.out, { recursive: true });
const detections = Number(values.detections);
writeFileSync(join(values.out, `rules-${detections}.yml`), workloadRules(detections, false));
writeFileSync(join(values.out, `rules-${detections}-10.yml`), workloadRules(detections, true));
const file = openSync(join(values.out, `${preset}.ndjson`), 'w');
let page: string[] = [];
for (const line of workload(preset, Number(values.events), Number(values.seed))) {
  page.push(line);
  if (page.length < 4_096) continue;
  writeSync(file, `${page.join('\n')}\n`);
  page = [];
}
if (page.length > 0) writeSync(file, `${page.join('\n')}\n`);
closeSync(file);
