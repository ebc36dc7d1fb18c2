import { expect, test } from 'vitest';
import { createApp } from './app.ts';
import { describeConfig, loadConfig } from './config.ts';

const ENV = {
  TRACEHOUND_KAFKA_BROKERS: '127.0.0.1:9092',
  TRACEHOUND_REGISTRY_URL: 'http://127.0.0.1:8081',
  TRACEHOUND_POSTGRES_URL: 'postgres://user:hunter2@127.0.0.1:5432/tracehound',
};

test('defaults are those of EXACTNESS and the research', () => {
  expect(loadConfig(ENV)).toMatchObject({
    refetchWaitMs: 2_000,
    lateMs: 300_000,
    host: '127.0.0.1',
    port: 0,
    receivers: null,
    tokens: null,
  });
  expect(loadConfig(ENV).retrySchedule.slice(0, 5)).toEqual(['1000', '5000', '30000', '120000', '600000']);
});

test('help names every key with its sentence, and no secret', () => {
  const help = describeConfig();
  for (const key of ['RECEIVERS_FILE', 'TOKENS_FILE', 'PORT', 'LEASE', 'REFETCH_WAIT'])
    expect(help).toContain(`TRACEHOUND_ALERTER_${key}`);
});

test('a wrong receivers file stops the start with the code of bad configuration', () => {
  const config = { ...loadConfig(ENV), receivers: 'receivers: 3' };
  expect(() => createApp(config)).toThrow(expect.objectContaining({ code: 'SEC_CONFIG_INVALID' }));
});

test('bad keys are all named', () => {
  expect(() => loadConfig({ ...ENV, TRACEHOUND_ALERTER_LEASE: '1', TRACEHOUND_ALERTER_PORT: 'x' })).toThrow(
    expect.objectContaining({ code: 'SEC_CONFIG_INVALID' }),
  );
});
