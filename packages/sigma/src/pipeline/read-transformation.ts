import type { YamlNode, YamlScalar } from '../yaml-tree.ts';
import type { Names, Step, Transformation } from './pipeline-definition.ts';
import { readReplacement } from './replacement.ts';
import { KeyReader, PipelineRefusal, textsOf } from './step-reading.ts';

/** Known to pySigma, but of no meaning where rules are run and not turned into queries. */
const NOT_HERE: Readonly<Record<string, string>> = {
  query_expression_placeholders: "it writes a piece of a backend's query; use 'value_placeholders' with 'vars'",
  field_name_transform: "it is a Python function; write a 'field_name_mapping'",
  regex: 'it turns texts into expressions for backends that cannot ignore case; here texts ignore it anyway: remove it',
};

/** Reads what one step does; its conditions are read by others. `readStep` is for nested ones. */
export function readTransformation(keys: KeyReader, readStep: (node: YamlNode) => Step): Transformation {
  const type = keys.text('type');
  switch (type) {
    case 'field_name_mapping':
    case 'field_name_prefix_mapping':
      return { type, mapping: readFieldNames(keys) };
    case 'field_name_prefix':
      return { type, text: fieldPart(keys, 'prefix') };
    case 'field_name_suffix':
      return { type, text: fieldPart(keys, 'suffix') };
    case 'drop_detection_item':
      return { type };
    case 'add_condition':
      return readAddCondition(keys);
    case 'change_logsource':
      return {
        type,
        product: keys.optionalText('product'),
        service: keys.optionalText('service'),
        category: keys.optionalText('category'),
      };
    case 'replace_string':
      return readReplaceString(keys);
    case 'map_string':
      return { type, mapping: readNames(keys) };
    case 'set_value':
      return { type, value: keys.value('value') };
    case 'convert_type':
      return { type, to: keys.choice('target_type', ['str', 'num']) };
    case 'case':
      return { type, to: keys.choice('method', ['lower', 'upper'], 'lower') };
    case 'value_placeholders':
    case 'wildcard_placeholders':
      return { type, include: keys.texts('include'), exclude: keys.texts('exclude') };
    case 'hashes_fields':
      return {
        type,
        algorithms: keys.neededTexts('valid_hash_algos').map((name) => name.toUpperCase()),
        prefix: keys.optionalText('field_prefix') ?? '',
        dropsAlgorithm: keys.flag('drop_algo_prefix'),
      };
    case 'set_state':
      return { type, key: keys.text('key'), value: keys.text('val') };
    case 'rule_failure':
    case 'detection_item_failure':
      return { type, message: keys.text('message') };
    case 'set_custom_attribute':
      return { type, attribute: keys.text('attribute'), value: keys.text('value') };
    case 'add_field':
    case 'remove_field':
      return { type, fields: keys.neededTexts('field') };
    case 'set_field':
      return { type, fields: keys.neededTexts('fields') };
    case 'nest':
      return { type, steps: readNested(keys, readStep) };
    default: {
      const { at } = keys.needed('type').value;
      const reason = Object.hasOwn(NOT_HERE, type) ? NOT_HERE[type] : undefined;
      if (reason !== undefined) throw new PipelineRefusal(at, `'${type}' cannot be run: ${reason}`, 'unsupported');
      const hint = 'see docs/pipelines.md for those that can be run';
      throw new PipelineRefusal(at, `'${type}' is no transformation known here: ${hint}`, 'unsupported');
    }
  }
}

function readNested(keys: KeyReader, readStep: (node: YamlNode) => Step): readonly Step[] {
  const { value } = keys.needed('items');
  if (value.kind === 'list') return value.items.map(readStep);
  throw new PipelineRefusal(value.at, "'items' must be a list of transformations");
}

/** A map of text to one text or several. */
function readNames(keys: KeyReader): Names {
  const { value } = keys.needed('mapping');
  if (value.kind !== 'map') throw new PipelineRefusal(value.at, "'mapping' must be a map");
  const names = new Map<string, readonly string[]>();
  for (const entry of value.entries) {
    const texts = textsOf(entry);
    if (texts.length === 0) throw new PipelineRefusal(entry.keyAt, `'${entry.key}' is mapped to nothing`);
    names.set(entry.key, texts);
  }
  return names;
}

function readFieldNames(keys: KeyReader): Names {
  const names = readNames(keys);
  const wrong = [...names].find(([, fields]) => fields.some((field) => field.includes('|')));
  if (!wrong) return names;
  const { at } = keys.needed('mapping').value;
  throw new PipelineRefusal(at, `'${wrong[0]}' is mapped to a name with '|': modifiers stay those of the rule`);
}

function fieldPart(keys: KeyReader, key: string): string {
  const text = keys.text(key);
  if (!text.includes('|')) return text;
  throw new PipelineRefusal(keys.needed(key).value.at, `'${key}' must not hold '|': modifiers stay those of the rule`);
}

function readAddCondition(keys: KeyReader): Transformation {
  const { value } = keys.needed('conditions');
  // The name of the added selection: nothing can refer to it here.
  keys.optionalText('name');
  if (value.kind !== 'map' || value.entries.length === 0) {
    throw new PipelineRefusal(value.at, "'conditions' must be a map of fields to values");
  }
  const conditions = value.entries.map((entry) => {
    const nodes = entry.value.kind === 'list' ? entry.value.items : [entry.value];
    const values = nodes.filter((node): node is YamlScalar => node.kind === 'scalar');
    if (values.length === nodes.length && values.length > 0) return { key: entry.key, values };
    throw new PipelineRefusal(entry.keyAt, `'${entry.key}' must have a value or a list of values`);
  });
  return { type: 'add_condition', conditions, template: keys.flag('template'), negated: keys.flag('negated') };
}

function readReplaceString(keys: KeyReader): Transformation {
  const read = readReplacement(keys.text('regex'), keys.text('replacement'));
  if ('reason' in read) {
    const message = `this pattern cannot be run: ${read.reason}`;
    throw new PipelineRefusal(keys.needed('regex').value.at, message, 'regex_refused');
  }
  return { type: 'replace_string', ...read, skipSpecial: keys.flag('skip_special') };
}
