import { type Group, isEmptyGroup, isSilent } from './group.ts';
import type { Hit } from './hit.ts';
import type { GroupRef, Live } from './live-group.ts';
import type { WindowRule } from './window-rule.ts';

/** What a group takes in memory, estimated from its state alone, so that the limit does not depend on what is decoded. */
const GROUP_BYTES = 240;
const HIT_BYTES = 96;
const MACHINE_BYTES = 1024;

export function weightOf({ episodes, firm, chain }: Live): number {
  let machines = 0;
  if (firm) machines += MACHINE_BYTES + HIT_BYTES * firm.waiting;
  if (chain) machines += MACHINE_BYTES + HIT_BYTES * chain.waiting;
  return GROUP_BYTES + machines + (episodes ? HIT_BYTES * episodes.hits.length + 256 * episodes.thinned.size : 0);
}

/** How far a group has come: hits of a count, steps of a temporal rule; an open episode is worth more than any of them. */
export function stepsOf({ episodes, firm, chain }: Live, rule: WindowRule | null): number {
  if (!episodes) {
    const machine = firm ?? chain;
    return machine?.isUnderWay ? FAR : Math.min(machine?.waiting ?? 0, FAR - 1);
  }
  if (episodes.opens.length > 0 || (episodes.ranges?.length ?? 0) > 0) return FAR;
  const { hits } = episodes;
  if (!rule || rule.steps === 1 || hits.length > FEW) return Math.min(hits.length, FAR - 1);
  let steps = 0;
  for (let index = 0; index < hits.length; index++) {
    const { step } = hits[index] as Hit;
    let isNew = true;
    for (let before = 0; before < index && isNew; before++) isNew = (hits[before] as Hit).step !== step;
    if (isNew) steps++;
  }
  return steps;
}

const FEW = 16;
const FAR = 1000;

/** Time of the newest hit; of a machine, the time at which it will speak. */
export function freshSecondsOf({ episodes, firm, chain }: Live): number {
  const dueMs = Math.min(firm?.dueMs ?? Number.POSITIVE_INFINITY, chain?.dueMs ?? Number.POSITIVE_INFINITY);
  return Math.floor((episodes?.hits.at(-1)?.timeMs ?? dueMs) / 1000);
}

/** From the first hit to the newest. */
export function ageOf({ hits }: Group): number {
  return (hits.at(-1)?.timeMs ?? 0) - (hits[0]?.timeMs ?? 0);
}

/** Called when its due time has just been found, so that the ranges are known. */
export function outlookOf({ family }: GroupRef, { episodes, firm, chain }: Live): GroupRef['outlook'] {
  if (!episodes || firm || chain || episodes.opens.length > 0) return 'bound';
  if (family.instance.rule.definition.expect.length > 0) return 'exact';
  return isSilent(episodes) && episodes.hits.length > 0 ? 'silent' : 'exact';
}

export function isEmpty({ episodes, firm, chain }: Live): boolean {
  return (!episodes || isEmptyGroup(episodes)) && (firm?.isEmpty ?? true) && (chain?.isEmpty ?? true);
}
