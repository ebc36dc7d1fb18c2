import type { AvroCodec } from '@tracehound/avro';
import type { OutboxRecord } from '../../services/correlator/src/ports.ts';
import type { Counts } from './peer.ts';

/** Final alerts by correlation of the workload. */
export function finalsOf(alerts: readonly OutboxRecord[], codec: Pick<AvroCodec, 'decode'>): Counts {
  const counts: Record<string, number> = {};
  for (const { lane, value } of alerts) {
    if (lane !== 'alerts') continue;
    // The writer's schema is known: nothing is waited for.
    const { value: alert } = codec.decode(value) as { value: { kind: string; rule: { title: string } } };
    if (alert.kind !== 'FINAL') continue;
    const name = alert.rule.title.replace(/^Workload /, '');
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
