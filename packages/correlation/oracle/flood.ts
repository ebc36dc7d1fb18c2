import { createRandom } from './random.ts';
import type { World, WorldEvent } from './world.ts';

/** Who floods: an organization, and the step of the events it sends, each with a group of its own. */
export type Flood = { readonly organization: string; readonly step: number; readonly events: number };

/** The world with a bomb of distinct keys among its events (`cardinality-bomb`). */
export function flooded(world: World, seed: number, { organization, step, events }: Flood): World {
  const random = createRandom(seed ^ 0x3c6ef372);
  const bomb = Array.from({ length: events }, (_, index): WorldEvent => {
    const near = random.pick(world.events);
    return {
      ...near,
      id: `bomb-${index}`,
      organization,
      // Now and then a key comes a second time, so that its group has come further than others.
      group: `["s:bomb-${random.chance(0.2) ? random.below(events) : index}"]`,
      steps: [step],
    };
  });
  return { ...world, events: [...world.events, ...bomb] };
}
