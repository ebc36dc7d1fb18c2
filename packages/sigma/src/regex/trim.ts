import type { RegexNode } from './syntax.ts';

/**
 * Drops what cannot change whether a pattern is found *somewhere*: repetitions beyond their least count at the open
 * ends of the pattern. `.*a+` is found exactly where `a` is.
 */
export function trimEnds(node: RegexNode): RegexNode {
  return trim(trim(node, 'left'), 'right');
}

function trim(node: RegexNode, side: 'left' | 'right'): RegexNode {
  switch (node.kind) {
    case 'set':
    case 'assert':
      return node;
    case 'alt':
      return { kind: 'alt', of: node.of.map((part) => trim(part, side)) };
    case 'repeat':
      if (node.min === 0) return { kind: 'cat', of: [] };
      // Only the outermost copy lies at the open end, so the inside is trimmed when there is just one.
      return node.min === 1 ? trim(node.of, side) : { ...node, max: node.min };
    case 'cat':
      return { kind: 'cat', of: trimSequence(node.of, side) };
  }
}

function trimSequence(parts: readonly RegexNode[], side: 'left' | 'right'): readonly RegexNode[] {
  const rest = [...parts];
  while (rest.length > 0) {
    const index = side === 'left' ? 0 : rest.length - 1;
    const end = trim(rest[index] as RegexNode, side);
    if (end.kind !== 'cat' || end.of.length > 0) {
      rest[index] = end;
      break;
    }
    rest.splice(index, 1);
  }
  return rest;
}
