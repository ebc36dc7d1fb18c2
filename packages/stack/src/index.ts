/**
 * Finds or starts the servers Tracehound stands on (Kafka, the schema registry, Redis twice, PostgreSQL): named by
 * the environment, in Docker, or as native processes on loopback under `.tracehound/`. All of them are the real
 * thing; this package holds no fake and no client library beyond what a health check needs. It refuses to run
 * anything for production: no passwords on Redis and Kafka, everything listens on 127.0.0.1.
 */
export {
  ADDRESS_KEYS,
  addressesFromEnvironment,
  environmentOf,
  missingAddressKeys,
  type StackAddresses,
} from './addresses.ts';
export { COMPOSE_SERVICES, composeAddresses, composeVariables, isDockerAvailable } from './docker-stack.ts';
export { StackError } from './errors.ts';
export { type MirrorMaker, startMirrorMaker } from './native/mirror-maker.ts';
export { dataFolder } from './native/native-stack.ts';
export {
  checkPrerequisites,
  type PostgresFlavor,
  type Prerequisite,
  type PrerequisiteScope,
  postgresFlavor,
} from './native/prerequisites.ts';
export { identifyProcess, isAlive, type ProcessIdentity, processTree } from './native/process-identity.ts';
export { type FaultyLink, openFaultyLink, type Toxic } from './native/toxiproxy.ts';
export { findStack, openStack } from './open-stack.ts';
export { partHealth } from './probes/health-checks.ts';
export { activeController, describeKafka, type KafkaCluster } from './probes/kafka-probe.ts';
export { postgresVersion } from './probes/postgres-probe.ts';
export { redisConfig } from './probes/redis-probe.ts';
export { registryCompatibility, settleRegistry } from './probes/registry-probe.ts';
export { repositoryRoot } from './repository-root.ts';
export {
  registerService,
  type ServiceEntry,
  type ServiceStatus,
  SUPERVISOR,
  serviceStatuses,
  stopServices,
  unregisterService,
} from './services.ts';
export {
  ALL_KINDS,
  type Health,
  kindOf,
  type PartKind,
  type PartName,
  type PartState,
  type PartStatus,
  type Stack,
  type StackMode,
  type StackOptions,
  type StackPart,
  type StopOptions,
} from './stack.ts';
