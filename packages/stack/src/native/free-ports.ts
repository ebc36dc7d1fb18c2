import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below 32768, where Linux starts handing out ports to outgoing connections: a client that keeps trying to reach a
 * killed server on an ephemeral port can connect to itself and so take the port away from the server for good.
 */
const LOWEST_PORT = 20_000;
const HIGHEST_PORT = 32_000;

/** A port of 127.0.0.1 that nobody listens on and that is not in `taken`; adds it there. */
export async function takeFreePort(taken: Set<number>): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT);
    if (taken.has(port) || !(await isPortFree(port))) continue;
    taken.add(port);
    return port;
  }
  throw new Error(`no free port between ${LOWEST_PORT} and ${HIGHEST_PORT} in 200 attempts`);
}

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
