import { setTimeout as delay } from 'node:timers/promises';
import { TracehoundError } from '@tracehound/event-model';

const RETRY_MS = 200;

/**
 * Repeats what a server that is away refuses, until `until` (ms of the wall clock): the tool that tells the story must
 * not fail where the services do not. Anything that is not retriable is thrown at once.
 */
export async function patiently<T>(until: number, act: () => T | Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof TracehoundError && error.retriable) || Date.now() > until) throw error;
      await delay(RETRY_MS);
    }
  }
}
