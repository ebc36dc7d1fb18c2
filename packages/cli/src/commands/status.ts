import { findStack, type PartStatus, type ServiceStatus, serviceStatuses } from '@tracehound/stack';
import { columns } from '../render/columns.ts';
import type { Terminal } from '../terminal.ts';

export type StatusOptions = {
  /** Folder of the stack, `.tracehound/<name>`. */
  readonly directory: string;
  readonly format?: 'table' | 'json';
  readonly environment?: NodeJS.ProcessEnv;
};

/** Lists every server and service with what it says about itself. Exit code 0 when all are well, else 1. */
export async function runStatus(options: StatusOptions, terminal: Terminal): Promise<number> {
  const stack = await findStack(options);
  const [servers, services] = await Promise.all([stack?.status() ?? [], serviceStatuses(options.directory)]);
  const isWell =
    stack !== null &&
    servers.every(({ state }) => state === 'running') &&
    services.every(({ state }) => state === 'ready');
  if (options.format === 'json') {
    terminal.out(JSON.stringify({ mode: stack?.mode ?? null, well: isWell, servers, services }));
  } else if (stack === null && services.length === 0) {
    terminal.out('no stack here; start one with: tracehound up');
  } else {
    terminal.out(statusTable(servers, services));
  }
  return isWell ? 0 : 1;
}

function statusTable(servers: readonly PartStatus[], services: readonly ServiceStatus[]): string {
  const ofServers = servers.map(({ name, state, pid, address, detail }) => [
    name,
    state,
    `${pid ?? '-'}`,
    address,
    detail,
  ]);
  const ofServices = services.map((service) => [
    service.name,
    service.state,
    `${service.state === 'stopped' ? '-' : service.pid}`,
    [service.internal, service.public].filter((url) => url !== null).join(' '),
    service.detail,
  ]);
  return columns(['NAME', 'STATE', 'PID', 'ADDRESS', 'DETAIL'], [...ofServers, ...ofServices]);
}
