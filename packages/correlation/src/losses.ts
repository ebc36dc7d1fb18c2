import type { CorrelationDefinition } from '@tracehound/sigma';
import type { EpisodeRange } from './group.ts';
import { compareText } from './hit.ts';
import type { Family, Live } from './live-group.ts';
import { frameOf } from './window-rule.ts';

type Range = { readonly fromMs: number; readonly toMs: number };

/** A range of one correlation in one organization in which state was let go; part of the state. */
export type Loss = Range & {
  readonly instanceKey: string;
  readonly organization: string;
  /** Watermark from which nothing more is said about the range. */
  readonly untilMs: number;
};

/**
 * Which rules are degraded, in which organizations, and from when to when: what is said about those times carries a mark.
 * Ranges of one rule and organization that follow each other become one.
 */
export class Losses {
  private readonly byFamily = new Map<string, Loss>();

  get size(): number {
    return this.byFamily.size;
  }

  add({ instance, organization }: Pick<Family, 'instance' | 'organization'>, { fromMs, toMs }: Range): void {
    const key = keyOf(instance.key, organization);
    const before = this.byFamily.get(key);
    const { spanMs } = instance.rule.definition;
    const loss = {
      instanceKey: instance.key,
      organization,
      fromMs: Math.min(fromMs, before?.fromMs ?? fromMs),
      toMs: Math.max(toMs, before?.toMs ?? toMs),
    };
    // The last episode that can reach into the range ends with its frame, and is final one span later.
    this.byFamily.set(key, { ...loss, untilMs: loss.toMs + frameOf(spanMs) + 2 * spanMs });
  }

  /** What is said about these times may differ from the exact result. */
  touches({ instance, organization }: Pick<Family, 'instance' | 'organization'>, range: Range): boolean {
    if (this.byFamily.size === 0) return false;
    const loss = this.byFamily.get(keyOf(instance.key, organization));
    return loss !== undefined && range.fromMs <= loss.toMs && loss.fromMs <= range.toMs;
  }

  /** Forgets what no record can be about any more. */
  pass(watermarkMs: number): void {
    if (this.byFamily.size === 0) return;
    for (const [key, { untilMs }] of this.byFamily) if (untilMs < watermarkMs) this.byFamily.delete(key);
  }

  /** In a fixed order. */
  list(): readonly Loss[] {
    return [...this.byFamily].sort(([a], [b]) => compareText(a, b)).map(([, loss]) => loss);
  }

  restore(losses: readonly Loss[]): void {
    for (const loss of losses) this.byFamily.set(keyOf(loss.instanceKey, loss.organization), loss);
  }
}

function keyOf(instanceKey: string, organization: string): string {
  return `${instanceKey}|${organization}`;
}

/**
 * The times about which results may differ when the group is gone: from the first that it still had to say something about, to
 * where nothing can be told from a window or an episode that knew its hits. Where windows depend on those before them, that is
 * the end of the frame (X10.3).
 */
export function lossOf(
  { spanMs, suppressMs }: CorrelationDefinition,
  group: { readonly live: Live; readonly ranges: readonly EpisodeRange[]; readonly watermarkMs: number },
): Range {
  const { episodes, firm, chain } = group.live;
  const frameMs = frameOf(spanMs);
  const frameEnd = (timeMs: number): number => (Math.floor(timeMs / frameMs) + 1) * frameMs;
  const from: number[] = [];
  const to: number[] = [];
  if (episodes) {
    from.push(...episodes.opens.map(({ atMs }) => atMs), ...group.ranges.map((range) => range.fromMs));
    const [first, last] = [episodes.hits[0], episodes.hits.at(-1)];
    if (first && last) {
      from.push(first.timeMs);
      to.push(last.timeMs + 2 * spanMs);
    }
    to.push(...group.ranges.map(({ lastAtMs }) => lastAtMs + spanMs));
    if (suppressMs !== null) to.push(...to.map(frameEnd));
  }
  for (const machine of [firm, chain]) {
    if (!machine || machine.isEmpty) continue;
    const { fromMs, toMs } = machine.waitingRange();
    if (machine.isUnderWay) from.push(group.watermarkMs - frameMs - spanMs);
    if (machine.waiting > 0) from.push(fromMs);
    to.push(frameEnd(Math.max(toMs, group.watermarkMs) + 2 * spanMs));
  }
  if (from.length === 0) return { fromMs: group.watermarkMs, toMs: group.watermarkMs };
  return { fromMs: Math.min(...from), toMs: Math.max(...to, ...from) };
}
