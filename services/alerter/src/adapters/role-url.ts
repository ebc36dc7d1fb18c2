/**
 * The same database address with `role` as the role of every session: a login that may do more does only what that
 * role may. It travels as a start-up option (`options=-c role=…`), so no statement can come before it.
 */
export function withRole(url: string, role: string): string {
  const address = new URL(url);
  const options = [address.searchParams.get('options'), `-c role=${role}`].filter(Boolean).join(' ');
  address.searchParams.set('options', options);
  return address.href;
}
