import type { Transform } from './modifiers.ts';
import type { PatternPart } from './value-pattern.ts';

/**
 * A value on its way through modifiers. `bytes`: each character of its text parts is one byte, as after UTF-16; such
 * a value is either encoded further (base64) or must be plain ASCII with NULs to be compared with text.
 */
export type Encodable = { readonly parts: readonly PatternPart[]; readonly isBytes: boolean };

/** Characters that stand for a dash or slash of a Windows command line (pySigma, windash). */
const DASHES: readonly string[] = ['-', '/', '\u2013', '\u2014', '\u2015'];
/** A dash or slash that begins an option: no word character before it, one after it. */
const OPTION_DASH = /(?<![\p{L}\p{N}_])[-/](?=[\p{L}\p{N}_])/gu;

/** How many variants `windash` makes of a value; may be infinite. */
export function dashVariants(parts: readonly PatternPart[]): number {
  let dashes = 0;
  for (const part of parts) if (part.kind === 'text') dashes += part.text.match(OPTION_DASH)?.length ?? 0;
  return DASHES.length ** dashes;
}

/**
 * One step of a value's encoding: the values it may turn into, any of which is meant.
 * @throws EncodingError when the value does not allow it; the message is for the rule's author.
 */
export function applyTransform(transform: Transform, value: Encodable): readonly Encodable[] {
  switch (transform) {
    case 'windash':
      return expandDashes(value.parts).map((parts) => ({ parts, isBytes: false }));
    case 'utf16le':
      return [mapText(value, (text) => utf16(text, false))];
    case 'utf16be':
      return [mapText(value, (text) => utf16(text, true))];
    case 'utf16':
      return [mapText(value, (text) => `\xff\xfe${utf16(text, false)}`)];
    case 'base64':
      return [encoded(bytesOf(value, transform).toString('base64'))];
    case 'base64offset':
      return base64Offsets(bytesOf(value, transform)).map(encoded);
  }
}

export class EncodingError extends Error {}

/** What is compared with the field's text. */
export function finishEncoding(value: Encodable): readonly PatternPart[] {
  const isForeign = (part: PatternPart): boolean => part.kind === 'text' && /[\x80-\xff]/.test(part.text);
  if (value.isBytes && value.parts.some(isForeign)) {
    throw new EncodingError('these bytes are no text: encode them with base64 or base64offset');
  }
  return value.parts;
}

function encoded(text: string): Encodable {
  if (text === '') throw new EncodingError('the value is too short to be found when encoded');
  return { parts: [{ kind: 'text', text }], isBytes: false };
}

function mapText(value: Encodable, encode: (text: string) => string): Encodable {
  if (value.parts.length === 0) throw new EncodingError('an empty value cannot be encoded');
  const parts = value.parts.map((part) => (part.kind === 'text' ? { ...part, text: encode(part.text) } : part));
  return { parts, isBytes: true };
}

function utf16(text: string, isBigEndian: boolean): string {
  const bytes = Buffer.from(text, 'utf16le');
  return (isBigEndian ? bytes.swap16() : bytes).toString('latin1');
}

function bytesOf(value: Encodable, transform: Transform): Buffer {
  const [part, ...more] = value.parts;
  if (!part || more.length > 0 || part.kind !== 'text') {
    throw new EncodingError(`'${transform}' takes text without wildcards`);
  }
  return Buffer.from(part.text, value.isBytes ? 'latin1' : 'utf8');
}

/**
 * The three texts one of which is inside the base64 of anything that holds these bytes: what depends on neighbouring
 * bytes is cut off at both ends (pySigma, base64offset: starts 0, 2, 3; ends by the remainder of the length).
 */
function base64Offsets(bytes: Buffer): readonly string[] {
  const cuts = [0, 3, 2];
  return [0, 2, 3].map((start, offset) => {
    const text = Buffer.concat([Buffer.alloc(offset, ' '), bytes]).toString('base64');
    return text.slice(start, text.length - (cuts[(bytes.length + offset) % 3] ?? 0));
  });
}

function expandDashes(parts: readonly PatternPart[]): readonly (readonly PatternPart[])[] {
  let variants: PatternPart[][] = [[]];
  for (const part of parts) {
    const texts = part.kind === 'text' ? dashTexts(part.text) : [];
    variants = variants.flatMap((variant) =>
      part.kind === 'text'
        ? texts.map((text): PatternPart[] => [...variant, { kind: 'text', text }])
        : [[...variant, part]],
    );
  }
  return variants;
}

function dashTexts(text: string): readonly string[] {
  const pieces = text.split(OPTION_DASH);
  return pieces
    .slice(1)
    .reduce<string[]>(
      (begun, piece) => begun.flatMap((head) => DASHES.map((dash) => head + dash + piece)),
      [pieces[0] ?? ''],
    );
}
