import { setTimeout as delay } from 'node:timers/promises';
import type { KafkaAdmin } from '@tracehound/kafka';

/** What a wait is waiting for, in words for the terminal. */
export type WaitProgress = (waitingFor: string) => void;

export type SettledOptions = {
  readonly admin: KafkaAdmin;
  /** `security.events` -> the topic of this deployment. */
  readonly topic: (name: string) => string;
  readonly group: (name: string) => string;
  /** Topics that mirror those of other deployments, as they are named in the cluster; none by default. */
  readonly mirrored?: readonly string[];
  readonly timeoutMs: number;
  readonly onProgress?: WaitProgress;
  /** Asked between polls: a reason why waiting is hopeless (a service is dead), or null. */
  readonly hopeless?: () => string | null;
};

const POLL_MS = 100;

/** The next offset per partition of a topic, as of now. */
async function ends(admin: KafkaAdmin, topic: string): Promise<Map<number, bigint>> {
  return new Map((await admin.offsets(topic)).map(({ partition, high }) => [partition, high]));
}

/** Partitions of `topic` whose committed offset of `group` has not reached `target`. */
async function behind(
  admin: KafkaAdmin,
  group: string,
  topic: string,
  target: ReadonlyMap<number, bigint>,
): Promise<number> {
  const committed = new Map((await admin.committed(group, topic)).map(({ partition, offset }) => [partition, offset]));
  let count = 0;
  for (const [partition, high] of target) {
    if (high > 0n && (committed.get(partition) ?? 0n) < high) count++;
  }
  return count;
}

/**
 * Waits until everything that was in the intake topics at the call has gone the whole way: stage A, stage B, sink and
 * alerter have committed past it. It is exact, not a pause: each consumer commits only after its effects are durable
 * (stage B only after the alerts are acknowledged), so the end offsets of a topic, taken after its writers have
 * committed, cover all they wrote.
 */
export async function waitSettled(options: SettledOptions): Promise<void> {
  const { admin, topic, group } = options;
  const until = Date.now() + options.timeoutMs;
  const mirrored = options.mirrored ?? [];
  const reach = async (groupName: string, topics: readonly string[]): Promise<void> => {
    for (const name of topics) {
      const target = await ends(admin, name);
      for (;;) {
        const left = await behind(admin, group(groupName), name, target);
        if (left === 0) break;
        options.onProgress?.(`${groupName} on ${name}: ${left} partition(s) to go`);
        const reason = options.hopeless?.() ?? null;
        if (reason !== null) throw new Error(reason);
        if (Date.now() > until)
          throw new Error(`${groupName} did not catch up with ${name} within ${options.timeoutMs} ms`);
        await delay(POLL_MS);
      }
    }
  };
  const all = (...names: readonly string[]): readonly string[] => names.map(topic);
  await reach('correlator-a', [...all('security.events', 'security.telemetry'), ...mirrored]);
  await reach('correlator-b', all('security.matches'));
  await reach('sink-audit', [
    ...all('security.events', 'security.telemetry', 'security.late', 'security.findings', 'security.alerts'),
    ...mirrored,
  ]);
  await reach('alerter', all('security.alerts', 'security.findings'));
}
