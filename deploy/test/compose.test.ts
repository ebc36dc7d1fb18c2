import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMPOSE_SERVICES, composeVariables } from '@tracehound/stack';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from './declared-metrics.ts';
import { hasTool, runTool } from './tool-or-install.ts';

type Service = {
  image?: string;
  build?: { context?: string; dockerfile?: string };
  ports?: string[];
  volumes?: string[];
  command?: string[];
  healthcheck?: unknown;
  environment?: Record<string, string>;
  read_only?: boolean;
  cap_drop?: string[];
};

const SERVERS = ['kafka', 'registry', 'redis-state', 'redis-edge', 'postgres'];
const APPS = ['producer-gateway', 'correlator', 'sink-audit', 'alerter'];

const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
const services = (parse(text, { merge: true }) as { services: Record<string, Service> }).services;
const entries = Object.entries(services);

const hasCompose = hasTool('docker-compose', '--version', 'docker-compose');
const name = hasCompose ? 'docker-compose config' : 'docker-compose config (missing: Debian package docker-compose)';

describe.skipIf(!hasCompose)(name, () => {
  it('reads the file and lists everything that belongs to the whole', async () => {
    const result = await runTool('docker-compose', ['-f', 'docker-compose.yml', 'config', '--services'], ROOT);
    expect(result, result.output).toMatchObject({ code: 0 });
    expect(result.output.trim().split('\n').sort()).toEqual(
      [...SERVERS, ...APPS, 'prepare', 'prometheus', 'grafana'].sort(),
    );
  });

  it('refuses the file once a service depends on one that is not there', async () => {
    const broken = JSON.stringify({ services: { a: { image: 'a:1', depends_on: ['missing'] } } });
    const { writeFile, mkdtemp, rm } = await import('node:fs/promises');
    const { tmpdir } = await import('node:os');
    const folder = await mkdtemp(join(tmpdir(), 'compose-'));
    await writeFile(join(folder, 'broken.yml'), broken);
    const result = await runTool('docker-compose', ['-f', 'broken.yml', 'config'], folder);
    await rm(folder, { recursive: true });
    expect(result.code).not.toBe(0);
  });
});

describe('docker-compose.yml', () => {
  it.each(entries)('pins the image of %s to a version', (_name, service) => {
    if (service.build !== undefined) return expect(service.image).toMatch(/^tracehound/);
    expect(service.image).toMatch(/:v?\d+\.\d+(\.\d+)?[\w.-]*$/);
  });

  it.each(entries)('publishes %s on loopback only', (_name, service) => {
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it.each(entries)('mounts for %s only what is there', (_name, service) => {
    for (const volume of service.volumes ?? []) {
      const [source = ''] = volume.split(':');
      if (source.startsWith('./')) expect(existsSync(join(ROOT, source)), source).toBe(true);
    }
    if (service.build?.context !== undefined) {
      const dockerfile = service.build.dockerfile ?? 'Dockerfile';
      expect(existsSync(join(ROOT, service.build.context, dockerfile))).toBe(true);
    }
  });

  it.each(SERVERS)('checks the health of %s and shares its settings with the native stack', (server) => {
    expect(services[server]?.healthcheck).toBeDefined();
    if (server === 'registry') return;
    const shared = (services[server]?.volumes ?? []).filter((volume) => volume.startsWith('./deploy/servers/'));
    expect(shared).toHaveLength(1);
  });

  it.each(APPS)('runs %s without root rights, on an image that is built from this tree', (app) => {
    const service = services[app];
    const flags = app === 'correlator' ? ['--max-semi-space-size=64'] : [];
    expect(service?.command).toEqual(['node', ...flags, `services/${app}/dist/main.js`]);
    expect(existsSync(join(ROOT, 'services', app, 'src', 'main.ts'))).toBe(true);
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
    expect(service?.healthcheck).toBeDefined();
  });

  it('takes exactly the variables the Docker stack sets', () => {
    const state = { ports: {}, postgresPassword: 'x' };
    for (const variable of Object.keys(composeVariables(state))) expect(text).toContain(`\${${variable}:-`);
    for (const service of Object.values(COMPOSE_SERVICES)) expect(services).toHaveProperty([service]);
  });

  it('scrapes the services where they listen', () => {
    const prometheus = parse(readFileSync(join(ROOT, 'deploy/prometheus/prometheus.yml'), 'utf8')) as {
      scrape_configs: { static_configs: { targets: string[]; labels: { service: string } }[] }[];
    };
    const targets = prometheus.scrape_configs.flatMap(({ static_configs }) => static_configs);
    expect(targets.map(({ labels }) => labels.service)).toEqual(APPS);
    for (const { targets: addresses, labels } of targets) {
      const internal = Object.entries(services[labels.service]?.environment ?? {}).find(([key]) =>
        key.endsWith('_INTERNAL_PORT'),
      );
      expect(addresses).toEqual([`${labels.service}:${internal?.[1]}`]);
    }
  });
});

describe('Dockerfile', () => {
  it('ends as a user without root rights', () => {
    for (const file of ['deploy/docker/Dockerfile', 'deploy/registry/Dockerfile']) {
      const users = [...readFileSync(join(ROOT, file), 'utf8').matchAll(/^USER (\w+)/gm)].map(([, user]) => user);
      expect(users.at(-1), file).toMatch(/^(node|registry)$/);
    }
  });

  it('runs the Node.js version the project is pinned to', () => {
    const engines = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } };
    const pinned = engines.engines.node.replace('>=', '');
    const images = [...readFileSync(join(ROOT, 'deploy/docker/Dockerfile'), 'utf8').matchAll(/^FROM node:([\d.]+)/gm)];
    expect(images.map(([, version]) => version)).toEqual([pinned, pinned]);
  });
});
