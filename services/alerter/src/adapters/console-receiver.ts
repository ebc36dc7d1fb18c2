import { countLabel, latenessNote, type Notice } from '@tracehound/alerting';
import type { Receiver } from '../ports.ts';

/** One line per notice on a stream, for people who watch a terminal. Not idempotent: a repeated line is a repeated line. */
export function createConsoleReceiver(options: {
  readonly name: string;
  readonly lateMs: number;
  readonly write: (line: string) => void;
}): Receiver {
  return {
    name: options.name,
    channel: 'console',
    isIdempotent: false,
    concurrencyMax: 1,
    async send({ deliveryId, notice, nowMs }) {
      options.write(`${consoleLine(notice, { deliveryId, nowMs, lateMs: options.lateMs })}\n`);
      return { response: { kind: 'status', status: 200, retryAfterMs: null }, responseSha256: null };
    },
  };
}

/** Control characters of a title or a group value would steer the terminal they are printed on. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

export function consoleLine(
  notice: Notice,
  context: { readonly deliveryId: string; readonly nowMs: number; readonly lateMs: number },
): string {
  const { details } = notice;
  const late = latenessNote(notice.fired_at, context.nowMs, context.lateMs);
  const text = [
    `[${notice.severity.toUpperCase()}]`,
    notice.title,
    notice.reason === 'opened' ? '' : `(${notice.reason.replaceAll('_', ' ')})`,
    details === null ? 'details follow' : `count ${countLabel(details.count)}: ${details.why}`,
    late?.note ?? '',
    notice.link,
    context.deliveryId,
  ];
  return text
    .filter((part) => part !== '')
    .join(' ')
    .replace(CONTROL, ' ');
}
