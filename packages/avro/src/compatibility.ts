import { guardedType } from './guarded-types.ts';
import { assertSafeSchema } from './schema-safety.ts';

/** Why data of `writer` cannot be read as `reader` by Avro's schema resolution; null = it can. */
export function resolutionProblem(reader: unknown, writer: unknown): string | null {
  assertSafeSchema(reader);
  assertSafeSchema(writer);
  try {
    guardedType(reader).createResolver(guardedType(writer));
    return null;
  } catch (error) {
    return error instanceof Error ? error.message.slice(0, 300) : 'schemas do not resolve';
  }
}

/** FULL_TRANSITIVE: each version must read and be read by every other one. Problems in words; empty = compatible. */
export function fullTransitiveProblems(candidate: unknown, versions: readonly unknown[]): readonly string[] {
  return versions.flatMap((version, index) => {
    const backward = resolutionProblem(candidate, version);
    const forward = resolutionProblem(version, candidate);
    return [
      ...(backward === null ? [] : [`cannot read version ${index + 1}: ${backward}`]),
      ...(forward === null ? [] : [`version ${index + 1} cannot read it: ${forward}`]),
    ];
  });
}
