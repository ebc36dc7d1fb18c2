import type { EventEnvelope } from '@tracehound/event-model';
import type { CorrelatorWorld } from '../test/correlator-world.fixture.ts';
import { oracleLines, type TestEvent } from '../test/events.fixture.ts';

/** What the logs say after a soak, and where they break a promise. */
export type History = {
  /** Records of the intake topics, copies included, markers left out. */
  readonly accepted: number;
  readonly copies: number;
  /** Copies that came too late (X3). */
  readonly late: number;
  readonly finals: number;
  readonly alertRecords: number;
  /** Records of security.alerts that repeat another, byte by byte: allowed (X9). */
  readonly repeated: number;
  /** Ranges in which state was dropped (X14); 0 wanted. */
  readonly degraded: number;
  readonly problems: readonly string[];
};

type Copy = { readonly id: string; readonly place: string; readonly isLate: boolean };

/**
 * The history checker (anomalies as in Jepsen's Kafka workload): every acknowledged event is in the log (lost-write), every copy is
 * judged once (E3), late ones are in security.late and nowhere else, finals are the oracle's (E2: unseen, invented), and each
 * matches partition gives the same records again (E1: reordered, torn).
 */
export async function checkHistory(
  world: CorrelatorWorld,
  sent: ReadonlyMap<string, TestEvent>,
  latenessMs: number,
): Promise<History> {
  const problems: string[] = [];
  const copies = await intake(world, latenessMs);
  const accepted = new Set(copies.map(({ id }) => id));
  const lost = [...sent.keys()].filter((id) => !accepted.has(id));
  if (lost.length > 0) problems.push(`lost-write: ${lost.length} acknowledged events are not in the log`);

  const onTime = new Set(copies.filter(({ isLate }) => !isLate).map(({ id }) => id));
  const late = new Set(copies.filter(({ isLate }) => isLate).map(({ place }) => place));
  const told = await lateTold(world);
  const missing = [...late].filter((place) => !told.a.has(place)).length;
  const extra = [...told.a].filter((place) => !late.has(place)).length;
  if (missing + extra > 0) problems.push(`X3 security.late: ${missing} missing, ${extra} that were in time`);
  if (told.b > 0) problems.push(`X3 ${told.b} matches came behind the watermark of B, which A must prevent`);
  for (const topic of ['security.events.dlq', 'security.matches.dlq'] as const) {
    const letters = (await world.records(topic)).length;
    if (letters > 0) problems.push(`E3 ${letters} dead letters in ${topic}`);
  }

  const alerts = await world.alerts();
  const finals = await world.finals();
  const wanted = oracleLines([...sent.values()].filter(({ id }) => onTime.has(id)));
  // Chains are the business of E1 here: the oracle of events knows none.
  const known = new Set(wanted.map(ruleOf));
  const said = finals.filter((line) => known.has(ruleOf(line)));
  problems.push(...differences('E2', wanted, said), ...(await world.brokenE1()).map((broken) => `E1 ${broken}`));
  const degraded = alerts.filter(({ kind }) => kind === 'DEGRADED').length;
  const records = await world.records('security.alerts');
  const bytes = new Set(records.map(({ value }) => value?.toString('base64')));
  return {
    accepted: accepted.size,
    copies: copies.length - accepted.size,
    late: late.size,
    finals: finals.length,
    alertRecords: records.length,
    repeated: records.length - bytes.size,
    degraded,
    problems,
  };
}

async function intake(world: CorrelatorWorld, latenessMs: number): Promise<readonly Copy[]> {
  const copies: Copy[] = [];
  for (const record of await world.records('security.events')) {
    if (record.value === null) continue;
    const { value } = await world.codec.decode(record.value);
    if (!('envelope' in value)) continue;
    const envelope: EventEnvelope = value.envelope;
    copies.push({
      id: envelope.event_id,
      place: `${record.partition}/${record.offset}`,
      isLate: record.appendTimeMs - envelope.event_time > latenessMs,
    });
  }
  return copies;
}

/** Places of the copies stage A told of, and how many stage B did. */
async function lateTold(world: CorrelatorWorld): Promise<{ readonly a: ReadonlySet<string>; readonly b: number }> {
  const a = new Set<string>();
  let b = 0;
  for (const record of await world.records('security.late')) {
    const { name, value } = await world.codec.decode(record.value ?? Buffer.alloc(0));
    if (name !== 'tracehound.pipeline.v1.LateEvent') continue;
    if (value.stage === 'B') b++;
    else a.add(`${value.src_partition}/${value.src_offset}`);
  }
  return { a, b };
}

function ruleOf(line: string): string {
  return line.slice(0, line.indexOf(','));
}

function differences(rule: string, wanted: readonly string[], found: readonly string[]): string[] {
  const [want, have] = [new Set(wanted), new Set(found)];
  const missing = [...want].filter((line) => !have.has(line));
  const extra = [...have].filter((line) => !want.has(line));
  if (missing.length + extra.length === 0) return [];
  const some = [...missing.slice(0, 3).map((line) => `- ${line}`), ...extra.slice(0, 3).map((line) => `+ ${line}`)];
  return [
    `${rule}: ${missing.length} final alerts missing, ${extra.length} that the oracle does not know\n${some.join('\n')}`,
  ];
}
