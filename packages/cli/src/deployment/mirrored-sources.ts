import { defineConfig, load, mirroredSources } from '@tracehound/config';

const spec = defineConfig({ mirroredSources });

/**
 * As the services read it: TRACEHOUND_MIRRORED_SOURCES. Undefined when nobody says; set but empty, there are none.
 * @throws ConfigError for a name that mirrors no intake topic.
 */
export function mirroredFromEnvironment(env: NodeJS.ProcessEnv = process.env): readonly string[] | undefined {
  return env[mirroredSources.key] === undefined ? undefined : load(spec, env).mirroredSources;
}
