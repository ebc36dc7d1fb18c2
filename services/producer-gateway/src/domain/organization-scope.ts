import { PLATFORM_ORGANIZATION } from '@tracehound/event-model';
import type { RejectionReason } from '../errors.ts';
import { type KeyScope, ORGANIZATION_ID } from './api-key.ts';

/** Subject organization and the organization the event is counted under (X13). */
export type Placement = { readonly organizationId: string | null; readonly intakeOrg: string };

export type PlacementAnswer =
  | { readonly ok: true; readonly placement: Placement }
  | { readonly ok: false; readonly reason: RejectionReason; readonly detail: string };

/**
 * Whose event this is, by the key's scope: the key of one organization owns the field; a list key must
 * name one of its own; a platform key names any, or none where the catalogue allows it.
 */
export function placeEvent(scope: KeyScope, stated: string | null, nullAllowed: boolean): PlacementAnswer {
  if (stated !== null && !ORGANIZATION_ID.test(stated)) {
    return refuse('invalid_value', 'organization_id has letters, digits, . _ : and -, 128 at most');
  }
  if (stated === PLATFORM_ORGANIZATION) {
    return refuse('invalid_value', 'the organization id platform is reserved; send null instead');
  }
  switch (scope.kind) {
    case 'organization':
      return stated === null || stated === scope.organization
        ? place(scope.organization, scope.organization)
        : refuse('server_owned_field', 'this key belongs to another organization');
    case 'organizations':
      if (stated === null) return refuse('organization_required', 'this key has several organizations: name one');
      return scope.organizations.has(stated)
        ? place(stated, stated)
        : refuse('forbidden_organization', 'this key may not write for that organization');
    case 'platform':
      if (stated !== null) return place(stated, stated);
      return nullAllowed
        ? place(null, PLATFORM_ORGANIZATION)
        : refuse('organization_required', 'events of this type need an organization');
  }
}

function place(organizationId: string | null, intakeOrg: string): PlacementAnswer {
  return { ok: true, placement: { organizationId, intakeOrg } };
}

function refuse(reason: RejectionReason, detail: string): PlacementAnswer {
  return { ok: false, reason, detail };
}
