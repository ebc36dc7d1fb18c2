import { createRequire } from 'node:module';

type RequestQueue = {
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  pending: { length: number };
  checkPendingRequests(): void;
};

const RECHECK_MS = 10;
let isQuiet = false;

/**
 * kafkajs 2.2.4 computes a negative delay in its request queue whenever nothing is throttled (tulios/kafkajs#1751):
 * Node 24 warns, and the timer comes back every millisecond for as long as the connection lives. Replaced at its source,
 * so that no warning is filtered for anybody else. Without a throttle there is nothing to come back for: a request
 * that is answered checks the queue itself.
 */
export function quietRequestQueue(): void {
  if (isQuiet) return;
  isQuiet = true;
  const require = createRequire(import.meta.url);
  const queue = require('kafkajs/src/network/requestQueue/index.js') as { prototype: object };
  const prototype = queue.prototype as { scheduleCheckPendingRequests: (this: RequestQueue) => void };
  prototype.scheduleCheckPendingRequests = function scheduleCheckPendingRequests(): void {
    if (this.throttleCheckTimeoutId) return;
    const throttledMs = this.throttledUntil - Date.now();
    if (throttledMs <= 0 && this.pending.length === 0) return;
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null;
        this.checkPendingRequests();
      },
      throttledMs > 0 ? throttledMs : RECHECK_MS,
    );
  };
}
