import { RULE_LIMITS, type RuleLimits } from '../limits.ts';
import { SigmaError, type SigmaProblem } from '../problems.ts';
import { createProblemSink, type ProblemSink, readYamlDocuments, type YamlNode } from '../yaml-tree.ts';
import type { Pipeline, Step } from './pipeline-definition.ts';
import { readGates } from './read-conditions.ts';
import { readTransformation } from './read-transformation.ts';
import { KeyReader, PipelineRefusal, textsOf } from './step-reading.ts';

/** Steps of one pipeline, nested ones included; those of SigmaHQ have up to 150. */
const STEPS_MAX = 500;

/**
 * Reads a pipeline file. Everything in it is understood or refused: a step that were left out would turn rules into
 * ones that silently match nothing.
 * @throws SigmaError naming each problem with file, line and column.
 */
export function readPipeline(
  file: { readonly path: string; readonly content: string },
  limits: RuleLimits = RULE_LIMITS,
): Pipeline {
  const content = file.content.replaceAll('\r\n', '\n');
  const problems: SigmaProblem[] = [];
  const sink = createProblemSink(file.path, problems);
  const documents = readYamlDocuments(content, sink, limits);
  const [document, second] = documents;
  if (!document && problems.length === 0) sink.report('not_a_map', START, 'a pipeline must be a map of keys');
  if (second) sink.report('value_invalid', second.at, 'a pipeline file holds one pipeline');
  const head = document && problems.length === 0 ? readHead(document, sink) : undefined;
  if (!head || problems.length > 0) throw new SigmaError(problems);
  return { ...head, name: head.name ?? file.path, path: file.path, content };
}

const START = { line: 1, column: 1 };

type Head = Pick<Pipeline, 'priority' | 'vars' | 'steps'> & { readonly name: string | null };

/** Keys that work on queries. */
const FOR_QUERIES: readonly string[] = ['postprocessing', 'finalizers'];

function readHead(document: YamlNode, sink: ProblemSink): Head | undefined {
  return guarded(sink, () => {
    const keys = new KeyReader(document, 'a pipeline');
    for (const key of FOR_QUERIES) {
      const entry = keys.entry(key);
      if (entry) {
        const message = `'${key}' works on the queries of a backend; rules are run here as they are: remove it`;
        throw new PipelineRefusal(entry.keyAt, message, 'unsupported');
      }
    }
    // Which backends of pySigma may use it: none of them is at work here.
    keys.entry('allowed_backends');
    const name = keys.optionalText('name');
    const priority = readPriority(keys);
    const vars = readVars(keys);
    const steps = readSteps(keys, sink);
    keys.refuseOthers();
    return { name, priority, vars, steps };
  });
}

function guarded<T>(sink: ProblemSink, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PipelineRefusal)) throw error;
    sink.report(error.code, error.at, error.message);
    return undefined;
  }
}

function readPriority(keys: KeyReader): number {
  const entry = keys.entry('priority');
  if (!entry) return 0;
  if (entry.value.kind === 'scalar' && typeof entry.value.value === 'number') return entry.value.value;
  throw new PipelineRefusal(entry.value.at, "'priority' must be a number");
}

function readVars(keys: KeyReader): Pipeline['vars'] {
  const entry = keys.entry('vars');
  if (!entry) return {};
  if (entry.value.kind !== 'map') throw new PipelineRefusal(entry.value.at, "'vars' must be a map");
  return Object.fromEntries(entry.value.entries.map((variable) => [variable.key, textsOf(variable)]));
}

/** Each step by itself, so that every one that is wrong is named. */
function readSteps(keys: KeyReader, sink: ProblemSink): readonly Step[] {
  const entry = keys.entry('transformations');
  if (!entry) return [];
  if (entry.value.kind !== 'list') throw new PipelineRefusal(entry.value.at, "'transformations' must be a list");
  let left = STEPS_MAX;
  const readStep = (node: YamlNode): Step => {
    if (--left < 0) throw new PipelineRefusal(node.at, `a pipeline has at most ${STEPS_MAX} transformations`);
    const step = new KeyReader(node, 'a transformation');
    const id = step.optionalText('id');
    const transformation = readTransformation(step, readStep);
    const gates = readGates(step);
    step.refuseOthers();
    return { id, at: node.at, transformation, ...gates };
  };
  return entry.value.items.flatMap((node) => guarded(sink, () => readStep(node)) ?? []);
}
