import { TracehoundError } from '@tracehound/event-model';
import { describe, expect, test, vi } from 'vitest';
import { createHealth } from './health.ts';
import { createLogger } from './logger.ts';
import { createMetrics, defineMetrics, verdictCounter } from './metrics.ts';

function captured(): {
  lines: () => Record<string, unknown>[];
  logger: ReturnType<typeof createLogger>;
  raw: string[];
} {
  const raw: string[] = [];
  const logger = createLogger({ service: 'gateway', level: 'debug', write: (line) => raw.push(line) });
  return { raw, logger, lines: () => raw.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe('logger', () => {
  test('writes one JSON line with service, level, message and fields', () => {
    const { logger, lines } = captured();
    logger.child({ stage: 'decode' }).warn('behind', { topic: 't', offset: 9_007_199_254_740_993n });
    expect(lines()[0]).toMatchObject({
      level: 'warn',
      service: 'gateway',
      msg: 'behind',
      stage: 'decode',
      topic: 't',
      offset: '9007199254740993',
    });
  });

  test('redacts secrets and personal data, two levels deep', () => {
    const { logger, raw } = captured();
    logger.info('x', { token: 'hunter2', request: { authorization: 'hunter2', headers: { cookie: 'hunter2' } } });
    logger.child({ password: 'hunter2' }).info('y', { event: { ip: 'hunter2', payload: { a: 'hunter2' } } });
    expect(raw.join()).not.toContain('hunter2');
    expect(raw.join()).toContain('[redacted]');
  });

  test('describes an error by code, category, message, stack and causes, and nothing else of it', () => {
    const { logger, lines, raw } = captured();
    const cause = Object.assign(new Error('connection lost'), { detail: 'hunter2', parameters: ['hunter2'] });
    const error = new TracehoundError('produce failed', {
      code: 'SEC_KAFKA_PRODUCE',
      category: 'network',
      retriable: true,
      cause,
      fields: { offset: 5n },
    });
    logger.error('x', { err: error });
    let syntax: unknown;
    try {
      JSON.parse('{"card": hunter2');
    } catch (caught) {
      syntax = caught;
    }
    logger.error('x', { err: syntax });
    logger.error('x', { err: 'hunter2' });
    expect(raw.join()).not.toContain('hunter2');
    expect(lines()[0]?.['err']).toMatchObject({
      name: 'TracehoundError',
      code: 'SEC_KAFKA_PRODUCE',
      category: 'network',
      message: 'produce failed',
      fields: { offset: '5' },
      cause: { name: 'Error', message: 'connection lost' },
    });
  });
});

describe('metrics', () => {
  test('are declared in one typed list and rendered for Prometheus', async () => {
    const metrics = createMetrics('gateway', { processMetrics: false });
    const defined = defineMetrics(metrics, {
      events: { type: 'counter', name: 'gateway_events_total', help: 'Events.', labels: ['result'] },
      queue: { type: 'gauge', name: 'gateway_queue_events', help: 'Queue.', collect: () => 7 },
      duration: { type: 'histogram', name: 'gateway_request_seconds', help: 'Time.', buckets: [0.1, 1] },
    });
    defined.events.inc({ result: 'accepted' }, 3);
    defined.duration.observe(0.5);
    // @ts-expect-error a label that was not declared does not compile
    expect(() => defined.events.inc({ trace: 'x' })).toThrow();
    const text = await metrics.text();
    expect(text).toContain('gateway_events_total{result="accepted"} 3');
    expect(text).toContain('gateway_queue_events 7');
    expect(text).toContain('gateway_request_seconds_bucket{le="1"} 1');
  });

  test('verdicts add up to what was consumed', async () => {
    const metrics = createMetrics('sink', { processMetrics: false });
    const counter = verdictCounter(metrics);
    counter.consumed(3);
    counter.verdict('decode', 'deadLetter', 'corrupt', 1);
    counter.verdict('copy', 'ok', '', 2);
    const text = await metrics.text();
    expect(text).toContain('sink_records_consumed_total 3');
    expect(text).toContain('sink_verdicts_total{stage="copy",verdict="ok",reason=""} 2');
  });
});

describe('health', () => {
  test('is not ready before the first proof, then keeps fresh in the background', async () => {
    vi.useFakeTimers();
    try {
      let broken = false;
      const changes: string[] = [];
      const health = createHealth({ onChange: (name, ok) => changes.push(`${name}:${ok}`) });
      health.check('kafka', async () => {
        if (broken) throw new Error('no broker answers');
        return 'produced';
      });
      expect(health.ready()).toEqual({
        ok: false,
        status: 'unavailable',
        checks: [{ name: 'kafka', ok: false, detail: 'not checked yet' }],
      });
      health.start();
      await vi.advanceTimersByTimeAsync(0);
      expect(health.ready().checks[0]).toEqual({ name: 'kafka', ok: true, detail: 'produced' });
      broken = true;
      await vi.advanceTimersByTimeAsync(5_000);
      expect(health.ready().checks[0]).toEqual({ name: 'kafka', ok: false, detail: 'no broker answers' });
      expect(health.live().ok).toBe(true);
      broken = false;
      await vi.advanceTimersByTimeAsync(5_000);
      expect(health.ready().ok).toBe(true);
      expect(changes).toEqual(['kafka:true', 'kafka:false', 'kafka:true']);
      health.stop();
      await vi.advanceTimersByTimeAsync(60_000);
      expect(health.ready().checks[0]?.detail).toBe('the check has not answered lately');
    } finally {
      vi.useRealTimers();
    }
  });

  test('a check takes the place of one of the same name, which is asked no more', async () => {
    vi.useFakeTimers();
    try {
      const asked: string[] = [];
      const changes: string[] = [];
      const health = createHealth({ onChange: (name, ok, detail) => changes.push(`${name}:${ok}:${detail}`) });
      const ask = (who: string) => async () => {
        asked.push(who);
        throw new Error(`${who} is away`);
      };
      let answer: (detail: string) => void = () => undefined;
      health.check('kafka', ask('the first')).start();
      await vi.advanceTimersByTimeAsync(0);
      health.check('kafka', () => new Promise<string>((resolve) => (answer = resolve)));
      health.check('kafka', ask('the last'));
      answer('too late');
      await vi.advanceTimersByTimeAsync(5_000);
      expect(asked).toEqual(['the first', 'the last', 'the last']);
      expect(health.ready().checks).toEqual([{ name: 'kafka', ok: false, detail: 'the last is away' }]);
      expect(changes).toEqual([]);
      health.stop();
    } finally {
      vi.useRealTimers();
    }
  });

  test('a check that hangs fails by its time bound', async () => {
    vi.useFakeTimers();
    try {
      const health = createHealth().check('redis', () => new Promise(() => undefined), { timeoutMs: 100 });
      health.start();
      await vi.advanceTimersByTimeAsync(100);
      expect(health.ready().checks[0]?.detail).toBe('no answer within 100 ms');
      health.stop();
    } finally {
      vi.useRealTimers();
    }
  });

  test('states can be set, for draining', () => {
    const health = createHealth();
    health.set('drain', true, '');
    expect(health.ready().ok).toBe(true);
    health.set('drain', false, 'draining');
    expect(health.ready()).toMatchObject({ ok: false, checks: [{ name: 'drain', detail: 'draining' }] });
  });
});
