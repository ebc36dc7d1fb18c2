import type { CorrelatorWorld } from './correlator-world.fixture.ts';

/** Events of other platforms as the gateway writes them: values by field, several where a list is given. */
export async function sendExternal(
  world: CorrelatorWorld,
  organization: string,
  events: readonly { readonly id: string; readonly fields: Readonly<Record<string, string | readonly string[]>> }[],
): Promise<void> {
  const records = events.map(({ id, fields }) => {
    const timeMs = Date.now();
    const value = world.codec.encode('tracehound.events.v1.ExternalEvent', {
      envelope: {
        event_id: id,
        event_type: 'external.event',
        family: 'external',
        category: 'external',
        event_time: timeMs,
        event_time_source: 'OCCURRED',
        received_at: timeMs,
        intake_org: organization,
        cluster_id: 'local',
        source: { platform: 'mesh' },
      },
      log_source: { product: 'mesh', service: null, category: null },
      fields: Object.entries(fields).map(([name, given]) => ({
        name,
        is_list: typeof given !== 'string',
        values: [given].flat().map((text) => ({ type: 'STRING' as const, text })),
      })),
    });
    return { key: `${organization}|${id}`, value };
  });
  for (const result of await world.producer.send(world.topic('security.events'), records)) {
    if (!result.ok) throw result.error;
  }
}
