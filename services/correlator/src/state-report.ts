import { NO_WATERMARK_MS } from '@tracehound/event-model';
import type { LifecycleLogger } from '@tracehound/lifecycle';
import type { Correlator } from './correlator.ts';
import type { RuleBook } from './domain/rule-book.ts';
import type { WindowEngine } from './domain/window.ts';
import type { CorrelatorMetrics } from './metrics.ts';
import type { Clock } from './ports.ts';

export type StateReportDeps = {
  readonly correlator: Pick<Correlator, 'owners' | 'rebuilding'>;
  readonly engines: ReadonlyMap<number, WindowEngine>;
  readonly book: RuleBook;
  readonly metrics: CorrelatorMetrics;
  readonly clock: Clock;
  readonly logger: LifecycleLogger;
  /** Silence of a source after which the alarm is raised. */
  readonly alarmMs: number;
};

export type StateReport = {
  /** Sets the gauges from partition state. */
  update(): void;
  /** Text of the passing check; throws while a source holds the watermark back (X4). */
  tickSummary(): string;
};

/**
 * Gauges of the held partitions. Counters of matches come from partition state, so that they add up over crashes and
 * owners (E3). A source that stays silent holds the watermark of every window: it is named, never excluded.
 */
export function createStateReport(deps: StateReportDeps): StateReport {
  const { metrics } = deps;
  const startedAtMs = deps.clock.steadyMs();
  const silent = new Map<string, number>();
  const alarmed = new Set<string>();

  function ageMs(watermarkMs: number): number {
    const activation = deps.book.activations.latest()?.activation;
    if (watermarkMs === NO_WATERMARK_MS) return deps.clock.steadyMs() - startedAtMs;
    const claimedMs = watermarkMs + (activation?.lateness_ms ?? 0) + (activation?.clock_allowance_ms ?? 0);
    return Math.max(0, deps.clock.nowMs() - claimedMs);
  }

  function updateEngine(partition: number, engine: WindowEngine): void {
    const label = String(partition);
    for (const [outcome, count] of Object.entries(engine.counters())) {
      metrics.matches.set({ partition: label, outcome }, count);
    }
    metrics.groups.set({ partition: label }, engine.liveGroups);
    metrics.coldGroups.set({ partition: label }, engine.coldGroups);
    metrics.otherVersionGroups.set({ partition: label }, engine.otherVersionGroups);
    for (const claim of engine.sourceClaims()) {
      const source = `${claim.topic}/${claim.partition}`;
      const age = ageMs(claim.watermarkMs);
      metrics.watermarkAge.set({ partition: label, source }, age / 1_000);
      silent.set(source, Math.max(silent.get(source) ?? 0, age));
    }
  }

  function alarm(): void {
    for (const [source, age] of silent) {
      const isSilent = age > deps.alarmMs;
      metrics.tickAlarm.set({ source }, isSilent ? 1 : 0);
      if (isSilent && !alarmed.has(source)) {
        alarmed.add(source);
        deps.logger.error('a source gives no ticks and holds the watermark', { source, ageMs: age });
      } else if (!isSilent && alarmed.delete(source)) {
        deps.logger.info('a source gives ticks again', { source });
      }
    }
  }

  return {
    update() {
      silent.clear();
      metrics.watermarkAge.reset();
      for (const owner of deps.correlator.owners()) {
        const partition = String(owner.partition);
        metrics.dirtyGroups.set({ partition }, owner.dirtyCount);
        metrics.outbox.set({ partition }, owner.outboxSize);
        metrics.rebuildRemaining.set({ partition }, 0);
        const engine = deps.engines.get(owner.partition);
        if (engine !== undefined && owner.isHeld) updateEngine(owner.partition, engine);
      }
      for (const { partition, done, total } of deps.correlator.rebuilding()) {
        metrics.rebuildRemaining.set({ partition: String(partition) }, Number(total - done));
      }
      alarm();
    },
    tickSummary() {
      const [first] = alarmed;
      if (first === undefined) return `${silent.size} sources give ticks`;
      throw new Error(`${alarmed.size} sources give no ticks, among them ${first}`);
    },
  };
}
