import { TracehoundError, type TracehoundErrorOptions } from '@tracehound/event-model';

type Fields = TracehoundErrorOptions['fields'];

function options(
  base: Pick<TracehoundErrorOptions, 'code' | 'category' | 'retriable'>,
  fields: Fields,
  cause: unknown,
): TracehoundErrorOptions {
  return { ...base, ...(fields ? { fields } : {}), ...(cause === undefined ? {} : { cause }) };
}

/** Bytes that are no framed Avro datum of the schema they name. Permanent: dead letter. */
export class AvroDecodeError extends TracehoundError {
  constructor(
    message: string,
    code:
      | 'SEC_AVRO_FRAME'
      | 'SEC_AVRO_TRUNCATED'
      | 'SEC_AVRO_TRAILING'
      | 'SEC_AVRO_MALFORMED'
      | 'SEC_AVRO_LIMIT'
      | 'SEC_AVRO_MAP_KEY',
    fields?: Fields,
    cause?: unknown,
  ) {
    super(message, options({ code, category: 'invalid_input', retriable: false }, fields, cause));
  }
}

/** One place of a value that its schema does not allow. Names types, never values. */
export type ValueIssue = {
  /** Dotted from the record; `[3]` for array positions, `*` for map keys that are no plain names. */
  readonly path: string;
  readonly expected: string;
  readonly got: string;
};

/** A value that its schema does not allow; nothing was encoded. */
export class AvroValueError extends TracehoundError {
  readonly issues: readonly ValueIssue[];

  constructor(record: string, issues: readonly ValueIssue[]) {
    const first = issues[0];
    super('value does not fit its Avro schema', {
      code: 'SEC_AVRO_VALUE',
      category: 'invalid_input',
      retriable: false,
      fields: { record, issues: issues.length, ...(first ? { path: first.path, expected: first.expected } : {}) },
    });
    this.issues = issues;
  }
}

/** The encoded record exceeds the codec's bound. */
export class AvroTooLargeError extends TracehoundError {
  constructor(record: string, bytesMax: number) {
    super('encoded record is too large', {
      code: 'SEC_AVRO_TOO_LARGE',
      category: 'invalid_input',
      retriable: false,
      fields: { record, bytesMax },
    });
  }
}

/** `encode` of a record whose id was not looked up by `prepare`: a programmer error. */
export class AvroNotPreparedError extends TracehoundError {
  constructor(record: string) {
    super('record was not prepared', {
      code: 'SEC_AVRO_NOT_PREPARED',
      category: 'invariant',
      retriable: false,
      fields: { record },
    });
  }
}

/** The registry answered that it has no schema of this id. Permanent: dead letter. */
export class AvroUnknownSchemaError extends TracehoundError {
  constructor(schemaId: number, cause?: unknown) {
    super(
      'schema id is unknown to the registry',
      options({ code: 'SEC_AVRO_UNKNOWN_SCHEMA', category: 'not_found', retriable: false }, { schemaId }, cause),
    );
  }
}

/** The registry has no version of this subject with our schema: `schemas apply` has not run. */
export class AvroSubjectMissingError extends TracehoundError {
  constructor(subject: string, cause?: unknown) {
    super(
      'schema is not registered under its subject',
      options({ code: 'SEC_AVRO_SUBJECT_MISSING', category: 'not_found', retriable: true }, { subject }, cause),
    );
  }
}

/** The writer's record is none of ours. Permanent: dead letter. */
export class AvroUnknownRecordError extends TracehoundError {
  constructor(schemaId: number) {
    super('record is not one of ours', {
      code: 'SEC_AVRO_UNKNOWN_RECORD',
      category: 'not_found',
      retriable: false,
      fields: { schemaId },
    });
  }
}

/** Writer and reader schema do not resolve. Permanent until one of them changes. */
export class AvroIncompatibleError extends TracehoundError {
  constructor(fields: Fields, cause?: unknown) {
    super(
      'schemas do not resolve',
      options({ code: 'SEC_AVRO_INCOMPATIBLE', category: 'conflict', retriable: false }, fields, cause),
    );
  }
}

/** A schema that must not be loaded: recursion, items without bytes, too deep or too large. */
export class AvroUnsafeSchemaError extends TracehoundError {
  constructor(reason: string) {
    super('schema is unsafe to load', {
      code: 'SEC_AVRO_UNSAFE_SCHEMA',
      category: 'permanent',
      retriable: false,
      fields: { reason },
    });
  }
}

/** The registry did not answer, or not in time. Retriable. */
export class AvroRegistryUnavailableError extends TracehoundError {
  constructor(operation: string, status: number, cause?: unknown) {
    super(
      'schema registry is unavailable',
      options(
        { code: 'SEC_AVRO_REGISTRY_UNAVAILABLE', category: 'dependency', retriable: true },
        { operation, status },
        cause,
      ),
    );
  }
}

/** The registry refused the call. Permanent. */
export class AvroRegistryRefusedError extends TracehoundError {
  constructor(operation: string, status: number, cause?: unknown) {
    super(
      'schema registry refused the call',
      options(
        {
          code: 'SEC_AVRO_REGISTRY_REFUSED',
          category: status === 401 || status === 403 ? 'unauthorized' : 'permanent',
          retriable: false,
        },
        { operation, status },
        cause,
      ),
    );
  }
}

/** Too many ids asked for that nobody knows; the registry is protected from a flood of invented ids. Retriable. */
export class AvroLookupLimitError extends TracehoundError {
  constructor(schemaId: number) {
    super('too many schema look-ups', {
      code: 'SEC_AVRO_LOOKUP_LIMIT',
      category: 'overload',
      retriable: true,
      fields: { schemaId },
    });
  }
}
