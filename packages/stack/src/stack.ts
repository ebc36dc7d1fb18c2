import type { StackAddresses } from './addresses.ts';

/** How the servers were found: named by the environment, in Docker, or as processes of this machine. */
export type StackMode = 'env' | 'docker' | 'native';

/** The servers a stack is made of. Three brokers exist only in native stacks opened with `brokers: 3`. */
export type PartName = 'kafka-1' | 'kafka-2' | 'kafka-3' | 'registry' | 'redis-state' | 'redis-edge' | 'postgres';

/** A group of parts one can ask for. */
export type PartKind = 'kafka' | 'registry' | 'redis-state' | 'redis-edge' | 'postgres';

export type Health = { readonly ok: boolean; readonly detail: string };

/** One server, with what fault tests do to it. Signals are real: nothing is simulated. */
export type StackPart = {
  readonly name: PartName;
  /** `host:port`. */
  readonly address: string;
  /** Asks the server itself (a metadata request, PING, a query); answers within 2 s and never throws. */
  health(): Promise<Health>;
  /** Ends the server with `signal` (default SIGKILL) and resolves once it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Freezes the server with all its children: connections stay open and nothing answers. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends it orderly if it runs, starts it on the same port and data, and resolves when it is healthy. */
  restart(): Promise<void>;
};

export type PartState = 'running' | 'unhealthy' | 'stopped';

export type PartStatus = {
  readonly name: PartName;
  readonly state: PartState;
  readonly address: string;
  readonly detail: string;
  /** Process id and log file of a native server. */
  readonly pid: number | null;
  readonly log: string | null;
};

/**
 * A second listener of a broker that names the proxy as its address: clients that begin at `listen` stay behind it (KIP-103).
 * Both are `127.0.0.1:port`.
 */
export type BrokerLink = { readonly listen: string; readonly upstream: string };

/** All servers Tracehound needs, wherever they run. */
export type Stack = {
  readonly mode: StackMode;
  readonly addresses: StackAddresses;
  /** With `brokerLinks`: per broker, where a proxy has to listen and what it leads to. Empty otherwise. */
  readonly brokerLinks: readonly BrokerLink[];
  readonly parts: readonly StackPart[];
  /** The part of this name; throws `StackError` when the stack has none. */
  part(name: PartName): StackPart;
  /** The TRACEHOUND_* address keys for a service or a test. */
  environment(): Record<string, string>;
  status(): Promise<readonly PartStatus[]>;
  /** Ends what this stack manager started; servers named by the environment are left alone. Idempotent. */
  stop(options?: StopOptions): Promise<void>;
};

/** `wipe` deletes the data of the servers too, and then does not wait for an orderly end. */
export type StopOptions = { readonly wipe?: boolean };

/** Variables by kind of server. */
export type PartEnvironment = Partial<Readonly<Record<PartKind, Readonly<Record<string, string>>>>>;

export type StackOptions = {
  /** Folder of this stack: state, logs, pid files and data (`.tracehound/<name>`). */
  readonly directory: string;
  /** `auto` (default): environment, else Docker when an engine answers, else native. */
  readonly mode?: StackMode | 'auto';
  /** Kafka brokers, default 1. Three are native only: fault tests kill one of them. */
  readonly brokers?: 1 | 3;
  /** Give brokers a listener for a proxy before them. Native only; default false. */
  readonly brokerLinks?: boolean;
  /** Give brokers an authorizer: without any ACL of a resource everybody may do everything to it. Native only; default false. */
  readonly kafkaAuthorizer?: boolean;
  /** Added to the environment of the servers of a kind: tests preload a library into them. Native only; not kept for a later open. */
  readonly partEnvironment?: PartEnvironment;
  /** Which servers; default all. The registry brings PostgreSQL along, where it keeps its schemas. */
  readonly kinds?: readonly PartKind[];
  /** Lines for a person: downloads, builds, starts. */
  readonly onProgress?: (line: string) => void;
  /** Default `process.env`; read for addresses, TRACEHOUND_CACHE_DIR and TRACEHOUND_POSTGRES_FLAVOR. */
  readonly environment?: NodeJS.ProcessEnv;
};

export const ALL_KINDS: readonly PartKind[] = ['kafka', 'registry', 'redis-state', 'redis-edge', 'postgres'];

/** The kind a part belongs to. */
export function kindOf(name: PartName): PartKind {
  switch (name) {
    case 'kafka-1':
    case 'kafka-2':
    case 'kafka-3':
      return 'kafka';
    case 'registry':
    case 'redis-state':
    case 'redis-edge':
    case 'postgres':
      return name;
  }
}
