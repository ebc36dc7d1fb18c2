/** What the index needs to know of a group. */
type Indexed<Group> = {
  readonly key: string;
  readonly line: object;
  /** The next group of the same key, of another rule. Owned by the index. */
  sibling: Group | null;
};

/**
 * The groups of all rules of an organization that group by the same fields, by group key. An event often counts for several
 * of them: its key is looked up once, and its groups are found from each other, without another walk through a map that is
 * larger than the caches.
 */
export class GroupIndex<Group extends Indexed<Group>> {
  /** The first of the groups of a key; the others follow by `sibling`. */
  private readonly heads = new Map<string, Group>();
  private lastKey: string | null = null;
  private lastHead: Group | undefined;
  /** Watermark at which idle groups are let go next. */
  sweepMs: number = Number.NEGATIVE_INFINITY;
  /** Shortest span of its rules, ms. */
  spanMs: number = Number.POSITIVE_INFINITY;

  find(line: object, key: string): Group | undefined {
    let group: Group | null | undefined;
    if (this.lastKey === key) group = this.lastHead;
    else {
      group = this.heads.get(key);
      this.lastKey = key;
      this.lastHead = group;
    }
    while (group && group.line !== line) group = group.sibling;
    return group ?? undefined;
  }

  /** A group that `find` did not give. */
  add(group: Group): void {
    const head = this.heads.get(group.key);
    if (head === undefined) {
      this.heads.set(group.key, group);
      this.lastKey = group.key;
      this.lastHead = group;
    } else {
      group.sibling = head.sibling;
      head.sibling = group;
    }
  }

  remove(group: Group): void {
    const { key, sibling } = group;
    const head = this.heads.get(key);
    if (head === group) {
      if (sibling === null) this.heads.delete(key);
      else this.heads.set(key, sibling);
    } else {
      let before = head as Group;
      while (before.sibling !== group) before = before.sibling as Group;
      before.sibling = sibling;
    }
    group.sibling = null;
    this.lastKey = null;
  }

  /** In no particular order; the group at hand may be removed. */
  forEach(visit: (group: Group) => void): void {
    for (const head of this.heads.values()) {
      let group: Group | null = head;
      while (group !== null) {
        const next: Group | null = group.sibling;
        visit(group);
        group = next;
      }
    }
  }
}
