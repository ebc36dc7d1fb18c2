import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml';
import type { SigmaProblem, SigmaProblemCode } from './problems.ts';

/** A place in a rule file, 1-based. */
export type Position = { readonly line: number; readonly column: number };

/** A YAML document reduced to what rules may hold, every node with its place. */
export type YamlNode = YamlMap | YamlList | YamlScalar;
export type YamlMap = { readonly kind: 'map'; readonly at: Position; readonly entries: readonly YamlEntry[] };
export type YamlList = { readonly kind: 'list'; readonly at: Position; readonly items: readonly YamlNode[] };
export type YamlScalar = {
  readonly kind: 'scalar';
  readonly at: Position;
  readonly value: string | number | boolean | null;
};
export type YamlEntry = { readonly key: string; readonly keyAt: Position; readonly value: YamlNode };

/** Collects problems of one file. */
export type ProblemSink = {
  readonly path: string;
  report(code: SigmaProblemCode, at: Position, message: string): void;
};

/** Bytes of one rule file. SigmaHQ's largest has 40 kB. */
const FILE_CHARACTERS_MAX = 1_000_000;
/** Nesting of a rule document. Public rules stay below 8. */
const DEPTH_MAX = 40;

/** The documents of a multi-document file; empty documents are left out. Anchors and duplicate keys are refused. */
export function readYamlDocuments(content: string, problems: ProblemSink): readonly YamlNode[] {
  if (content.length > FILE_CHARACTERS_MAX) {
    problems.report(
      'limit_exceeded',
      { line: 1, column: 1 },
      `the file has more than ${FILE_CHARACTERS_MAX} characters`,
    );
    return [];
  }
  const lines = new LineCounter();
  const documents = parseAllDocuments(content, { lineCounter: lines, uniqueKeys: true, version: '1.2' });
  const nodes: YamlNode[] = [];
  for (const document of 'empty' in documents ? [] : documents) {
    for (const error of document.errors) {
      const at = positionAt(lines, error.pos[0]);
      problems.report('yaml_syntax', at, error.message.split('\n')[0] ?? 'the file is not YAML');
    }
    if (document.errors.length > 0 || document.contents === null) continue;
    const node = convert(document.contents, { lines, problems, depth: 0 });
    if (node && !(node.kind === 'scalar' && node.value === null)) nodes.push(node);
  }
  return nodes;
}

type Conversion = { readonly lines: LineCounter; readonly problems: ProblemSink; readonly depth: number };

function convert(node: Node, context: Conversion): YamlNode | undefined {
  const at = positionAt(context.lines, node.range?.[0] ?? 0);
  const inner = { ...context, depth: context.depth + 1 };
  if (inner.depth > DEPTH_MAX) {
    context.problems.report('limit_exceeded', at, `the document is nested more than ${DEPTH_MAX} levels deep`);
    return undefined;
  }
  if (isAlias(node)) {
    context.problems.report('yaml_alias', at, 'anchors and aliases are not accepted in rules: write the value out');
    return undefined;
  }
  if (isMap(node)) {
    const entries: YamlEntry[] = [];
    for (const pair of node.items) {
      const key = pair.key as Node;
      const keyAt = positionAt(context.lines, key.range?.[0] ?? 0);
      if (!isScalar(key)) {
        context.problems.report('value_invalid', keyAt, 'a key must be plain text');
        continue;
      }
      const value = pair.value === null ? nullAt(keyAt) : convert(pair.value as Node, inner);
      if (value) entries.push({ key: key.source ?? String(key.value), keyAt, value });
    }
    return { kind: 'map', at, entries };
  }
  if (isSeq(node)) {
    const items: YamlNode[] = [];
    for (const item of node.items) {
      const converted = convert(item as Node, inner);
      if (converted) items.push(converted);
    }
    return { kind: 'list', at, items };
  }
  if (isScalar(node)) {
    const value = node.value;
    if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      return { kind: 'scalar', at, value };
    }
    return { kind: 'scalar', at, value: String(value) };
  }
  return undefined;
}

function nullAt(at: Position): YamlScalar {
  return { kind: 'scalar', at, value: null };
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** A sink that keeps what is reported. */
export function createProblemSink(path: string, into: SigmaProblem[]): ProblemSink {
  return { path, report: (code, at, message) => into.push({ path, line: at.line, column: at.column, code, message }) };
}

export function entryOf(map: YamlMap, key: string): YamlEntry | undefined {
  return map.entries.find((entry) => entry.key === key);
}

/** Text of a scalar entry; reports anything but text, absence is fine. */
export function textEntry(map: YamlMap, key: string, problems: ProblemSink): string | undefined {
  const entry = entryOf(map, key);
  if (!entry || (entry.value.kind === 'scalar' && entry.value.value === null)) return undefined;
  if (entry.value.kind === 'scalar') return String(entry.value.value);
  problems.report('value_invalid', entry.keyAt, `'${key}' must be text`);
  return undefined;
}

/** A list of texts; one text stands for a list of one. Reports anything else, absence is an empty list. */
export function textListEntry(
  map: YamlMap,
  key: string,
  problems: ProblemSink,
): readonly { text: string; at: Position }[] {
  const entry = entryOf(map, key);
  if (!entry || (entry.value.kind === 'scalar' && entry.value.value === null)) return [];
  const nodes = entry.value.kind === 'list' ? entry.value.items : [entry.value];
  const texts: { text: string; at: Position }[] = [];
  for (const node of nodes) {
    if (node.kind === 'scalar' && node.value !== null) texts.push({ text: String(node.value), at: node.at });
    else problems.report('value_invalid', node.at, `'${key}' must be a list of texts`);
  }
  return texts;
}
