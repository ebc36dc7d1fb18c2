import { fullTransitiveProblems } from './compatibility.ts';
import { AvroIncompatibleError, AvroSubjectMissingError, AvroUnknownSchemaError } from './errors.ts';
import type { SchemaRegistry } from './schema-registry.ts';

/** A registry in this process, for unit tests: same contract suite as the REST adapter, ids from 1. */
export function createMemoryRegistry(): SchemaRegistry {
  const byId = new Map<number, string>();
  const idByText = new Map<string, number>();
  const versions = new Map<string, string[]>();

  /** Spacing and key order of the text do not make another schema. */
  function canonical(schema: string): string {
    return JSON.stringify(JSON.parse(schema));
  }

  function problems(subject: string, schema: string): readonly string[] {
    return fullTransitiveProblems(
      JSON.parse(schema),
      (versions.get(subject) ?? []).map((text) => JSON.parse(text)),
    );
  }

  return {
    async schemaById(id) {
      const schema = byId.get(id);
      if (schema === undefined) throw new AvroUnknownSchemaError(id);
      return schema;
    },
    async lookup(subject, schema) {
      const text = canonical(schema);
      const id = idByText.get(text);
      if (id === undefined || !versions.get(subject)?.includes(text)) throw new AvroSubjectMissingError(subject);
      return id;
    },
    async register(subject, schema) {
      const text = canonical(schema);
      const known = versions.get(subject) ?? [];
      if (!known.includes(text)) {
        if (problems(subject, text).length > 0) throw new AvroIncompatibleError({ subject });
        versions.set(subject, [...known, text]);
      }
      const id = idByText.get(text) ?? idByText.size + 1;
      idByText.set(text, id);
      byId.set(id, text);
      return id;
    },
    async checkCompatibility(subject, schema) {
      const messages = problems(subject, schema);
      return { compatible: messages.length === 0, messages };
    },
    async subjects() {
      return [...versions.keys()].sort();
    },
    async latest(subject) {
      const known = versions.get(subject);
      const schema = known?.at(-1);
      if (known === undefined || schema === undefined) return null;
      return { id: idByText.get(schema) ?? 0, version: known.length, schema };
    },
  };
}
