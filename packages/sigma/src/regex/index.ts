/** Null for a pattern that the engine can run, else the reason it cannot. */
export function checkRegex(pattern: string, flags: string): string | null {
  try {
    new RegExp(pattern.replace(/^\(\?[ims]+\)/, ''), flags);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : 'the pattern cannot be read';
  }
}
