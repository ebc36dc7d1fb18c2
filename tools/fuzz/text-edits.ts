import fc from 'fast-check';

type Edit = { readonly kind: 'insert' | 'delete' | 'double' | 'swap'; readonly at: number; readonly length: number };

/** One of the texts with a few stretches put in, taken out, doubled or swapped. */
export function edited(texts: readonly string[], pieces: readonly string[]): fc.Arbitrary<string> {
  const edit = fc.record({
    kind: fc.constantFrom<Edit['kind']>('insert', 'insert', 'delete', 'double', 'swap'),
    at: fc.nat(10_000),
    length: fc.integer({ min: 1, max: 40 }),
    piece: fc.constantFrom(...pieces),
  });
  return fc
    .tuple(fc.constantFrom(...texts), fc.array(edit, { minLength: 1, maxLength: 6 }))
    .map(([text, edits]) => edits.reduce((before, { piece, ...one }) => applyEdit(before, one, piece), text));
}

function applyEdit(text: string, { kind, at, length }: Edit, piece: string): string {
  const from = at % (text.length + 1);
  const [head, cut, rest] = [text.slice(0, from), text.slice(from, from + length), text.slice(from + length)];
  switch (kind) {
    case 'insert':
      return head + piece + cut + rest;
    case 'delete':
      return head + rest;
    case 'double':
      return head + cut + cut + rest;
    case 'swap':
      return head + rest.slice(0, 1) + cut + rest.slice(1);
  }
}

/** Random words in a row. */
export function rowOf(words: readonly string[], maxLength: number): fc.Arbitrary<string> {
  return fc
    .array(fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...words) }, fc.string({ maxLength: 4, unit: 'binary' })), {
      maxLength,
    })
    .map((row) => row.join(''));
}
