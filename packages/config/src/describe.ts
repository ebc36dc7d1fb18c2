import type { Field } from './fields.ts';
import { type ConfigSpec, fieldsOf } from './load.ts';

/** The table of `--help`: key, kind, default, allowed values, one sentence. Secrets show no value, only their key. */
export function describe(spec: ConfigSpec): string {
  const lines: string[] = [];
  for (const field of fieldsOf(spec.fields)) {
    lines.push(`  ${field.key}`);
    lines.push(`      ${field.about}`);
    lines.push(`      ${facts(field)}`);
  }
  return lines.join('\n');
}

/** The same as a Markdown table for `docs/reference`; deterministic, so drift can be checked. */
export function markdown(spec: ConfigSpec): string {
  const rows = fieldsOf(spec.fields).map((field) =>
    [`\`${field.key}\``, kindOf(field), field.shownDefault, field.allowed, field.about].map(cell).join(' | '),
  );
  return [
    '| Key | Kind | Default | Allowed | Meaning |',
    '|---|---|---|---|---|',
    ...rows.map((row) => `| ${row} |`),
    '',
  ].join('\n');
}

function facts(field: Field<unknown>): string {
  return `${kindOf(field)}; default: ${field.shownDefault}; allowed: ${field.allowed}`;
}

function kindOf(field: Field<unknown>): string {
  return field.unit === '' ? field.kind : `${field.kind} (${field.unit})`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
