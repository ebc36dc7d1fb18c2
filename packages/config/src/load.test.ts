import { inspect } from 'node:util';
import { expect, describe as suite, test } from 'vitest';
import { ConfigError } from './config-error.ts';
import { describe, markdown } from './describe.ts';
import {
  boolean,
  bytes,
  duration,
  enumOf,
  type Field,
  integer,
  list,
  optional,
  secretFile,
  string,
  url,
} from './fields.ts';
import { defineConfig, load } from './load.ts';
import { commonConfig, kafkaClientOptions, kafkaConfig, namespaced, postgresConfig, serverConfig } from './shared.ts';

const spec = defineConfig(
  {
    server: serverConfig('GATEWAY'),
    limits: {
      bodyBytesMax: bytes({ key: 'TRACEHOUND_GATEWAY_BODY', default: 1_048_576, min: 1024, about: 'Largest body.' }),
      timeoutMs: duration({ key: 'TRACEHOUND_GATEWAY_TIMEOUT', default: 5000, max: 60_000, about: 'Longest wait.' }),
    },
    mode: enumOf({ key: 'TRACEHOUND_GATEWAY_MODE', default: 'hash', values: ['hash', 'keep'], about: 'Addresses.' }),
    strict: boolean({ key: 'TRACEHOUND_GATEWAY_STRICT', default: true, about: 'Refuse more.' }),
    keys: list({ key: 'TRACEHOUND_GATEWAY_NAMES', default: [], pattern: /^[a-z]+$/, about: 'Names.' }),
    database: url({ key: 'TRACEHOUND_POSTGRES_URL', protocols: ['postgres'], about: 'Database.' }),
    hmac: optional(secretFile({ key: 'TRACEHOUND_GATEWAY_HMAC_FILE', about: 'Key.' })),
  },
  { prefix: 'TRACEHOUND_GATEWAY_' },
);
const required = { TRACEHOUND_POSTGRES_URL: 'postgres://u:hunter2@db/x' };

function problemsOf(env: Record<string, string>, readFile?: (path: string) => string): readonly string[] {
  try {
    load(spec, env, readFile ? { readFile } : {});
  } catch (error) {
    if (error instanceof ConfigError) return error.explain().split('\n');
    throw error;
  }
  return [];
}

suite('load', () => {
  test('gives defaults, typed and deeply frozen', () => {
    const config = load(spec, required);
    expect(config.server).toEqual({ host: '127.0.0.1', internalPort: 0 });
    expect(config.limits).toEqual({ bodyBytesMax: 1_048_576, timeoutMs: 5000 });
    expect(config.mode satisfies 'hash' | 'keep').toBe('hash');
    expect(config.hmac).toBeNull();
    expect(Object.isFrozen(config) && Object.isFrozen(config.limits)).toBe(true);
  });

  test('reads units', () => {
    const config = load(spec, {
      ...required,
      TRACEHOUND_GATEWAY_BODY: '8MiB',
      TRACEHOUND_GATEWAY_TIMEOUT: '1m',
      TRACEHOUND_GATEWAY_STRICT: 'false',
      TRACEHOUND_GATEWAY_NAMES: 'a, b,',
    });
    expect(config.limits).toEqual({ bodyBytesMax: 8_388_608, timeoutMs: 60_000 });
    expect(config.strict).toBe(false);
    expect(config.keys).toEqual(['a', 'b']);
  });

  test('lists every bad key at once with its allowed range', () => {
    const problems = problemsOf({
      TRACEHOUND_GATEWAY_INTERNAL_PORT: '70000',
      TRACEHOUND_GATEWAY_BODY: '12',
      TRACEHOUND_GATEWAY_TIMEOUT: '2m',
      TRACEHOUND_GATEWAY_MODE: 'clear',
      TRACEHOUND_GATEWAY_STRICT: 'yes',
      TRACEHOUND_GATEWAY_NAMES: 'ok,No',
    });
    expect(problems).toEqual([
      'TRACEHOUND_GATEWAY_INTERNAL_PORT: 70000 is out of range (allowed: 0 to 65535)',
      "TRACEHOUND_GATEWAY_BODY: '12' is not a size such as 64KiB or 1MiB (allowed: 1KiB or more)",
      'TRACEHOUND_GATEWAY_TIMEOUT: 2m is out of range (allowed: 1m or less)',
      "TRACEHOUND_GATEWAY_MODE: 'clear' is unknown (allowed: hash, keep)",
      "TRACEHOUND_GATEWAY_STRICT: 'yes' is neither (allowed: true or false)",
      'TRACEHOUND_GATEWAY_NAMES: entry 2 has the wrong form (allowed: a comma list)',
      'TRACEHOUND_POSTGRES_URL: is required and not set (allowed: postgres://…)',
    ]);
  });

  test('never repeats the text of a secret', () => {
    const problems = problemsOf(
      { TRACEHOUND_POSTGRES_URL: 'mysql://u:hunter2@db', TRACEHOUND_GATEWAY_HMAC_FILE: '/x' },
      () => {
        throw new Error('hunter2');
      },
    );
    expect(problems).toHaveLength(2);
    expect(problems.join()).not.toContain('hunter2');
    const config = load(spec, { ...required, TRACEHOUND_GATEWAY_HMAC_FILE: '/x' }, { readFile: () => 'hunter2\n' });
    expect(config.hmac?.reveal()).toBe('hunter2');
    expect(`${config.hmac} ${JSON.stringify(config.hmac)} ${inspect(config.hmac)}`).not.toContain('hunter2');
  });

  test('warns of unknown keys of the prefix only', () => {
    const unknown: string[] = [];
    const env = { ...required, TRACEHOUND_GATEWAY_PROT: '1', TRACEHOUND_OTHER: '1', PATH: '/bin' };
    load(spec, env, { onUnknownKey: (key) => unknown.push(key) });
    expect(unknown).toEqual(['TRACEHOUND_GATEWAY_PROT']);
  });

  test('an empty text counts as not set', () => {
    expect(load(spec, { ...required, TRACEHOUND_GATEWAY_MODE: '' }).mode).toBe('hash');
  });

  test('refuses a key declared twice', () => {
    const port = integer({ key: 'TRACEHOUND_X', default: 1, about: 'x' });
    expect(() => defineConfig({ a: port, b: port })).toThrow('declared twice');
  });
});

suite('describe', () => {
  test('shows each key with default, bounds and sentence', () => {
    const text = describe(spec);
    expect(text).toContain('TRACEHOUND_GATEWAY_BODY');
    expect(text).toContain('size (B, KiB, MiB, GiB); default: 1MiB; allowed: 1KiB or more');
    expect(text).toContain('default: required');
    expect(markdown(spec)).toContain(
      '| `TRACEHOUND_GATEWAY_TIMEOUT` | duration (ms, s, m, h, d) | 5s | 1m or less | Longest wait. |',
    );
  });
});

suite('shared keys', () => {
  const shared = defineConfig({ common: commonConfig, kafka: kafkaConfig, postgres: postgresConfig });

  test('join into Kafka client options', () => {
    const config = load(
      shared,
      {
        ...required,
        TRACEHOUND_KAFKA_BROKERS: 'a:9092,[::1]:9093',
        TRACEHOUND_KAFKA_SASL_MECHANISM: 'plain',
        TRACEHOUND_KAFKA_SASL_USERNAME: 'u',
        TRACEHOUND_KAFKA_SASL_PASSWORD_FILE: '/p',
        TRACEHOUND_KAFKA_TLS_CA_FILE: '/ca',
      },
      { readFile: (path) => `text of ${path}\n` },
    );
    expect(kafkaClientOptions(config.kafka, 'me')).toEqual({
      brokers: ['a:9092', '[::1]:9093'],
      clientId: 'me',
      unpackedBatchBytesMax: 33_554_432,
      tls: { ca: 'text of /ca' },
      sasl: { mechanism: 'plain', username: 'u', password: 'text of /p' },
    });
    expect(kafkaClientOptions({ ...config.kafka, tlsCa: null, saslPassword: null }, 'me')).toEqual({
      brokers: ['a:9092', '[::1]:9093'],
      clientId: 'me',
      unpackedBatchBytesMax: 33_554_432,
    });
  });

  test('refuse a namespace that cannot be a topic prefix', () => {
    expect(() => load(shared, { ...required, TRACEHOUND_KAFKA_BROKERS: 'a:1', TRACEHOUND_NAMESPACE: 'A B' })).toThrow(
      ConfigError,
    );
    expect(namespaced('', 'security.events')).toBe('security.events');
    expect(namespaced('t1', 'security.events')).toBe('t1.security.events');
  });
});

test('a field is typed by its kind', () => {
  const field: Field<string> = string({ key: 'K', default: 'x', about: 'y' });
  expect(field.fallback?.value).toBe('x');
});
