import { isKeyRole, KEY_ROLES } from '@tracehound/event-model';
import { makeApproverKey } from '../deployment/approvals.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

/**
 * `tracehound rules keygen KEY_ID FILE`: a new key, and the entry of its public half for the keys file. Exit code 0.
 * @throws UsageError for a role that no keys file may give, before anything is written: without its role the key of a correlator
 *   would count as an approver's (ADR 17).
 */
export function runRulesKeygen(
  { keyId, file, role }: { readonly keyId: string; readonly file: string; readonly role?: string | undefined },
  { out }: Pick<Terminal, 'out'>,
): number {
  if (role !== undefined && !isKeyRole(role)) {
    throw new UsageError(
      `--role ${role}: there is ${KEY_ROLES.join(', ')}; without a role a key puts rules into force`,
    );
  }
  out(JSON.stringify({ ...makeApproverKey(keyId, file), name: keyId, ...(role === undefined ? {} : { role }) }));
  return 0;
}
