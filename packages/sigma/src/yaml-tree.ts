import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  type Scalar,
} from 'yaml';
import { RULE_LIMITS, type RuleLimits } from './limits.ts';
import type { SigmaProblem, SigmaProblemCode } from './problems.ts';

/** A place in a rule file, 1-based. */
export type Position = { readonly line: number; readonly column: number };

/** A YAML document reduced to what rules may hold, every node with its place. Aliases are resolved: nodes are shared. */
export type YamlNode = YamlMap | YamlList | YamlScalar;
export type YamlMap = { readonly kind: 'map'; readonly at: Position; readonly entries: readonly YamlEntry[] };
export type YamlList = { readonly kind: 'list'; readonly at: Position; readonly items: readonly YamlNode[] };
export type YamlScalar = {
  readonly kind: 'scalar';
  readonly at: Position;
  readonly value: string | number | boolean | null;
  /** Of a number: the text of the file, where it is not the number's own (`0777` for 777). */
  readonly written?: string;
};
export type YamlEntry = { readonly key: string; readonly keyAt: Position; readonly value: YamlNode };

/** Collects problems of one file. */
export type ProblemSink = {
  readonly path: string;
  report(code: SigmaProblemCode, at: Position, message: string): void;
};

const START: Position = { line: 1, column: 1 };

/**
 * The documents of a multi-document file; empty documents are left out, and so is a document with a problem.
 * Aliases are followed within limits (count, and size of the document when each is written out); merge keys and
 * duplicate keys are refused. Work and memory are linear in the length of the text.
 */
export function readYamlDocuments(
  content: string,
  problems: ProblemSink,
  limits: RuleLimits = RULE_LIMITS,
): readonly YamlNode[] {
  if (content.length > limits.fileCharactersMax) {
    problems.report('limit_exceeded', START, `the file has more than ${limits.fileCharactersMax} characters`);
    return [];
  }
  const refusal = countItems(content, limits);
  if (refusal) {
    problems.report('limit_exceeded', { line: refusal.line, column: 1 }, refusal.message);
    return [];
  }
  const lines = new LineCounter();
  const documents = parseSafely(content, lines, problems);
  const nodes: YamlNode[] = [];
  for (const document of documents) {
    for (const error of document.errors) {
      const at = positionAt(lines, error.pos[0]);
      const message = error.message.split('\n')[0] ?? 'the file is not YAML';
      if (!message.startsWith('Maximum call stack')) problems.report('yaml_syntax', at, message);
      else problems.report('limit_exceeded', at, `the document is nested more than ${limits.depthMax} levels deep`);
    }
    if (document.errors.length > 0 || document.contents === null) continue;
    const conversion = createConversion(lines, problems, limits);
    const node = convert(document.contents, 1, conversion);
    if (node && conversion.isSound && !(node.kind === 'scalar' && node.value === null)) nodes.push(node);
  }
  return nodes;
}

/**
 * Looks at the characters alone: the parser takes some 20 us per item, so a file of a million of them is refused before
 * it is parsed. Text with as many lines and commas as a large rule has values counts too; no rule comes near.
 */
function countItems(content: string, limits: RuleLimits): { line: number; message: string } | undefined {
  let line = 1;
  let total = 0;
  let inDocument = 0;
  for (let at = 0; at < content.length; at++) {
    const code = content.charCodeAt(at);
    if (code === NEWLINE) {
      line++;
      if (content.startsWith('---', at + 1)) inDocument = 0;
    } else if (code !== COMMA && code !== BRACKET && code !== BRACE) continue;
    total++;
    if (++inDocument > 2 * limits.nodesMax) {
      return { line, message: `the document has more than ${limits.nodesMax} values` };
    }
    if (total > limits.fileItemsMax) {
      return { line, message: `the file has more than ${limits.fileItemsMax} lines and values: split it` };
    }
  }
  return undefined;
}

const NEWLINE = 10;
const COMMA = 44;
const BRACKET = 91;
const BRACE = 123;

function parseSafely(content: string, lines: LineCounter, problems: ProblemSink) {
  try {
    // Duplicate keys are looked for in `convert`: the parser's own search is quadratic in the number of keys.
    // The schema is fixed: a `%YAML 1.1` directive must not turn `no` into a boolean or bring merge keys.
    const options = { lineCounter: lines, uniqueKeys: false, version: '1.2', schema: 'core', merge: false } as const;
    const documents = parseAllDocuments(content, options);
    return 'empty' in documents ? [] : documents;
  } catch (error) {
    if (error instanceof RangeError) problems.report('limit_exceeded', START, 'the file is nested too deeply');
    else problems.report('yaml_syntax', START, 'the file is not YAML');
    return [];
  }
}

type Sized = { readonly node: YamlNode; readonly size: number };
type Conversion = {
  readonly lines: LineCounter;
  readonly limits: RuleLimits;
  readonly anchors: Map<string, Sized>;
  isSound: boolean;
  nodes: number;
  aliases: number;
  refuse(code: SigmaProblemCode, at: Position, message: string): void;
};

function createConversion(lines: LineCounter, problems: ProblemSink, limits: RuleLimits): Conversion {
  const conversion: Conversion = {
    lines,
    limits,
    anchors: new Map(),
    isSound: true,
    nodes: 0,
    aliases: 0,
    refuse(code, at, message) {
      conversion.isSound = false;
      problems.report(code, at, message);
    },
  };
  return conversion;
}

/** True once, and from then on, when the document has grown past its limit. */
function isTooLarge(conversion: Conversion, added: number, at: Position): boolean {
  const before = conversion.nodes;
  conversion.nodes += added;
  if (conversion.nodes <= conversion.limits.nodesMax) return false;
  if (before <= conversion.limits.nodesMax) {
    const hint = conversion.aliases > 0 ? ' once its aliases are written out' : '';
    conversion.refuse('limit_exceeded', at, `the document has more than ${conversion.limits.nodesMax} values${hint}`);
  }
  return true;
}

function convert(node: Node, depth: number, conversion: Conversion): YamlNode | undefined {
  const at = positionAt(conversion.lines, node.range?.[0] ?? 0);
  if (depth > conversion.limits.depthMax) {
    const { depthMax } = conversion.limits;
    conversion.refuse('limit_exceeded', at, `the document is nested more than ${depthMax} levels deep`);
    return undefined;
  }
  if (isAlias(node)) return resolveAlias(node.source, at, conversion);
  const before = conversion.nodes;
  if (isTooLarge(conversion, 1, at)) return undefined;
  const converted = convertContent(node, { depth: depth + 1, at }, conversion);
  if (converted && 'anchor' in node && typeof node.anchor === 'string') {
    conversion.anchors.set(node.anchor, { node: converted, size: conversion.nodes - before });
  }
  return converted;
}

function resolveAlias(name: string, at: Position, conversion: Conversion): YamlNode | undefined {
  const target = conversion.anchors.get(name);
  if (!target) {
    conversion.refuse('yaml_alias', at, `alias '*${name}' has no anchor '&${name}' that ends before it`);
    return undefined;
  }
  if (++conversion.aliases > conversion.limits.aliasesMax) {
    if (conversion.aliases === conversion.limits.aliasesMax + 1)
      conversion.refuse('limit_exceeded', at, `the document has more than ${conversion.limits.aliasesMax} aliases`);
    return undefined;
  }
  return isTooLarge(conversion, target.size, at) ? undefined : target.node;
}

type Place = { readonly depth: number; readonly at: Position };

function convertContent(node: Node, { depth, at }: Place, conversion: Conversion): YamlNode | undefined {
  if (isMap(node)) return { kind: 'map', at, entries: convertEntries(node.items, depth, conversion) };
  if (isSeq(node)) {
    const items: YamlNode[] = [];
    for (const item of node.items) {
      const converted = convert(item as Node, depth, conversion);
      if (converted) items.push(converted);
      if (conversion.nodes > conversion.limits.nodesMax) break;
    }
    return { kind: 'list', at, items };
  }
  if (isScalar(node)) return convertScalar(node, at);
  conversion.refuse('value_invalid', at, 'this is no map, no list and no plain value');
  return undefined;
}

function convertEntries(pairs: readonly Pair[], depth: number, conversion: Conversion): YamlEntry[] {
  const entries: YamlEntry[] = [];
  const seen = new Map<string, Position>();
  for (const pair of pairs) {
    const keyNode = pair.key as Node;
    const keyAt = positionAt(conversion.lines, keyNode.range?.[0] ?? 0);
    if (!isScalar(keyNode)) {
      conversion.refuse('value_invalid', keyAt, 'a key must be plain text');
      continue;
    }
    const key = keyNode.source ?? String(keyNode.value);
    const earlier = seen.get(key);
    if (key === '<<') {
      conversion.refuse('yaml_merge_key', keyAt, "merge keys ('<<') are not part of Sigma: write the entries out");
    } else if (earlier) {
      conversion.refuse('duplicate_key', keyAt, `'${key}' stands on line ${earlier.line} too: keys must be unique`);
    }
    seen.set(key, keyAt);
    const value = pair.value === null ? nullAt(keyAt) : convert(pair.value as Node, depth, conversion);
    if (value) entries.push({ key, keyAt, value });
    if (conversion.nodes > conversion.limits.nodesMax) break;
  }
  return entries;
}

function convertScalar(node: Scalar, at: Position): YamlScalar {
  const value = scalarValue(node);
  const isOther = typeof value === 'number' && node.source !== undefined && node.source !== String(value);
  return { kind: 'scalar', at, value, ...(isOther ? { written: node.source } : {}) };
}

/** Whole numbers that a double cannot hold stay the text they were written as. */
function scalarValue({ value, source }: Scalar): YamlScalar['value'] {
  if (typeof value === 'number') {
    const isExact = !Number.isInteger(value) || Number.isSafeInteger(value);
    return !isExact && source !== undefined && /^[+-]?\d+$/.test(source) ? source : value;
  }
  return value === null || typeof value === 'string' || typeof value === 'boolean' ? value : String(value);
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
