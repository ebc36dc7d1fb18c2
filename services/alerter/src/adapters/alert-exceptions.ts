import type { AlertException } from '@tracehound/alerting';
import type { AvroCodec } from '@tracehound/avro';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import { exceptionJson, exceptionsBehind, loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import type { StoredAlertView } from '../ports.ts';

/** Filters and overrides behind the rule of an alert; null when its rule set cannot be read now, or is no longer there. */
export type AlertExceptions = (
  alert: Pick<StoredAlertView, 'organization_id' | 'rule'>,
) => Promise<readonly AlertException[] | null>;

export type AlertExceptionsDeps = {
  readonly kafka: Pick<KafkaClient, 'read'>;
  readonly admin: Pick<KafkaAdmin, 'offsets'>;
  readonly codec: Pick<AvroCodec, 'decode'>;
  /** `detection.rules` with its namespace. */
  readonly topic: string;
  /** How long somebody who looks at an alert waits for the brokers, ms; what is read later is there for the next look. */
  readonly waitMs: number;
  readonly onError: (error: unknown) => void;
};

/** Sets in memory: those of the alerts that people look at, which are mostly of the latest ones. */
const SETS_MAX = 4;

/**
 * Looked up when an alert is shown, in the very set its record names (X7): the same answer as `rules explain --alert`. Not part of
 * notices, which must not wait for another topic; their link leads here. A set is read and compiled once.
 */
export function createAlertExceptions(deps: AlertExceptionsDeps): AlertExceptions {
  const sets = new Map<string, Promise<RuleSetCompiled | null>>();

  function ruleSet(rulesetId: string): Promise<RuleSetCompiled | null> {
    const known = sets.get(rulesetId);
    // To the end of the order: the set that goes is the one nobody has asked for longest.
    sets.delete(rulesetId);
    const read = known ?? readOrForget(rulesetId);
    sets.set(rulesetId, read);
    const oldest = sets.size > SETS_MAX ? sets.keys().next().value : undefined;
    if (oldest !== undefined) sets.delete(oldest);
    return read;
  }

  /** What was not found is asked for again the next time. */
  async function readOrForget(rulesetId: string): Promise<RuleSetCompiled | null> {
    try {
      const found = await readSet(rulesetId);
      if (found === null) sets.delete(rulesetId);
      return found;
    } catch (error) {
      sets.delete(rulesetId);
      deps.onError(error);
      return null;
    }
  }

  async function readSet(rulesetId: string): Promise<RuleSetCompiled | null> {
    const { topic } = deps;
    for (const { partition, low, high } of await deps.admin.offsets(topic)) {
      if (low >= high) continue;
      for await (const { key, value } of deps.kafka.read({ topic, partition }, { from: low, until: high })) {
        // The key is the id: sets of others, up to 16 MB each, are not decoded.
        if (value === null || key?.toString() !== rulesetId) continue;
        const decoded = await deps.codec.decode(value);
        if (decoded.name === 'tracehound.pipeline.v1.RuleSet') return loadRuleSet(decoded.value.files);
      }
    }
    return null;
  }

  return async ({ organization_id: organization, rule }) => {
    const set = await within(deps.waitMs, ruleSet(rule.ruleset_id));
    return set && exceptionsBehind(set, { ruleId: rule.id, organization }).map(exceptionJson);
  };
}

async function within<T>(ms: number, work: Promise<T | null>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, ms, null);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
