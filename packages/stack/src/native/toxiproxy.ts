import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { StackError } from '../errors.ts';
import { cacheDirectory, ensureToxiproxyBinary } from './caches.ts';
import { takeFreePort } from './free-ports.ts';

/** A fault of a connection, in the words of Toxiproxy 2 (github.com/Shopify/toxiproxy, MIT). */
export type Toxic =
  | { readonly type: 'latency'; readonly attributes: { readonly latency: number; readonly jitter: number } }
  | { readonly type: 'bandwidth'; readonly attributes: { readonly rate: number } }
  | { readonly type: 'slicer'; readonly attributes: { readonly average_size: number; readonly delay: number } }
  | { readonly type: 'timeout'; readonly attributes: { readonly timeout: number } }
  | { readonly type: 'reset_peer'; readonly attributes: { readonly timeout: number } }
  | { readonly type: 'limit_data'; readonly attributes: { readonly bytes: number } };

/** A TCP proxy in front of one server. */
export type FaultyLink = {
  /** `127.0.0.1:port` to connect to. */
  readonly address: string;
  /** Adds the fault to both directions until `heal`. Connections stay open unless the fault ends them. */
  disturb(toxic: Toxic): Promise<void>;
  heal(): Promise<void>;
  stop(): Promise<void>;
};

const PATIENCE_MS = 10_000;

/**
 * Starts Toxiproxy (built with Go once) with one proxy to `upstream` (`host:port`), on a free port unless `listen` names one.
 * @throws StackError without Go.
 */
export async function openFaultyLink(
  { upstream, listen }: { readonly upstream: string; readonly listen?: string },
  onProgress: (line: string) => void = () => undefined,
): Promise<FaultyLink> {
  const binary = await ensureToxiproxyBinary(cacheDirectory(process.env), onProgress);
  const taken = new Set<number>();
  const address = listen ?? `127.0.0.1:${await takeFreePort(taken)}`;
  const apiPort = await takeFreePort(taken);
  const child = spawn(binary, ['-host', '127.0.0.1', '-port', String(apiPort)], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const api = `http://127.0.0.1:${apiPort}/proxies`;

  async function call(method: string, path: string, body?: object): Promise<void> {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await fetch(`${api}${path}`, init);
    if (!response.ok)
      throw new StackError('SEC_STACK_SERVER_FAILED', `toxiproxy: ${method} ${path} answered ${response.status}`);
  }

  const toxics: string[] = [];
  async function heal(): Promise<void> {
    for (const name of toxics.splice(0)) await call('DELETE', `/link/toxics/${name}`);
  }

  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      await call('POST', '', { name: 'link', listen: address, upstream, enabled: true });
      break;
    } catch (error) {
      if (Date.now() > deadline || child.exitCode !== null) throw error;
      await delay(50);
    }
  }
  return {
    address,
    heal,
    async disturb(toxic) {
      for (const stream of ['upstream', 'downstream']) {
        const name = `${toxic.type}-${stream}-${toxics.length}`;
        await call('POST', '/link/toxics', { ...toxic, name, stream, toxicity: 1 });
        toxics.push(name);
      }
    },
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
