import { officeWeek } from './office-week.ts';

/** Prints the office week as NDJSON. Arguments: number of people, seed. */
const [people = 1_000, seed = 1] = process.argv.slice(2).map(Number);
for (const event of officeWeek({ people, seed })) process.stdout.write(`${JSON.stringify(event)}\n`);
