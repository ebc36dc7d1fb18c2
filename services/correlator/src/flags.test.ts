import { ConfigError } from '@tracehound/config';
import { describe, expect, it } from 'vitest';
import { loadCorrelatorConfig, workerCount } from './config.ts';
import { environmentWithFlags } from './flags.ts';

const REQUIRED = {
  TRACEHOUND_KAFKA_BROKERS: 'localhost:9092',
  TRACEHOUND_REGISTRY_URL: 'http://localhost:8081',
  TRACEHOUND_REDIS_STATE_URL: 'redis://localhost:6379',
};

describe('flags of the correlator', () => {
  it.each([['--workers', '3'], ['--workers=3']])('%j wins over the environment', (...argv) => {
    const env = environmentWithFlags({ ...REQUIRED, TRACEHOUND_CORRELATOR_WORKERS: '2' }, argv);
    expect(workerCount(loadCorrelatorConfig(env), 8)).toBe(3);
  });

  it.each([['--worker=3'], ['3'], ['--workers']])('%j is refused with what is allowed', (...argv) => {
    expect(() => environmentWithFlags(REQUIRED, argv)).toThrow(ConfigError);
  });

  it.each([
    [1, 1],
    [2, 1],
    [4, 3],
    [64, 16],
  ])('unasked, %i cores run %i', (cores, count) => {
    expect(workerCount(loadCorrelatorConfig(REQUIRED), cores)).toBe(count);
  });
});
