import { spawnSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatTraceparent, InvariantError, type SpanContext, type Tracer } from '@tracehound/event-model';
import { type OtlpReceiver, startOtlpReceiver, waitFor } from '@tracehound/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createLogger,
  createMetrics,
  createTracing,
  type Metrics,
  type Tracing,
  type TracingOptions,
} from './index.ts';

const ABOVE: SpanContext = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', sampled: true };

let receiver: OtlpReceiver;
let opened: Tracing[];
beforeEach(async () => {
  receiver = await startOtlpReceiver();
  opened = [];
});
afterEach(async () => {
  for (const tracing of opened) await tracing.stop();
  await receiver.close();
});

type Opened = { readonly tracing: Tracing; readonly tracer: Tracer; readonly metrics: Metrics; readonly log: string[] };

async function open(changes: Partial<TracingOptions> = {}): Promise<Opened> {
  const metrics = createMetrics('test', { processMetrics: false });
  const log: string[] = [];
  const logger = createLogger({ service: 'test', write: (line) => log.push(line) });
  const defaults = { service: 'test', samplePerMillion: 1_000_000, queueSpansMax: 100, timeoutMs: 500 };
  const tracing = createTracing({ ...defaults, endpoint: receiver.url, ...changes }, { metrics, logger });
  opened.push(tracing);
  await tracing.start();
  return { tracing, tracer: tracing.tracer, metrics, log };
}

const request = (tracer: Tracer, parent: SpanContext | null = null): Promise<SpanContext | null> =>
  tracer.span({ name: 'request', kind: 'server', parent }, async (span) => span?.context ?? null);

async function counted(metrics: Metrics, outcome: string): Promise<number> {
  const line = (await metrics.text()).split('\n').find((text) => text.includes(`outcome="${outcome}"`));
  return Number(line?.split(' ').at(-1) ?? 0);
}

describe('tracing that is on', () => {
  it('exports parents, links and attributes', async () => {
    const { tracing, tracer } = await open();
    await tracer.span({ name: 'outer', kind: 'server', parent: ABOVE }, async () => {
      await tracer.span({ name: 'inner', kind: 'producer', attributes: { n: 'v' } }, async () => undefined);
    });
    await tracer.span({ name: 'batch', kind: 'consumer', links: [ABOVE] }, async () => undefined);
    await tracing.stop();
    const [inner, outer, batch] = receiver.spans;
    expect(outer).toMatchObject({ service: 'test', traceId: ABOVE.traceId, parentSpanId: ABOVE.spanId });
    expect(inner).toMatchObject({ traceId: ABOVE.traceId, parentSpanId: outer?.spanId, attributes: { n: 'v' } });
    expect(batch?.traceId).not.toBe(ABOVE.traceId);
    expect(batch?.links).toEqual([{ traceId: ABOVE.traceId, spanId: ABOVE.spanId }]);
  });

  it('keeps of an error its code and nothing else, and lets it through', async () => {
    const { tracing, tracer } = await open();
    const failing = tracer.span({ name: 'fails', kind: 'server' }, async () => {
      throw new InvariantError('message with user-4711');
    });
    await expect(failing).rejects.toThrow(InvariantError);
    await tracing.stop();
    expect(receiver.spans[0]?.attributes['error.type']).toMatch(/^SEC_/);
    expect(JSON.stringify(receiver.spans)).not.toContain('user-4711');
  });

  it('begins a trace at requests only', async () => {
    const { tracer } = await open();
    for (const kind of ['consumer', 'producer', 'internal'] as const) {
      expect(await tracer.span({ name: 'alone', kind }, async (span) => span)).toBeNull();
    }
    expect(await request(tracer)).not.toBeNull();
  });

  it('samples by ratio, not by the flag of a client', async () => {
    const none = await open({ samplePerMillion: 0 });
    expect(await request(none.tracer, ABOVE)).toBeNull();
    const all = await open();
    expect(await request(all.tracer, { ...ABOVE, sampled: false })).not.toBeNull();
  });

  it('leaves no span current in work that is not sampled or has ended', async () => {
    const { tracer } = await open({ samplePerMillion: 0 });
    expect(await tracer.span({ name: 'r', kind: 'server' }, async () => tracer.current())).toBeNull();
    expect(await tracer.within(ABOVE, async () => tracer.current())).toEqual(ABOVE);
    expect(tracer.current()).toBeNull();
  });

  it('gives work that outlives its span no span', async () => {
    const { tracer } = await open();
    let wake: () => void = () => undefined;
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const left: Promise<SpanContext | null>[] = [];
    await tracer.span({ name: 'r', kind: 'server' }, async () => {
      expect(tracer.current()).not.toBeNull();
      left.push(woken.then(() => tracer.span({ name: 'later', kind: 'producer' }, async () => tracer.current())));
    });
    wake();
    expect(await Promise.all(left)).toEqual([null]);
  });

  it('counts headers that say nothing valid', async () => {
    const { tracer, metrics } = await open();
    expect(tracer.read(undefined)).toBeNull();
    expect(tracer.read(Buffer.from(formatTraceparent(ABOVE)))).toEqual(ABOVE);
    for (const bad of ['', 'nonsense', Buffer.from([0xff]), 'x'.repeat(100_000)]) expect(tracer.read(bad)).toBeNull();
    expect(await metrics.text()).toContain('test_traceparent_invalid_total 4');
  });
});

describe('a receiver in trouble', () => {
  it('that refuses costs spans and one warning per change', async () => {
    const { tracer, metrics, log } = await open();
    receiver.answer(400);
    for (const failed of [1, 2]) {
      await request(tracer);
      await waitFor(async () => (await counted(metrics, 'failed')) === failed, { what: `${failed} failed spans` });
    }
    receiver.answer(200);
    await request(tracer);
    await waitFor(async () => (await counted(metrics, 'exported')) === 1, { what: 'an exported span' });
    expect(log.filter((line) => line.includes('cannot be exported'))).toHaveLength(1);
    expect(log.filter((line) => line.includes('exported again'))).toHaveLength(1);
  });

  it('that never answers holds no more than the queue, and not the end of the process', async () => {
    const silent = await listening(createServer(() => undefined));
    try {
      const { tracing, tracer, metrics } = await open({ endpoint: silent.url, queueSpansMax: 5 });
      for (let n = 0; n < 20; n++) expect(await request(tracer)).not.toBeNull();
      expect(await counted(metrics, 'dropped')).toBe(15);
      const began = performance.now();
      await tracing.stop();
      expect(performance.now() - began).toBeLessThan(5_000);
      expect(await request(tracer), 'after the end').toBeNull();
    } finally {
      silent.server.closeAllConnections();
      silent.server.close();
    }
  });
});

describe('tracing that is off', () => {
  it('declares no metric and is the tracer that does nothing', async () => {
    const { tracer, metrics } = await open({ endpoint: null });
    expect(tracer.enabled).toBe(false);
    expect(await metrics.text()).not.toContain('spans');
  });

  it.each([
    [null, 0],
    ['http://127.0.0.1:9/v1/traces', 1],
  ])('loads the library only with an endpoint: %s', (endpoint, loaded) => {
    const code = `
      import { registerHooks } from 'node:module';
      let sdk = 0;
      registerHooks({ load: (url, context, next) => { if (url.includes('/sdk-trace/')) sdk = 1; return next(url, context); } });
      const { createLogger, createMetrics, createTracing } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
      const options = { service: 't', endpoint: ${JSON.stringify(endpoint)}, samplePerMillion: 0, queueSpansMax: 1, timeoutMs: 100 };
      const tracing = createTracing(options, { metrics: createMetrics('t'), logger: createLogger({ service: 't' }) });
      await tracing.start();
      await tracing.stop();
      process.stdout.write(String(sdk));
      process.exit(0);`;
    const args = ['--conditions=@tracehound/source', '--input-type=module', '-e', code];
    const run = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(run.stdout, run.stderr).toBe(String(loaded));
  });
});

async function listening(server: Server): Promise<{ readonly server: Server; readonly url: string }> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces` };
}
