import { ok, type Verdict } from '@tracehound/event-model';
import type { ExternalBody, NativeBody, SanitisedEvent, TextMap, ValidEvent } from '../domain/intake-event.ts';
import { cutBytes, isDeniedName, redactText } from '../domain/redaction.ts';

/** values strictly below 1 kB. */
const VALUE_BYTES_MAX = 1_023;
const METADATA_KEY = /^[a-z][a-z0-9_.]{0,63}$/;
/** Not `__proto__` and its like, which Avro readers in JavaScript cannot hold as a map key. */
const OTHER_KEY = /^(?!__)[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;

/**
 * Takes out of texts what must not be stored, and writes down what and where (`metadata.note:email`), never the value.
 * Third-party fields are the stated exception: they keep their values here.
 */
export function createSanitiseStage(options: {
  /** Fields only the gateway writes: a client must not be able to say how long an account was idle. */
  readonly reserved: ReadonlySet<string>;
}): (event: ValidEvent) => Verdict<SanitisedEvent> {
  return function sanitise(event) {
    const redactions: string[] = [];
    const known = new Set(Object.keys(event.definition.payload));
    const clean = {
      ...event,
      tags: cleanMap('tags', event.tags, { key: OTHER_KEY, redactions }),
      metadata: cleanMap('metadata', event.metadata, { key: METADATA_KEY, redactions }),
      userAgent:
        event.userAgent === null ? null : cleanText('network.user_agent', event.userAgent, 'secrets', redactions),
      error: event.error && {
        code: event.error.code === null ? null : cleanText('error.code', event.error.code, 'all', redactions),
        message:
          event.error.message === null ? null : cleanText('error.message', event.error.message, 'all', redactions),
      },
      body: withoutReserved(
        event.body.kind === 'native' ? cleanBody(event.body, known, redactions) : event.body,
        options.reserved,
        redactions,
      ),
    };
    event.trail.redactions = redactions;
    return ok({ ...clean, redactions });
  };
}

/** Payload keys the catalogue lists keep addresses, because rules group by them; secrets never stay. */
function cleanBody(body: NativeBody, known: ReadonlySet<string>, redactions: string[]): NativeBody {
  return {
    kind: 'native',
    payload: cleanMap('payload', body.payload, { key: OTHER_KEY, redactions, known }),
    changes: body.changes.map((change) => {
      const field = cleanText('changes.field', change.field, 'all', redactions);
      const value = (text: string | null | undefined, name: string): string | null => {
        if (text === null || text === undefined) return null;
        if (!isDeniedName(change.field)) return cleanText(`changes.${name}`, text, 'all', redactions);
        redactions.push(`changes.${name}:denied`);
        return null;
      };
      return {
        field,
        old_value: value(change.old_value, 'old_value'),
        new_value: value(change.new_value, 'new_value'),
      };
    }),
  };
}

function withoutReserved<Body extends NativeBody | ExternalBody>(
  body: Body,
  reserved: ReadonlySet<string>,
  redactions: string[],
): Body {
  const isReserved = (name: string): boolean => {
    if (!reserved.has(name)) return false;
    redactions.push(`payload.${name}:reserved`);
    return true;
  };
  if (body.kind === 'external') return { ...body, fields: body.fields.filter(({ name }) => !isReserved(name)) };
  const kept = Object.entries(body.payload).filter(([name]) => !isReserved(name));
  return { ...body, payload: Object.fromEntries(kept) };
}

function cleanMap(
  path: string,
  map: TextMap,
  options: { readonly key: RegExp; readonly redactions: string[]; readonly known?: ReadonlySet<string> },
): TextMap {
  const result: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(map)) {
    if (!options.key.test(name)) {
      // The name itself may be personal data, so it is not repeated.
      options.redactions.push(`${path}:key`);
    } else if (isDeniedName(name)) {
      options.redactions.push(`${path}.${name}:denied`);
    } else {
      const level = options.known?.has(name) ? 'secrets' : 'all';
      result[name] = cleanText(`${path}.${name}`, value, level, options.redactions);
    }
  }
  return result;
}

function cleanText(path: string, value: string, level: 'secrets' | 'all', redactions: string[]): string {
  const { text, kinds } = redactText(value, level);
  for (const kind of kinds) redactions.push(`${path}:${kind}`);
  const cut = cutBytes(text, VALUE_BYTES_MAX);
  if (cut.length < text.length) redactions.push(`${path}:cut`);
  return cut;
}
