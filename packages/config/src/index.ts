/**
 * The environment as one frozen, typed object. Every key is declared once with default, unit, bounds and a sentence;
 * `load` reports *all* bad keys together and never prints a secret; `describe` is the text of `--help`, `markdown`
 * the reference page. It refuses to read files other than those a key names, and knows nothing of any service.
 */
export { ConfigError, type ConfigProblem } from './config-error.ts';
export { describe, markdown } from './describe.ts';
export {
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
  textFile,
  url,
} from './fields.ts';
export { type ConfigOf, type ConfigSpec, defineConfig, type FieldGroup, type LoadOptions, load } from './load.ts';
export { Secret } from './secret.ts';
export {
  commonConfig,
  type KafkaConfigSpec,
  kafkaClientOptions,
  kafkaConfig,
  mirroredSources,
  namespaced,
  postgresConfig,
  redisEdgeConfig,
  redisStateConfig,
  registryConfig,
  type ServerConfigSpec,
  serverConfig,
  type TracingConfigSpec,
  tracingConfig,
} from './shared.ts';
