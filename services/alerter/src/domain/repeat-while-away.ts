import { isStoreAway } from '../errors.ts';

const PAUSE_MS = 250;

/**
 * Repeats work until the store takes it, or until `signal` says that the process ends; `onError` hears of every try that
 * failed. For what only this process knows, such as that a notice has been delivered; the work must be safe to repeat.
 */
export async function repeatWhileAway<T>(
  work: () => Promise<T>,
  options: { readonly signal: AbortSignal; readonly onError: (error: unknown) => void },
): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isStoreAway(error) || options.signal.aborted) throw error;
      options.onError(error);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
