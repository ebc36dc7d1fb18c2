import type { CorrelationDefinition } from '@tracehound/sigma';
import { frameEndMs } from './firm/firm-mode.ts';
import type { EpisodeRange } from './group.ts';
import { compareText } from './hit.ts';
import type { Family, Live } from './live-group.ts';
import { frameOf } from './window-rule.ts';

/** Event times, both ends in. */
export type Range = { readonly fromMs: number; readonly toMs: number };

/** A range of one correlation in one organization in which state or matches were let go; part of the state. */
export type Loss = Range & {
  readonly instanceKey: string;
  readonly organization: string;
  /** Reason of the degraded range; with `:` and more, where one reason has several ranges. */
  readonly cause: string;
  /** Watermark from which nothing more is said about the range. */
  readonly untilMs: number;
};

type Who = Pick<Family, 'instance' | 'organization'>;

/**
 * Which rules are degraded, in which organizations, and from when to when: what is said about those times carries a mark.
 * Ranges of one cause that follow each other become one.
 */
export class Losses {
  private readonly byFamily = new Map<string, Map<string, Loss>>();

  add({ instance, organization }: Who, cause: string, { fromMs, toMs }: Range): void {
    const before = this.get({ instance, organization }, cause);
    const hull = { fromMs: Math.min(fromMs, before?.fromMs ?? fromMs), toMs: Math.max(toMs, before?.toMs ?? toMs) };
    this.put({ ...hull, instanceKey: instance.key, organization, cause, untilMs: saidUntilMs(instance, hull.toMs) });
  }

  get({ instance, organization }: Who, cause: string): Loss | undefined {
    return this.byFamily.get(keyOf(instance.key, organization))?.get(cause);
  }

  /** Why what is said about these times may differ from the exact result; undefined when it does not. */
  causeAt({ instance, organization }: Who, range: Range): string | undefined {
    if (this.byFamily.size === 0) return undefined;
    for (const loss of this.byFamily.get(keyOf(instance.key, organization))?.values() ?? [])
      if (range.fromMs <= loss.toMs && loss.fromMs <= range.toMs) return reasonOf(loss.cause);
    return undefined;
  }

  /** Forgets what no record can be about any more. */
  pass(watermarkMs: number): void {
    if (this.byFamily.size === 0) return;
    for (const [key, losses] of this.byFamily) {
      for (const [cause, { untilMs }] of losses) if (untilMs < watermarkMs) losses.delete(cause);
      if (losses.size === 0) this.byFamily.delete(key);
    }
  }

  /** In a fixed order. */
  list(): readonly Loss[] {
    return [...this.byFamily.values()]
      .flatMap((losses) => [...losses.values()])
      .sort(
        (a, b) =>
          compareText(a.instanceKey, b.instanceKey) ||
          compareText(a.organization, b.organization) ||
          compareText(a.cause, b.cause),
      );
  }

  restore(losses: readonly Loss[]): void {
    for (const loss of losses) this.put(loss);
  }

  private put(loss: Loss): void {
    const key = keyOf(loss.instanceKey, loss.organization);
    const losses = this.byFamily.get(key) ?? new Map<string, Loss>();
    this.byFamily.set(key, losses.set(loss.cause, loss));
  }
}

/** `lossOf` a group that only waits for more hits, without a look at them. */
export function lossOfWaiting(
  { spanMs, suppressMs }: CorrelationDefinition,
  { firstMs, newestMs }: { readonly firstMs: number; readonly newestMs: number },
): Range {
  const toMs = newestMs + 2 * spanMs;
  return { fromMs: firstMs, toMs: suppressMs === null ? toMs : frameEndMs(toMs, spanMs) };
}

function keyOf(instanceKey: string, organization: string): string {
  return `${instanceKey}|${organization}`;
}

function reasonOf(cause: string): string {
  return cause.split(':', 1)[0] as string;
}

/** The last episode that can reach into a range ends with its frame, and is final one span later. */
export function saidUntilMs({ rule }: Pick<Family['instance'], 'rule'>, toMs: number): number {
  const { spanMs } = rule.definition;
  return toMs + frameOf(spanMs) + 2 * spanMs;
}

/**
 * The times about which results may differ when hits between two times are missing. An episode that ends up to one span before
 * them may have gone on with them.
 */
export function withheldLoss({ window, rule }: Pick<Family['instance'], 'window' | 'rule'>, hits: Range): Range {
  const { spanMs, suppressMs } = rule.definition;
  const toMs = hits.toMs + 2 * spanMs;
  // Where windows depend on those before them, they begin anew with the frame (X10.3).
  const depends = window === null || suppressMs !== null;
  return { fromMs: hits.fromMs - spanMs, toMs: depends ? frameEndMs(toMs, spanMs) : toMs };
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
  const frameEnd = (timeMs: number): number => frameEndMs(timeMs, spanMs);
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
