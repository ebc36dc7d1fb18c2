import { TracehoundError } from './errors.ts';
import { INTAKE_TOPICS, mirroredIntakeTopic, namespacedTopic } from './topics.ts';

/**
 * All topics of a deployment that carry events, as they are named in the cluster: its own, then those that mirror topics of other
 * deployments, as they were given.
 * @throws TracehoundError `SEC_MIRRORED_SOURCE_INVALID` for a name that is no `<alias>.<intake topic>`, and for one of our own.
 */
export function intakeTopicNames(namespace: string, mirrored: readonly string[]): readonly string[] {
  const own: readonly string[] = INTAKE_TOPICS.map((name) => namespacedTopic(namespace, name));
  for (const topic of mirrored) {
    if (own.includes(topic)) throw invalidMirror(topic, 'is an intake topic of this deployment itself');
    if (mirroredIntakeTopic(topic) === null)
      throw invalidMirror(topic, `must end with .${INTAKE_TOPICS.join(' or .')}`);
  }
  return [...own, ...new Set(mirrored)];
}

/**
 * Of two deployments that mirror each other an event is told apart by the cluster it was made on, so every one needs a name of
 * its own. No effect without mirrored topics.
 * @throws TracehoundError `SEC_MIRRORED_SOURCE_INVALID` for the default name, and for the alias of a mirrored topic.
 */
export function checkMirroredSources(
  namespace: string,
  { mirrored, clusterId }: { readonly mirrored: readonly string[]; readonly clusterId: string },
): void {
  intakeTopicNames(namespace, mirrored);
  if (mirrored.length === 0) return;
  if (clusterId === 'local') {
    throw new TracehoundError(
      'mirrored sources need TRACEHOUND_CLUSTER_ID: set a name that no other deployment has',
      INVALID,
    );
  }
  for (const topic of mirrored) {
    if (topic.startsWith(`${clusterId}.`)) throw invalidMirror(topic, 'is a mirror of this cluster itself');
  }
}

const INVALID = { code: 'SEC_MIRRORED_SOURCE_INVALID', category: 'invalid_input', retriable: false } as const;

function invalidMirror(topic: string, why: string): TracehoundError {
  return new TracehoundError(`TRACEHOUND_MIRRORED_SOURCES: '${topic}' ${why}`, { ...INVALID, fields: { topic } });
}
