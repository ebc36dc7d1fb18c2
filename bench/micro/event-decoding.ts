/**
 * What stage A pays to read an event and match it, with whole records and with events read field by field, turn by turn in one process.
 *
 *   node --conditions=@tracehound/source --max-semi-space-size=64 bench/micro/event-decoding.ts [events] [rounds]
 */
import { createAvroCodec, createMemoryRegistry, type DecodedEvent, registerRecords } from '@tracehound/avro';
import { createFieldView, RECORD_NAMES } from '@tracehound/event-model';
import { loadRuleSet } from '@tracehound/sigma';
import { externalEvent, type WorkloadLine } from '../measure/avro-workload.ts';
import { ruleFiles } from '../measure/correlator-partitions.ts';
import { cpuMicros } from '../measure/processes.ts';
import { spreadOf } from '../measure/statistics.ts';
import { workload } from '../workload/events.ts';

const [events = 100_000, rounds = 7] = process.argv.slice(2).map(Number);

const registry = createMemoryRegistry();
await registerRecords(registry, RECORD_NAMES);
const codec = createAvroCodec({ registry });
await codec.prepare(RECORD_NAMES);
const rules = loadRuleSet(ruleFiles());
const values = [...workload('real', events)].map((text) =>
  codec.encode('tracehound.events.v1.ExternalEvent', externalEvent(JSON.parse(text) as WorkloadLine)),
);

type Way = 'decode' | 'decodeEvent';

function run(way: Way, matches: boolean): { readonly micros: number; readonly found: number } {
  const began = cpuMicros();
  let found = 0;
  for (const value of values) {
    // All schema ids are known.
    const decoded = codec[way](value) as DecodedEvent;
    if (!('envelope' in decoded.value)) continue;
    if (decoded.value.envelope.event_time > 0 && !matches) found++;
    if (!matches) continue;
    const view = createFieldView(decoded.value);
    found += rules.matchEvent(view, view.logSource).length;
  }
  return { micros: (cpuMicros() - began) / events, found };
}

for (const matches of [false, true]) {
  const micros: Record<Way, number[]> = { decode: [], decodeEvent: [] };
  const found = new Set<number>();
  for (let round = 0; round < rounds; round++) {
    for (const way of ['decode', 'decodeEvent'] as const) {
      const result = run(way, matches);
      found.add(result.found);
      // The first round compiles.
      if (round > 0) micros[way].push(result.micros);
    }
  }
  if (found.size !== 1) throw new Error('both ways must find the same; nothing was measured');
  for (const way of ['decode', 'decodeEvent'] as const) {
    const { median, least, most } = spreadOf(micros[way]);
    const what = matches ? `${way} and match` : way;
    console.log(`${what}: ${median.toFixed(2)} (${least.toFixed(2)}-${most.toFixed(2)}) us of CPU an event`);
  }
}
