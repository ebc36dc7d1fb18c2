import { type RoutingTable, routeNotice, severityOf } from '@tracehound/alerting';
import { drop, ok, type Verdict } from '@tracehound/event-model';
import type { NewsworthyAlert } from './suppress.ts';

export type RoutedAlert = NewsworthyAlert & { readonly receivers: readonly string[] };

export type RouteReason = 'unrouted';

/** Fifth stop: whom to tell, by organization, severity and audience. Nobody is a decision of the configuration, counted. */
export function createRouteStage(deps: { readonly routing: RoutingTable }) {
  return function route(alert: NewsworthyAlert): Verdict<RoutedAlert, RouteReason> {
    const receivers = routeNotice(deps.routing, {
      organization: alert.record.organization_id,
      severity: severityOf(alert.record.rule.level),
      reason: alert.record.kind === 'DEGRADED' ? 'degraded' : alert.reason,
    });
    return receivers.length === 0 ? drop('unrouted') : ok({ ...alert, receivers });
  };
}
