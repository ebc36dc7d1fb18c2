import { TracehoundError } from '@tracehound/event-model';

/** Which cluster tells people about the alerts of an organization. */
export type Homes = {
  /** Whether that is this deployment. */
  isHere(organization: string): boolean;
};

/** Stands for organizations that are not named. */
const OTHERS = '*';

/**
 * Entries `<organization>=<cluster id>`, and `*=<cluster id>` for all others. An organization that no entry covers is told of here:
 * a deployment that stands alone needs none. Deployments that share events must all have the same entries, or an alert is told of
 * twice, or by nobody.
 * @throws TracehoundError `SEC_ALERTER_HOMES_INVALID` for an organization that has two homes.
 */
export function createHomes(entries: readonly string[], clusterId: string): Homes {
  const homes = new Map<string, string>();
  for (const entry of entries) {
    // A cluster id has no `=`, an organization may.
    const at = entry.lastIndexOf('=');
    const organization = entry.slice(0, at);
    if (homes.has(organization)) {
      throw new TracehoundError(`TRACEHOUND_ALERTER_HOMES: '${organization}' is named twice; leave one entry`, {
        code: 'SEC_ALERTER_HOMES_INVALID',
        category: 'invalid_input',
        retriable: false,
      });
    }
    homes.set(organization, entry.slice(at + 1));
  }
  return { isHere: (organization) => (homes.get(organization) ?? homes.get(OTHERS) ?? clusterId) === clusterId };
}
