import { isStoreAway } from '../errors.ts';

const PAUSE_MS = 250;

/**
 * Repeats work until the store answers, or until `signal` says that the process ends. For what only this process knows,
 * such as that a notice has been delivered; the work must be safe to repeat.
 */
export async function repeatWhileAway<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isStoreAway(error) || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
