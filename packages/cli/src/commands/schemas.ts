import { registerRecords, type SchemaRegistry } from '@tracehound/avro';
import { classifyError, RECORD_NAMES, RECORD_SCHEMAS, type RecordName } from '@tracehound/event-model';
import { columns } from '../render/columns.ts';
import type { Terminal } from '../terminal.ts';

export type SchemasCommand = {
  readonly registry: SchemaRegistry;
  readonly format: 'table' | 'json';
  readonly terminal: Pick<Terminal, 'out'>;
};

/** Where a subject stands: `current` = this build's schema is registered, `behind` = another version is the latest. */
export type SubjectState = {
  readonly subject: RecordName;
  readonly state: 'current' | 'behind' | 'missing';
  readonly id: number | null;
  readonly version: number | null;
};

/** `tracehound schemas apply`: registers what this build writes, FULL_TRANSITIVE. Idempotent. */
export async function runSchemasApply(command: SchemasCommand): Promise<number> {
  const results = await registerRecords(command.registry);
  if (command.format === 'json') command.terminal.out(JSON.stringify(results));
  else {
    const rows = results.map(({ name, id, action }) => [name, String(id), action]);
    command.terminal.out(columns(['SUBJECT', 'ID', 'ACTION'], rows));
  }
  return 0;
}

/** `tracehound schemas check`: would the registry take this build's schemas? Changes nothing; 1 = no. */
export async function runSchemasCheck(command: SchemasCommand): Promise<number> {
  const answers = await Promise.all(
    RECORD_NAMES.map(async (subject) => ({
      subject,
      ...(await command.registry.checkCompatibility(subject, JSON.stringify(RECORD_SCHEMAS[subject]))),
    })),
  );
  if (command.format === 'json') command.terminal.out(JSON.stringify(answers));
  else {
    const rows = answers.map(({ subject, compatible, messages }) => [
      subject,
      compatible ? 'yes' : 'no',
      messages.join(' ').slice(0, 200),
    ]);
    command.terminal.out(columns(['SUBJECT', 'COMPATIBLE', 'WHY NOT'], rows));
  }
  return answers.every(({ compatible }) => compatible) ? 0 : 1;
}

/** `tracehound schemas list`: 1 = some subject is not at this build's schema. */
export async function runSchemasList(command: SchemasCommand): Promise<number> {
  const states = await Promise.all(RECORD_NAMES.map((subject) => stateOf(command.registry, subject)));
  if (command.format === 'json') command.terminal.out(JSON.stringify(states));
  else {
    const rows = states.map(({ subject, state, id, version }) => [
      subject,
      state,
      String(id ?? '-'),
      String(version ?? '-'),
    ]);
    command.terminal.out(columns(['SUBJECT', 'STATE', 'ID', 'VERSION'], rows));
  }
  return states.every(({ state }) => state === 'current') ? 0 : 1;
}

async function stateOf(registry: SchemaRegistry, subject: RecordName): Promise<SubjectState> {
  const latest = await registry.latest(subject);
  if (latest === null) return { subject, state: 'missing', id: null, version: null };
  try {
    const id = await registry.lookup(subject, JSON.stringify(RECORD_SCHEMAS[subject]));
    return { subject, state: id === latest.id ? 'current' : 'behind', id: latest.id, version: latest.version };
  } catch (error) {
    if (classifyError(error).code !== 'SEC_AVRO_SUBJECT_MISSING') throw error;
    return { subject, state: 'behind', id: latest.id, version: latest.version };
  }
}
