import { relative } from 'node:path';
import { styleText } from 'node:util';
import type { Deployment } from '../deployment/deployment.ts';
import type { Check } from '../scenario/checks.ts';
import type { PlayResult } from '../scenario/play.ts';
import { renderAlert } from './alert.ts';

export type StoryOptions = { readonly colours: boolean; readonly width: number; readonly alertsMax: number };

type Paint = (style: Parameters<typeof styleText>[0], text: string) => string;

const painter =
  (colours: boolean): Paint =>
  (style, text) =>
    colours ? styleText(style, text, { validateStream: false }) : text;

const WEIGHT: Readonly<Record<string, number>> = { critical: 0, high: 1, medium: 2, low: 3, informational: 4 };

/** What happened in a play, as an analyst would want to read it: the gravest alerts first, then the proof of delivery and audit. */
export function renderStory(play: PlayResult, options: StoryOptions): string {
  const paint = painter(options.colours);
  const lines: string[] = [];
  const views = [...play.views].sort(
    (a, b) => (WEIGHT[a.severity] ?? 9) - (WEIGHT[b.severity] ?? 9) || a.first_at - b.first_at,
  );
  for (const view of views.slice(0, options.alertsMax)) {
    lines.push(renderAlert(view, { colours: options.colours, width: options.width }), '');
  }
  if (views.length > options.alertsMax) lines.push(`  … and ${views.length - options.alertsMax} more alerts`, '');
  const sent = play.deliveries.filter((delivery) => delivery.state === 'sent');
  const afterAck = sent.flatMap((delivery) => (delivery.after_ack_ms === null ? [] : [delivery.after_ack_ms]));
  lines.push(
    `${paint('bold', 'Sent')}       ${play.sent.acknowledged.length} events accepted by the gateway, ${play.sent.refused.length} refused`,
    `${paint('bold', 'Audited')}    ${play.audit.events} event rows, ${play.audit.alertRevisions} alert revisions, ${play.audit.findings} findings, ${play.audit.deliveries} deliveries`,
    `${paint('bold', 'Delivered')}  ${sent.length} notices (${play.notices.length} signed webhooks, ${play.notices.filter((notice) => notice.verified).length} verified)${
      afterAck.length === 0 || play.scenario.closed
        ? ''
        : `, ${Math.min(...afterAck)} to ${Math.max(...afterAck)} ms after acceptance`
    }`,
  );
  return lines.join('\n');
}

export function renderChecks(checks: readonly Check[], colours: boolean): string {
  const paint = painter(colours);
  return checks
    .map(
      (check) =>
        `${check.ok ? paint('green', '✓') : paint('red', '✗')} ${check.name} ${paint('dim', `— ${check.detail}`)}`,
    )
    .join('\n');
}

/** Where everything is, and how to send an own event. */
export function renderNextSteps(deployment: Deployment, colours: boolean): string {
  const paint = painter(colours);
  const here = (file: string): string => relative(process.cwd(), file) || file;
  const urls = [...deployment.services.values()].map(
    (service) => `  ${service.name.padEnd(17)} ${service.internalUrl}/metrics`,
  );
  return [
    paint('bold', 'Where things are'),
    `  events API        ${deployment.gatewayUrl}/v1/events`,
    `  alerts API        ${deployment.alerterUrl}/v1/alerts   (token: ${here(deployment.secrets.alerterTokenFile)})`,
    ...urls,
    '',
    paint('bold', 'Send an event of your own'),
    `  curl -sS ${deployment.gatewayUrl}/v1/events \\`,
    `    -H "authorization: Bearer $(cat ${here(deployment.secrets.apiKeyFile)})" -H 'content-type: application/json' \\`,
    `    -d '{"event_type":"auth.login.failure","organization_id":"acme","actor":{"type":"user","id":"me"},"source":{"platform":"curl"}}'`,
    '',
    paint('bold', 'Go through the log again: does it say what was said?'),
    `  ${namespaceIn(deployment)}./tracehound replay --diff-live`,
  ].join('\n');
}

/** What a command needs to look at the topics of this deployment; nothing for the live default. */
function namespaceIn(deployment: Pick<Deployment, 'topic'>): string {
  const prefix = deployment.topic('').slice(0, -1);
  return prefix === '' ? '' : `TRACEHOUND_NAMESPACE=${prefix} `;
}
