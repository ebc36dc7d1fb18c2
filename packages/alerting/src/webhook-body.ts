import { latenessNote, type Notice } from './notice.ts';

/**
 * Body of a webhook (Standard Webhooks: `type`, `timestamp`, `data`). Types: `alert.opened`, `alert.severity_raised`,
 * `alert.count_tenfold`, `alert.reopened`, `alert.completed` (the details a thin notice promised), `alert.degraded`.
 * Two attempts of one notice differ only by `data.lateness`. `timestamp` is when the alert fired.
 */
export function renderWebhookBody(
  notice: Notice,
  context: { readonly nowMs: number; readonly lateMs?: number },
): string {
  const lateness = latenessNote(notice.fired_at, context.nowMs, context.lateMs);
  const { details, ...head } = notice;
  return JSON.stringify({
    type: `alert.${notice.reason}`,
    timestamp: new Date(notice.fired_at).toISOString(),
    data: {
      ...head,
      ...(details === null ? { details: 'follow' } : { details }),
      ...(lateness === null ? {} : { lateness }),
    },
  });
}
