import type { Bound } from '@tracehound/sigma';

export function meetsBounds(value: number, bounds: readonly Bound[]): boolean {
  return bounds.every((bound) => meetsBound(value, bound));
}

function meetsBound(value: number, bound: Bound): boolean {
  switch (bound.relation) {
    case 'lt':
      return value < bound.value;
    case 'lte':
      return value <= bound.value;
    case 'gt':
      return value > bound.value;
    case 'gte':
      return value >= bound.value;
    case 'eq':
      return value === bound.value;
    case 'neq':
      return value !== bound.value;
  }
}

/** Only lower bounds: a larger value can only help. */
export function isLowerOnly(bounds: readonly Bound[]): boolean {
  return bounds.every(({ relation }) => relation === 'gt' || relation === 'gte');
}

/** The least whole number that meets lower bounds, at least 1. */
export function leastCount(bounds: readonly Bound[]): number {
  const least = bounds.map(({ relation, value }) => (relation === 'gt' ? Math.floor(value) + 1 : Math.ceil(value)));
  return Math.max(1, ...least);
}
