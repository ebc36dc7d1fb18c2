import { isAtLeast, type Severity } from './severity.ts';

/** How notices of one organization go to receivers. Every matching route counts; order does not matter. */
export type Route = {
  readonly receivers: readonly string[];
  /** Default `informational`: everything. */
  readonly severityMin: Severity;
  /** `operator` routes get degraded records; `alert` routes everything else. */
  readonly audience: 'alert' | 'operator';
};

export type RoutingTable = {
  /** For organizations that are not named. */
  readonly defaults: readonly Route[];
  readonly organizations: Readonly<Record<string, readonly Route[]>>;
};

/** Names of the receivers of a notice, sorted and each once; empty when nobody is meant to know. */
export function routeNotice(
  table: RoutingTable,
  notice: { readonly organization: string; readonly severity: Severity; readonly reason: string },
): readonly string[] {
  const audience = notice.reason === 'degraded' ? 'operator' : 'alert';
  const own = Object.hasOwn(table.organizations, notice.organization)
    ? table.organizations[notice.organization]
    : undefined;
  const names = (own ?? table.defaults)
    .filter((route) => route.audience === audience && isAtLeast(notice.severity, route.severityMin))
    .flatMap((route) => route.receivers);
  return [...new Set(names)].sort();
}
