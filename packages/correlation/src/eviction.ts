import type { GroupTable } from './group-table.ts';
import { compareText } from './hit.ts';
import { takeLeast } from './least.ts';
import type { EngineLimits } from './limits.ts';
import { compareFamilies, type Family, type GroupRef, type Tenant } from './live-group.ts';

/** Part of a limit that is made free at once, so that a flood does not pay for a look at all groups per match. */
const FREED_PART = 1 / 16;

type Measure = 'groups' | 'bytes';
type Sized = { readonly groups: number; readonly bytes: number };

/** What has to go of one correlation in one organization. */
export type Eviction = { readonly family: Family; readonly refs: readonly GroupRef[] };

/**
 * The groups that are over a limit, in order of (rule, organization). A rule over its own limit gives up its own groups; an
 * organization over its limit those of its largest rules; an engine over its limit those of the largest organizations. So
 * whoever floods is the first to lose, and nobody below a fair share loses anything. Within a rule the groups with the fewest
 * completed steps go first, then the stalest, then by group key.
 *
 * A function of the state alone: the order in which groups came, or were loaded, does not matter. Free of cost while nothing
 * is over; else the groups of the offenders are looked at once per sixteenth of a limit that has come anew.
 */
export function overLimits(table: GroupTable, limits: EngineLimits): readonly Eviction[] {
  const { families, tenants } = table.takeCrowded();
  if (families.length === 0 && tenants.length === 0 && !table.isFull) return NOTHING;
  const gone = new Map<Family, ReadonlySet<GroupRef>>();
  const cut: Cut = { gone, left: new Left(gone), refsOf: rememberedRefs(table) };
  for (const family of families) {
    cutFamily(family, { groups: limits.ruleGroupsMax, bytes: limits.ruleBytesMax }, cut);
  }
  for (const tenant of tenants) {
    cutTenant(tenant, { groups: limits.organizationGroupsMax, bytes: limits.organizationBytesMax }, cut);
  }
  cutTable(table, { groups: limits.groupsMax, bytes: limits.bytesMax }, cut);
  return [...gone]
    .map(([family, refs]) => ({ family, refs: [...refs].sort((a, b) => compareText(a.groupKey, b.groupKey)) }))
    .sort((a, b) => compareFamilies(a.family, b.family));
}

const NOTHING: readonly Eviction[] = [];

type Cut = {
  readonly gone: Map<Family, ReadonlySet<GroupRef>>;
  readonly left: Left;
  /** All groups of a family, the same objects each time. */
  readonly refsOf: (family: Family) => readonly GroupRef[];
};

function rememberedRefs(table: GroupTable): Cut['refsOf'] {
  const known = new Map<Family, readonly GroupRef[]>();
  return (family) => {
    const refs = known.get(family) ?? [...family.groups.values(), ...table.cold.of(family)];
    known.set(family, refs);
    return refs;
  };
}

/** Sizes without what has been chosen to go. */
class Left {
  private readonly gone: ReadonlyMap<Family, ReadonlySet<GroupRef>>;

  constructor(gone: ReadonlyMap<Family, ReadonlySet<GroupRef>>) {
    this.gone = gone;
  }

  ofFamily(family: Family): Sized {
    const refs = this.gone.get(family);
    let bytes = family.bytes;
    for (const ref of refs ?? []) bytes -= ref.weight;
    return { groups: family.size - (refs?.size ?? 0), bytes };
  }

  ofTenant(tenant: Tenant): Sized {
    return total([...tenant.families].map((family) => this.ofFamily(family)));
  }
}

function total(sizes: readonly Sized[]): Sized {
  return sizes.reduce((sum, { groups, bytes }) => ({ groups: sum.groups + groups, bytes: sum.bytes + bytes }), {
    groups: 0,
    bytes: 0,
  });
}

function cutFamily(family: Family, limit: Sized, cut: Cut): void {
  for (const measure of ['groups', 'bytes'] as const) {
    const need = excess(cut.left.ofFamily(family), limit, measure);
    if (need > 0) drop(family, { need, measure }, cut);
  }
}

function cutTenant(tenant: Tenant, limit: Sized, cut: Cut): void {
  for (const measure of ['groups', 'bytes'] as const) {
    const need = excess(cut.left.ofTenant(tenant), limit, measure);
    if (need > 0) dropFair(tenant, { need, measure }, cut);
  }
}

function cutTable(table: GroupTable, limit: Sized, cut: Cut): void {
  if (!table.isFull) return;
  const tenants = [...table.tenants.values()].sort((a, b) => compareText(a.organization, b.organization));
  for (const measure of ['groups', 'bytes'] as const) {
    const sizes = tenants.map((tenant) => cut.left.ofTenant(tenant));
    const need = excess(total(sizes), limit, measure);
    if (need <= 0) continue;
    for (const [index, share] of fairShares(
      sizes.map((size) => size[measure]),
      need,
    ).entries()) {
      if (share > 0) dropFair(tenants[index] as Tenant, { need: share, measure }, cut);
    }
  }
}

/** From the limit down by the freed part; 0 while the limit is kept. */
function excess(size: Sized, limit: Sized, measure: Measure): number {
  if (size[measure] <= limit[measure]) return 0;
  return size[measure] - Math.floor(limit[measure] * (1 - FREED_PART));
}

function dropFair(tenant: Tenant, what: { readonly need: number; readonly measure: Measure }, cut: Cut): void {
  const families = [...tenant.families].sort(compareFamilies);
  const sizes = families.map((family) => cut.left.ofFamily(family)[what.measure]);
  for (const [index, need] of fairShares(sizes, what.need).entries()) {
    if (need > 0) drop(families[index] as Family, { ...what, need }, cut);
  }
}

function drop(family: Family, what: { readonly need: number; readonly measure: Measure }, { gone, refsOf }: Cut): void {
  const before = gone.get(family);
  const candidates = refsOf(family).filter((ref) => !before?.has(ref));
  const weightOf = what.measure === 'groups' ? () => 1 : (ref: GroupRef) => ref.weight;
  const least = takeLeast(candidates, what.need, { weightOf, compare: compareWorth });
  gone.set(family, new Set([...(before ?? []), ...least]));
}

/** Within one rule and organization. */
function compareWorth(a: GroupRef, b: GroupRef): number {
  return a.steps - b.steps || a.freshSeconds - b.freshSeconds || compareText(a.groupKey, b.groupKey);
}

/** What each has to give so that `need` comes together and the largest are cut down to one level. */
export function fairShares(sizes: readonly number[], need: number): readonly number[] {
  const falling = [...sizes].sort((a, b) => b - a);
  let sum = 0;
  let level = 0;
  for (const [index, size] of falling.entries()) {
    sum += size;
    level = (sum - need) / (index + 1);
    if (level >= (falling[index + 1] ?? 0)) break;
  }
  return sizes.map((size) => Math.ceil(Math.max(0, size - Math.max(0, level))));
}
