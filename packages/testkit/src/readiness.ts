import { waitFor } from './wait-for.ts';

/**
 * Until the readiness of a service is this and its report says all of these words; `meanwhile` runs before every look.
 * `internal` is the URL of its internal port.
 */
export function untilReadiness(
  internal: string,
  wanted: {
    readonly ready: boolean;
    readonly says?: readonly string[];
    readonly meanwhile?: () => Promise<void>;
    /** Default 60 s. */
    readonly timeoutMs?: number;
  },
): Promise<unknown> {
  const { ready, says = [], meanwhile = async () => undefined, timeoutMs = 60_000 } = wanted;
  return waitFor(
    async () => {
      await meanwhile();
      const answer = await fetch(`${internal}/health/ready`);
      const text = await answer.text();
      return answer.ok === ready && says.every((words) => text.includes(words));
    },
    { what: `readiness ${ready} ${says.join(', ')}`, timeoutMs },
  );
}
