import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the ephemeral range of Linux (32768 on), so that no outgoing connection takes the port of a service while it is
 * started again, and apart from the servers of the local stack (20000 to 32000).
 */
const PORTS = { from: 10_000, to: 19_999 } as const;
const TRIES_MAX = 200;

const taken = new Set<number>();

/** A loopback port nobody listens on, given out once per process. Services keep theirs over restarts: URLs stay. */
export async function freePort(): Promise<number> {
  for (let i = 0; i < TRIES_MAX; i++) {
    const port = randomInt(PORTS.from, PORTS.to + 1);
    if (taken.has(port) || !(await canListen(port))) continue;
    taken.add(port);
    return port;
  }
  throw new Error(`no free port between ${PORTS.from} and ${PORTS.to}`);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}
