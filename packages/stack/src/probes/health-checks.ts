import type { StackAddresses } from '../addresses.ts';
import { type Health, kindOf, type PartName } from '../stack.ts';
import { describeKafka } from './kafka-probe.ts';
import { postgresVersion } from './postgres-probe.ts';
import { pingRedis } from './redis-probe.ts';
import { registryCompatibility } from './registry-probe.ts';

/** Never throws: the reason of a failure becomes the detail. */
export async function checkHealth(probe: () => Promise<string>): Promise<Health> {
  try {
    return { ok: true, detail: await probe() };
  } catch (error) {
    return { ok: false, detail: reasonOf(error) };
  }
}

/** The health check of one part at these addresses. */
export function partHealth(name: PartName, addresses: StackAddresses): () => Promise<Health> {
  const probe = probeOf(name, addresses);
  return () => checkHealth(probe);
}

/** The probe of one part; the detail of a good answer is a fact worth showing. */
export function probeOf(name: PartName, addresses: StackAddresses): () => Promise<string> {
  switch (kindOf(name)) {
    case 'kafka': {
      const broker = addresses.kafkaBrokers[Number(name.slice('kafka-'.length)) - 1] ?? '';
      return () => kafkaFact(broker, addresses.kafkaBrokers.length);
    }
    case 'registry':
      return async () => `compatibility ${await registryCompatibility(addresses.registryUrl)}`;
    case 'redis-state':
      return async () => pingRedis(addresses.redisStateUrl).then(() => 'PONG');
    case 'redis-edge':
      return async () => pingRedis(addresses.redisEdgeUrl).then(() => 'PONG');
    case 'postgres':
      return async () => `PostgreSQL ${await postgresVersion(addresses.postgresUrl)}`;
  }
}

/** Healthy = a controller is elected and this broker is registered; the others have their own checks. */
async function kafkaFact(broker: string, brokersExpected: number): Promise<string> {
  const cluster = await describeKafka(broker);
  if (cluster.controllerId < 0) throw new Error('no controller elected yet');
  const port = Number(broker.slice(broker.lastIndexOf(':') + 1));
  if (!cluster.brokers.some((known) => known.port === port)) throw new Error('the broker is not registered yet');
  return `${cluster.brokers.length} of ${brokersExpected} brokers`;
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  // fetch says "fetch failed" and keeps the reason in its cause.
  if (error.cause instanceof Error) return reasonOf(error.cause);
  return error.message === '' ? error.name : error.message;
}
