import type { Bound, BoundRelation } from './correlation-definition.ts';

export const BOUND_RELATIONS: readonly BoundRelation[] = ['lt', 'lte', 'gt', 'gte', 'eq', 'neq'];

/** Numbers a bound is asked of: counts are whole and, once a group exists, at least 1; shares go up to 100. */
export type BoundDomain = { readonly lowest: number; readonly highest: number; readonly isWhole: boolean };

/** Equal bounds in one form: `gt: 2` of whole numbers is `gte: 3`. In the order of the relations' names. */
export function canonicalBounds(bounds: readonly Bound[], isWhole: boolean): readonly Bound[] {
  const whole = bounds.map(({ relation, value }): Bound => {
    if (isWhole && relation === 'gt') return { relation: 'gte', value: value + 1 };
    return isWhole && relation === 'lt' ? { relation: 'lte', value: value - 1 } : { relation, value };
  });
  return whole.sort((a, b) => BOUND_RELATIONS.indexOf(a.relation) - BOUND_RELATIONS.indexOf(b.relation));
}

/** False when no number of the domain meets all bounds: the rule could never speak. */
export function areSatisfiable(bounds: readonly Bound[], { lowest, highest, isWhole }: BoundDomain): boolean {
  // A solution, if there is one, is found at an end of the domain, at a bound, or right beside or between two of them.
  const points = [lowest, highest, ...bounds.map(({ value }) => value)].filter(Number.isFinite).sort((a, b) => a - b);
  const beside = isWhole
    ? points.flatMap((point) => [Math.floor(point) - 1, Math.floor(point), Math.ceil(point), Math.ceil(point) + 1])
    : points.flatMap((point, index) => [point - 1, point, (point + (points[index + 1] ?? point + 2)) / 2, point + 1]);
  return beside.some((value) => value >= lowest && value <= highest && meetsBounds(value, bounds));
}

/** Does the value meet all of them? */
export function meetsBounds(value: number, bounds: readonly Bound[]): boolean {
  return bounds.every((bound) => meets(value, bound));
}

function meets(value: number, { relation, value: bound }: Bound): boolean {
  switch (relation) {
    case 'lt':
      return value < bound;
    case 'lte':
      return value <= bound;
    case 'gt':
      return value > bound;
    case 'gte':
      return value >= bound;
    case 'eq':
      return value === bound;
    case 'neq':
      return value !== bound;
  }
}

/** More can only make it true (EXACTNESS X10): lower bounds only. */
export function areLowerOnly(bounds: readonly Bound[]): boolean {
  return bounds.every(({ relation }) => relation === 'gt' || relation === 'gte');
}
