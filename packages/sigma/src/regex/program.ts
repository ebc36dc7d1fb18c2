import type { CharSet } from './char-set.ts';
import { type Assertion, type RegexNode, RegexRefusal } from './syntax.ts';

/**
 * A Thompson automaton (Ken Thompson, "Regular Expression Search Algorithm", CACM 11:6, 1968; Russ Cox, "Regular
 * Expression Matching: the Virtual Machine Approach", 2009): a list of instructions, each naming its successors.
 */
export type Instruction =
  | { readonly op: 'set'; readonly set: CharSet; next: number }
  | { readonly op: 'assert'; readonly what: Assertion; next: number }
  | { readonly op: 'split'; readonly next: number[] }
  | { readonly op: 'match' };

export type Program = { readonly code: readonly Instruction[]; readonly start: number };

/** Longest program. An alternation of a thousand names stays below. */
const INSTRUCTIONS_MAX = 12_000;
/** Instructions that exist only because a count repeats something: 10 KB of the worst text must stay below 10 ms. */
const COPIES_MAX = 400;

/** Instructions a count can cost at most before it is refused; counts multiply when nested. */
export function sizeOf(node: RegexNode): number {
  switch (node.kind) {
    case 'set':
    case 'assert':
      return 1;
    case 'cat':
      return node.of.reduce((sum, part) => sum + sizeOf(part), 0);
    case 'alt':
      return node.of.reduce((sum, part) => sum + sizeOf(part), 1);
    case 'repeat':
      return sizeOf(node.of) * copiesOf(node.min, node.max) + 1;
  }
}

function copiesOf(min: number, max: number): number {
  return max === Number.POSITIVE_INFINITY ? Math.max(1, min) : max;
}

/** Size without any count: what the pattern has as written. */
function plainSizeOf(node: RegexNode): number {
  switch (node.kind) {
    case 'set':
    case 'assert':
      return 1;
    case 'cat':
    case 'alt':
      return node.of.reduce((sum, part) => sum + plainSizeOf(part), 1);
    case 'repeat':
      return plainSizeOf(node.of) + 1;
  }
}

/** @throws RegexRefusal when counts, or the pattern itself, cost too many states. */
export function compileProgram(node: RegexNode): Program {
  const size = sizeOf(node);
  if (size - plainSizeOf(node) > COPIES_MAX) {
    throw new RegexRefusal(`its counts repeat more than ${COPIES_MAX} states: use '*' or '+', or a smaller count`);
  }
  if (size > INSTRUCTIONS_MAX) throw new RegexRefusal(`it needs more than ${INSTRUCTIONS_MAX} states`);
  const code: Instruction[] = [{ op: 'match' }];
  return { code, start: emit(code, node, 0) };
}

/** Built from the end: every part is told what follows it, and answers where it begins. */
function emit(code: Instruction[], node: RegexNode, next: number): number {
  switch (node.kind) {
    case 'set':
      return code.push({ op: 'set', set: node.set, next }) - 1;
    case 'assert':
      return code.push({ op: 'assert', what: node.what, next }) - 1;
    case 'cat':
      return node.of.reduceRight((following, part) => emit(code, part, following), next);
    case 'alt':
      return code.push({ op: 'split', next: node.of.map((part) => emit(code, part, next)) }) - 1;
    case 'repeat':
      return emitRepeat(code, node, next);
  }
}

function emitRepeat(code: Instruction[], node: RegexNode & { readonly kind: 'repeat' }, next: number): number {
  let entry = next;
  if (node.max === Number.POSITIVE_INFINITY) {
    const loop: Instruction & { op: 'split' } = { op: 'split', next: [next] };
    const at = code.push(loop) - 1;
    const body = emit(code, node.of, at);
    loop.next.push(body);
    // `x+` enters at its body, `x*` at the choice.
    entry = node.min > 0 ? body : at;
    for (let copy = 1; copy < node.min; copy++) entry = emit(code, node.of, entry);
    return entry;
  }
  for (let copy = node.min; copy < node.max; copy++) {
    entry = code.push({ op: 'split', next: [next, emit(code, node.of, entry)] }) - 1;
  }
  for (let copy = 0; copy < node.min; copy++) entry = emit(code, node.of, entry);
  return entry;
}
