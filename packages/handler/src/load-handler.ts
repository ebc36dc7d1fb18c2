import { pathToFileURL } from 'node:url';
import type { Handler } from './handler.ts';

/** The default export of a module. @throws TypeError that says what a handler module must look like. */
export async function loadHandler(file: string): Promise<Handler> {
  const module: unknown = await import(pathToFileURL(file).href);
  const found = typeof module === 'object' && module !== null && 'default' in module ? module.default : undefined;
  if (isHandler(found)) return found;
  throw new TypeError(`${file}: a handler module has 'export default defineHandler({ name, topics, handle })'`);
}

function isHandler(value: unknown): value is Handler {
  if (typeof value !== 'object' || value === null) return false;
  const { name, topics, handle } = value as Partial<Record<keyof Handler, unknown>>;
  return typeof name === 'string' && Array.isArray(topics) && typeof handle === 'function';
}
