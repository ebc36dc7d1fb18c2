import {
  type ConfigOf,
  type ConfigSpec,
  commonConfig,
  defineConfig,
  describe,
  duration,
  type Field,
  type KafkaConfigSpec,
  kafkaConfig,
  load,
  registryConfig,
  type ServerConfigSpec,
  serverConfig,
} from '@tracehound/config';

type HandlerFields = typeof commonConfig & {
  readonly kafka: KafkaConfigSpec;
  readonly registry: typeof registryConfig;
  readonly server: ServerConfigSpec;
  readonly sessionTimeoutMs: Field<number>;
};

const handlerConfig: ConfigSpec<HandlerFields> = defineConfig(
  {
    ...commonConfig,
    kafka: kafkaConfig,
    registry: registryConfig,
    server: serverConfig('HANDLER'),
    sessionTimeoutMs: duration({
      key: 'TRACEHOUND_HANDLER_SESSION_TIMEOUT',
      default: 30_000,
      min: 6_000,
      max: 300_000,
      about: 'Silence after which the partitions of this process go to others of the same handler.',
    }),
  },
  { prefix: 'TRACEHOUND_HANDLER_' },
);

export type HandlerConfig = ConfigOf<HandlerFields>;

export function loadHandlerConfig(env: Readonly<Record<string, string | undefined>>): HandlerConfig {
  return load(handlerConfig, env);
}

export function describeHandlerConfig(): string {
  return describe(handlerConfig);
}
