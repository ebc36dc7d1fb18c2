import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Every probe answers within this time: a frozen server counts as not healthy. */
export const PROBE_TIMEOUT_MS = 1_500;

export type Endpoint = { readonly host: string; readonly port: number; readonly tls?: boolean };

/** Sends `request` and gathers bytes until `isComplete`; rejects on a refused, closed or silent connection. */
export function tcpExchange(
  endpoint: Endpoint,
  request: Buffer,
  isComplete: (received: Buffer) => boolean,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const target = { host: endpoint.host, port: endpoint.port };
    const socket: Socket = endpoint.tls ? connectTls({ ...target, servername: endpoint.host }) : connect(target);
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const timer = setTimeout(
      () => finish(() => reject(new Error(`no answer within ${PROBE_TIMEOUT_MS} ms`))),
      PROBE_TIMEOUT_MS,
    );
    socket.once(endpoint.tls ? 'secureConnect' : 'connect', () => socket.write(request));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (isComplete(received)) finish(() => resolve(received));
    });
    socket.once('error', (error) => finish(() => reject(error)));
    socket.once('close', () => finish(() => reject(new Error('the connection was closed'))));
  });
}

/** `host:port` into its parts; IPv6 addresses stand in brackets. */
export function parseHostPort(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}
