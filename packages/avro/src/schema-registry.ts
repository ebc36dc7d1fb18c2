/** Compatibility levels this project uses: everything is FULL_TRANSITIVE; tests show what NONE would let pass. */
export type CompatibilityLevel = 'FULL_TRANSITIVE' | 'NONE';

/** A dry run's answer; `messages` are the registry's own words. */
export type CompatibilityAnswer = { readonly compatible: boolean; readonly messages: readonly string[] };

/**
 * What we ask of a Confluent-compatible registry. Schemas travel as JSON text. Two adapters share one contract suite:
 * `createRegistry` over REST and `createMemoryRegistry` for unit tests.
 */
export type SchemaRegistry = {
  /** Schema of a wire id. Rejects with `AvroUnknownSchemaError` (404) or `AvroRegistryUnavailableError`. */
  schemaById(id: number): Promise<string>;
  /** Wire id of exactly this schema under its subject. Rejects with `AvroSubjectMissingError` when it has none. */
  lookup(subject: string, schema: string): Promise<number>;
  /**
   * Sets the subject's level first, so that no version is ever judged by another one, then registers. Idempotent: an
   * equal schema gives its old id. Rejects with `AvroIncompatibleError` (409).
   */
  register(subject: string, schema: string): Promise<number>;
  /** Would `register` accept this schema? Compares with every version of the subject; true for a new subject. */
  checkCompatibility(subject: string, schema: string): Promise<CompatibilityAnswer>;
  subjects(): Promise<readonly string[]>;
  /** Highest version of a subject, null when it has none. */
  latest(subject: string): Promise<{ readonly id: number; readonly version: number; readonly schema: string } | null>;
};
