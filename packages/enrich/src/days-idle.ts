import { DAY_MS, type Enricher } from './enricher.ts';

/** State is written at most once an hour per account. */
const GRAIN_MS = 3_600_000;

/**
 * `days_idle`: whole days since the account last did anything that succeeded; absent for an account never seen. A refused login is
 * somebody's attempt, not the account's activity: it must not wake a dormant account. State: that time.
 */
export const daysIdle: Enricher = {
  name: 'days-idle-2',
  fields: ['days_idle'],
  keptMs: 400 * DAY_MS,
  keyOf: ({ actorId, outcome }) => (outcome === 'FAILURE' ? null : actorId),
  step(state, { timeMs, eventType }) {
    const lastMs = state === null ? null : Number(state);
    const isMoved = lastMs === null || timeMs - lastMs >= GRAIN_MS;
    const isLogin = eventType === 'auth.login.success';
    const idleDays = lastMs === null ? null : Math.max(0, Math.floor((timeMs - lastMs) / DAY_MS));
    return {
      state: isMoved ? String(timeMs) : (state as string), // Not null: then it is moved.
      values: isLogin && idleDays !== null ? { days_idle: String(idleDays) } : {},
    };
  },
};
