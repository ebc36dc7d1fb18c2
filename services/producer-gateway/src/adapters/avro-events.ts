import { type AvroCodec, createAvroCodec, type SchemaRegistry } from '@tracehound/avro';
import { classifyError } from '@tracehound/event-model';
import type { EnrichedEvent } from '../domain/intake-event.ts';
import { SchemasMissingError } from '../errors.ts';
import type { EventEncoder } from '../ports.ts';

/** Records a gateway writes. */
export const WRITTEN_RECORDS: readonly EnrichedEvent['name'][] = [
  'tracehound.events.v1.ActivityEvent',
  'tracehound.events.v1.AuthenticationEvent',
  'tracehound.events.v1.AuthorizationEvent',
  'tracehound.events.v1.ComplianceEvent',
  'tracehound.events.v1.ConfigurationEvent',
  'tracehound.events.v1.ExternalEvent',
  'tracehound.events.v1.PerformanceEvent',
  'tracehound.events.v1.SecurityEvent',
  'tracehound.events.v1.SystemEvent',
];

/** Pause between two look-ups of schema ids while the registry is away or has no schemas yet. */
const RETRY_MS = 500;

export type AvroEvents = EventEncoder & {
  /** Looks for the schema ids in the background until all are found; the registry is not needed afterwards. */
  start(): void;
  stop(): void;
  /** Throws the reason in words while ids are missing. */
  prove(): Promise<string>;
};

/** Encoder over the schema registry. Schemas are never registered from here: ids are looked up, or the gateway is not ready. */
export function createAvroEvents(registry: SchemaRegistry): AvroEvents {
  const codec: AvroCodec = createAvroCodec({ registry });
  let missing: string | null = 'schema ids are not looked up yet';
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  async function find(): Promise<void> {
    try {
      await codec.prepare(WRITTEN_RECORDS);
      missing = null;
    } catch (error) {
      const { code } = classifyError(error);
      missing = error instanceof Error ? `${error.message} (${code})` : code;
      if (!stopped) timer = setTimeout(() => void find(), RETRY_MS);
    }
  }

  return {
    encode(name, record) {
      if (missing !== null) throw new SchemasMissingError();
      return codec.encode(name, record);
    },
    start: () => void find(),
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
    async prove() {
      if (missing !== null) throw new Error(missing);
      return `${WRITTEN_RECORDS.length} schema ids found`;
    },
  };
}
