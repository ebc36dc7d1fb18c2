/** Where the servers of one stack listen. */
export type StackAddresses = {
  /** `host:port` of every broker. */
  readonly kafkaBrokers: readonly string[];
  readonly registryUrl: string;
  /** Redis of role *state*: noeviction, append-only file. */
  readonly redisStateUrl: string;
  /** Redis of role *edge*: bounded memory, volatile-ttl; may lose everything. */
  readonly redisEdgeUrl: string;
  /** A PostgreSQL user that may create databases; the URL names the database `tracehound`. */
  readonly postgresUrl: string;
};

/** The environment keys of the addresses, as every service reads them. */
export const ADDRESS_KEYS: Readonly<Record<keyof StackAddresses, string>> = {
  kafkaBrokers: 'TRACEHOUND_KAFKA_BROKERS',
  registryUrl: 'TRACEHOUND_REGISTRY_URL',
  redisStateUrl: 'TRACEHOUND_REDIS_STATE_URL',
  redisEdgeUrl: 'TRACEHOUND_REDIS_EDGE_URL',
  postgresUrl: 'TRACEHOUND_POSTGRES_URL',
};

/** The environment that points a service at these servers. */
export function environmentOf(addresses: StackAddresses): Record<string, string> {
  return {
    [ADDRESS_KEYS.kafkaBrokers]: addresses.kafkaBrokers.join(','),
    [ADDRESS_KEYS.registryUrl]: addresses.registryUrl,
    [ADDRESS_KEYS.redisStateUrl]: addresses.redisStateUrl,
    [ADDRESS_KEYS.redisEdgeUrl]: addresses.redisEdgeUrl,
    [ADDRESS_KEYS.postgresUrl]: addresses.postgresUrl,
  };
}

/** The address keys that are not set. Empty when the environment names a whole stack. */
export function missingAddressKeys(environment: NodeJS.ProcessEnv): readonly string[] {
  return Object.values(ADDRESS_KEYS).filter((key) => (environment[key] ?? '').trim() === '');
}

/** The stack named by the environment, or null when at least one address is missing. */
export function addressesFromEnvironment(environment: NodeJS.ProcessEnv): StackAddresses | null {
  if (missingAddressKeys(environment).length > 0) return null;
  const read = (key: string): string => (environment[key] ?? '').trim();
  return {
    kafkaBrokers: read(ADDRESS_KEYS.kafkaBrokers)
      .split(',')
      .map((broker) => broker.trim())
      .filter((broker) => broker !== ''),
    registryUrl: read(ADDRESS_KEYS.registryUrl),
    redisStateUrl: read(ADDRESS_KEYS.redisStateUrl),
    redisEdgeUrl: read(ADDRESS_KEYS.redisEdgeUrl),
    postgresUrl: read(ADDRESS_KEYS.postgresUrl),
  };
}
