import { type RoutingTable, routeNotice, severityOf } from '@tracehound/alerting';
import { drop, ok, type Verdict } from '@tracehound/event-model';
import type { Homes } from '../domain/homes.ts';
import type { NewsworthyAlert } from './suppress.ts';

export type RoutedAlert = NewsworthyAlert & { readonly receivers: readonly string[] };

export type RouteReason = 'elsewhere' | 'unrouted';

/**
 * Fifth stop: whom to tell, by organization, severity and audience. Nobody is a decision of the configuration, counted. Where
 * deployments share events, all of them have the alert, and the home of its organization tells.
 */
export function createRouteStage(deps: { readonly routing: RoutingTable; readonly homes: Homes }) {
  return function route(alert: NewsworthyAlert): Verdict<RoutedAlert, RouteReason> {
    if (!deps.homes.isHere(alert.record.organization_id)) return drop('elsewhere');
    const receivers = routeNotice(deps.routing, {
      organization: alert.record.organization_id,
      severity: severityOf(alert.record.rule.level),
      reason: alert.record.kind === 'DEGRADED' ? 'degraded' : alert.reason,
    });
    return receivers.length === 0 ? drop('unrouted') : ok({ ...alert, receivers });
  };
}
