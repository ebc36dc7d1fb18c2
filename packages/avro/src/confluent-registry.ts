import { Agent } from 'node:https';
import { SchemaRegistry as KafkajsRegistry } from '@kafkajs/confluent-schema-registry';
import {
  AvroIncompatibleError,
  AvroRegistryRefusedError,
  AvroRegistryUnavailableError,
  AvroSubjectMissingError,
  AvroUnknownSchemaError,
} from './errors.ts';
import type { CompatibilityAnswer, CompatibilityLevel, SchemaRegistry } from './schema-registry.ts';

export type RegistryOptions = {
  /** `http://host:port` or `https://…`. */
  readonly url: string;
  readonly auth?: { readonly username: string; readonly password: string };
  readonly tls?: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly rejectUnauthorized?: boolean;
  };
  /** Bound of one call in milliseconds; default 5,000. */
  readonly timeoutMs?: number;
  /** Set on a subject before its first version; default FULL_TRANSITIVE. */
  readonly compatibility?: CompatibilityLevel;
};

type Call = (parameters: Readonly<Record<string, unknown>>) => Promise<{ data(): unknown }>;
/** The REST client inside the package. */
type RestClient = {
  readonly Schema: { readonly find: Call };
  readonly Subject: {
    readonly all: Call;
    readonly latestVersion: Call;
    readonly registered: Call;
    readonly register: Call;
    readonly updateConfig: Call;
    readonly compatible: Call;
  };
};

const TIMEOUT_MS = 5_000;

/**
 * Registry over REST, through the client of `@kafkajs/confluent-schema-registry`. Only its REST calls are used: its
 * `decode` rebuilds reader and resolver for every message (290 times slower, measured), its `register` sets the
 * compatibility level only after the first version.
 */
export function createRegistry(options: RegistryOptions): SchemaRegistry {
  const rest = restClient(options);
  const timeout = options.timeoutMs ?? TIMEOUT_MS;
  const compatibility = options.compatibility ?? 'FULL_TRANSITIVE';

  async function call(operation: string, send: Call, parameters: Readonly<Record<string, unknown>>): Promise<unknown> {
    try {
      return (await within(timeout, send({ ...parameters, timeout }))).data();
    } catch (error) {
      const status = statusOf(error);
      if (status >= 500 || PASSING.has(status)) {
        throw new AvroRegistryUnavailableError(operation, status, error);
      }
      throw new AvroRegistryRefusedError(operation, status, error);
    }
  }

  async function listSubjects(): Promise<readonly string[]> {
    const answer = await call('subjects', rest.Subject.all, {});
    if (!Array.isArray(answer)) throw new AvroRegistryUnavailableError('subjects', 200);
    return answer.map(String).sort();
  }

  async function latest(subject: string): ReturnType<SchemaRegistry['latest']> {
    try {
      const answer = await call('latest', rest.Subject.latestVersion, { subject });
      const [id, schema] = [idOf(answer, 'latest'), schemaText(answer, 'latest')];
      const version = Number((answer as { version?: unknown }).version);
      if (!Number.isInteger(version)) throw new AvroRegistryUnavailableError('latest', 200);
      return { id, version, schema };
    } catch (error) {
      if (isStatus(error, 404)) return null;
      throw error;
    }
  }

  async function compatibleWith(subject: string, schema: string, version: number): Promise<CompatibilityAnswer> {
    try {
      const parameters = { subject, version, verbose: true, body: { schema } };
      const answer = await call('checkCompatibility', rest.Subject.compatible, parameters);
      const { is_compatible: compatible, messages } = compatibilityOf(answer);
      return { compatible, messages: Array.isArray(messages) ? messages.map(String) : [] };
    } catch (error) {
      if (isStatus(error, 404)) return { compatible: true, messages: [] };
      throw error;
    }
  }

  return {
    async schemaById(id) {
      try {
        return schemaText(await call('schemaById', rest.Schema.find, { id }), 'schemaById');
      } catch (error) {
        if (!isStatus(error, 404)) throw error;
        // A registry whose own database is away may answer 404 for every id (AxonOps 0.2.1 does), and a believed 404 sends
        // records to the dead letter: it counts only while the registry can list its subjects.
        await listSubjects();
        throw new AvroUnknownSchemaError(id, error);
      }
    },
    async lookup(subject, schema) {
      try {
        return idOf(await call('lookup', rest.Subject.registered, { subject, body: { schema } }), 'lookup');
      } catch (error) {
        if (isStatus(error, 404)) throw new AvroSubjectMissingError(subject, error);
        throw error;
      }
    },
    async register(subject, schema) {
      await call('setCompatibility', rest.Subject.updateConfig, { subject, body: { compatibility } });
      try {
        return idOf(await call('register', rest.Subject.register, { subject, body: { schema } }), 'register');
      } catch (error) {
        if (isStatus(error, 409)) throw new AvroIncompatibleError({ subject }, error);
        throw error;
      }
    },
    async checkCompatibility(subject, schema) {
      const newest = await latest(subject);
      const messages: string[] = [];
      let compatible = true;
      // One version at a time: the package's client has no path for all of them at once. A deleted version answers 404.
      for (let version = 1; version <= (newest?.version ?? 0); version += 1) {
        const answer = await compatibleWith(subject, schema, version);
        compatible &&= answer.compatible;
        messages.push(...answer.messages.map((message) => `version ${version}: ${message}`));
      }
      return { compatible, messages };
    },
    async subjects() {
      return await listSubjects();
    },
    latest,
  };
}

/** The package's client also says 400 when nobody answered; registries refuse our calls with 404, 409 or 422. */
const PASSING: ReadonlySet<number> = new Set([400, 408, 429]);

function restClient(options: RegistryOptions): RestClient {
  const registry = new KafkajsRegistry({
    host: options.url.replace(/\/+$/, ''),
    clientId: 'tracehound',
    // Callers retry with their own backoff; a second layer would hide how long a call takes.
    retry: { retries: 0 },
    ...(options.auth ? { auth: { ...options.auth } } : {}),
    ...(options.url.startsWith('https:') ? { agent: new Agent({ keepAlive: true, ...options.tls }) } : {}),
  });
  // The package keeps its client private and offers no other way to set a level before the first version.
  return (registry as unknown as { readonly api: RestClient }).api;
}

/**
 * The package's client waits for the first byte no longer than its time-out, and for the rest of an answer without
 * end: one that breaks off or drips would never settle.
 */
async function within<T>(timeoutMs: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the answer was not whole in time')), timeoutMs);
  });
  try {
    return await Promise.race([answer, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** 599 = the client failed before any status. */
function statusOf(error: unknown): number {
  const status = (error as { status?: unknown } | null)?.status;
  return typeof status === 'number' ? status : 599;
}

function isStatus(error: unknown, status: number): boolean {
  return error instanceof AvroRegistryRefusedError && error.fields['status'] === status;
}

function schemaText(answer: unknown, operation: string): string {
  const schema = (answer as { schema?: unknown } | null)?.schema;
  if (typeof schema !== 'string') throw new AvroRegistryUnavailableError(operation, 200);
  return schema;
}

function compatibilityOf(answer: unknown): { readonly is_compatible: boolean; readonly messages?: unknown } {
  const { is_compatible: compatible, messages } = (answer ?? {}) as { is_compatible?: unknown; messages?: unknown };
  if (typeof compatible !== 'boolean') throw new AvroRegistryUnavailableError('checkCompatibility', 200);
  return { is_compatible: compatible, messages };
}

function idOf(answer: unknown, operation: string): number {
  const id = (answer as { id?: unknown } | null)?.id;
  if (typeof id !== 'number' || !Number.isInteger(id)) throw new AvroRegistryUnavailableError(operation, 200);
  return id;
}
