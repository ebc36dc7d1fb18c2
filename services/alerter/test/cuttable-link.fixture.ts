import { connect, createServer, type Socket } from 'node:net';

export type CuttableLink = {
  /** The same database through the link. */
  readonly url: string;
  /** Breaks every connection and refuses new ones, as a stopped server does. */
  cut(): void;
  /** Takes bytes and passes none on, as a frozen server or a lost route does. */
  freeze(): void;
  restore(): void;
  close(): Promise<void>;
};

/** A wire to the real PostgreSQL that a test can cut without stopping the server that other tests share. */
export async function cuttableLink(databaseUrl: string): Promise<CuttableLink> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let state: 'open' | 'cut' | 'frozen' = 'open';
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    if (state === 'cut') {
      socket.destroy();
      return;
    }
    const upstream = connect(Number(target.port || 5432), target.hostname);
    sockets.add(upstream);
    upstream.on('error', () => socket.destroy()).on('close', () => sockets.delete(upstream));
    socket.on('data', (bytes) => void (state === 'frozen' || upstream.write(bytes)));
    upstream.on('data', (bytes) => void (state === 'frozen' || socket.write(bytes)));
    socket.on('close', () => upstream.destroy());
    upstream.on('close', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the link has no port');
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String(address.port);
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    cut() {
      state = 'cut';
      breakAll();
    },
    freeze() {
      state = 'frozen';
    },
    restore() {
      // What was swallowed while frozen is lost, so those connections cannot go on.
      if (state === 'frozen') breakAll();
      state = 'open';
    },
    close: () =>
      new Promise((resolve) => {
        breakAll();
        server.close(() => resolve());
      }),
  };
}
