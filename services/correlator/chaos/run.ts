/** `npm run chaos -- correlator`: the soak of the correlator, see `--help`. */
import { parseArgs } from 'node:util';
import { FAULTS } from './faults.ts';
import { runSoak, type SoakReport } from './soak.ts';

const HELP = `npm run chaos -- [correlator] [--seed N] [--minutes M] [--brokers 1|3] [--rate EVENTS] [--only FAULT,…] [--json]

Two correlator processes on real servers of their own, steady traffic with attacks, and one fault after the other; then the
input ends and the history is checked: nothing acknowledged is lost, final alerts equal the oracle's (E2), each partition of
security.matches gives the same records again (E1), nothing is silent (E3). Exit 1 when a promise is broken.

  --seed N       traffic and faults are drawn from it (default: the time)
  --minutes M    length of the disturbed part (default 5)
  --brokers 3    three brokers, of which one at a time is killed or frozen
  --rate N       events a second (default 150)
  --only LIST    ${Object.keys(FAULTS).join(', ')}

Examples
  npm run chaos -- --seed 7 --minutes 5
  npm run chaos -- --minutes 2 --only zombie,redis-failover --json
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    minutes: { type: 'string', default: '5' },
    brokers: { type: 'string', default: '1' },
    rate: { type: 'string', default: '150' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const faults = values.only?.split(',');
const unknown = faults?.filter((name) => !(name in FAULTS)) ?? [];
const [seed, minutes, rate] = [Number(values.seed), Number(values.minutes), Number(values.rate)];
const isWrong = !Number.isInteger(seed) || !(minutes > 0) || !(rate > 0) || !['1', '3'].includes(values.brokers);
if (values.help || isWrong || unknown.length > 0) {
  const why = unknown.length > 0 ? `no fault is called ${unknown.join(', ')}\n\n` : '';
  process.stderr.write(values.help ? HELP : `${why}${HELP}`);
  process.exit(values.help ? 0 : 2);
}

const report = await runSoak({
  seed,
  minutes,
  brokers: values.brokers === '3' ? 3 : 1,
  eventsPerSecond: rate,
  ...(faults === undefined ? {} : { faults }),
  onProgress: (line) => process.stderr.write(`${line}\n`),
});
process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : summary(report));
process.exitCode = report.problems.length > 0 ? 1 : 0;

function summary({ faults, history, fleet, longestStallMs, problems, sent }: SoakReport): string {
  const kinds = [...Map.groupBy(faults, ({ name }) => name)].map(([name, list]) => `${list.length} ${name}`);
  const rows = [
    ['faults', kinds.join(', ')],
    ['events', `${sent} sent, ${history.copies} more copies, ${history.late} copies late`],
    ['processes', `${fleet.started} started, ${fleet.died} died`],
    ['ownership', `${fleet.taken} taken, ${fleet.fenced} lost to a fence or a doubt, ${fleet.rebuilds} rebuilds`],
    ['alerts', `${history.finals} final, ${history.alertRecords} records, ${history.repeated} of them repeated`],
    ['degraded', String(history.degraded)],
    ['longest stall', `${(longestStallMs / 1_000).toFixed(1)} s`],
  ];
  const table = rows.map(([name = '', text]) => `  ${name.padEnd(14)} ${text}`).join('\n');
  const verdict =
    problems.length === 0
      ? '✓ E1, E2 and E3 hold'
      : `✗ broken:\n${problems.map((problem) => `  ${problem}`).join('\n')}`;
  return `\n${table}\n\n${verdict}\nAgain: npm run chaos -- correlator --seed ${seed} --minutes ${minutes}\n`;
}
