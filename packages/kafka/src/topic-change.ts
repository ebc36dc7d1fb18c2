import type { TopicResult, TopicSpec } from './port.ts';

/** What applying a specification does to a topic that is there; partitions may grow, unless their number is fixed. */
export function changeOf(
  spec: TopicSpec,
  before: { readonly partitions: number; readonly config: ReadonlyMap<string, string | null | undefined> },
): TopicResult {
  const { topic } = spec;
  const settings = Object.entries(spec.config)
    .filter(([setting, after]) => before.config.get(setting) !== after)
    .map(([setting, after]) => ({ setting, before: before.config.get(setting) ?? null, after }));
  const isFewer = spec.partitions > before.partitions;
  const isKept = isFewer && spec.fixedPartitions === true;
  const grown = { setting: 'partitions', before: String(before.partitions), after: String(spec.partitions) };
  const changes = [...settings, ...(isFewer && !isKept ? [grown] : [])];
  if (changes.length === 0) return { topic, action: isKept ? 'kept' : 'unchanged' };
  return { topic, action: 'changed', changes, ...(isKept ? { partitionsKept: true } : {}) };
}
