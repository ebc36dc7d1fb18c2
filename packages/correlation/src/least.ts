/**
 * Takes the least items of the list until their weights add up to `need`: the shortest such prefix of the whole order, in no
 * particular order. Expected O(n) calls of `compare`, where sorting all of them would cost O(n log n). Reorders the list.
 * `compare` must tell any two items apart, so that which items are taken depends on nothing else.
 */
export function takeLeast<Item>(
  items: Item[],
  need: number,
  order: { readonly weightOf: (item: Item) => number; readonly compare: (a: Item, b: Item) => number },
): Item[] {
  const { weightOf, compare } = order;
  let low = 0;
  let high = items.length;
  let rest = need;
  // Everything before `low` is taken; everything from `high` on is not.
  while (low < high && rest > 0) {
    const pivot = items[low + pick(high - low)] as Item;
    let middle = low;
    let weight = 0;
    let atPivot = low;
    for (let index = low; index < high; index++) {
      const item = items[index] as Item;
      if (item !== pivot && compare(item, pivot) > 0) continue;
      if (item === pivot) atPivot = middle;
      else weight += weightOf(item);
      items[index] = items[middle] as Item;
      items[middle] = item;
      middle++;
    }
    // The pivot is the greatest of its side: it stands right behind what is less.
    items[atPivot] = items[middle - 1] as Item;
    items[middle - 1] = pivot;
    if (weight >= rest) high = middle - 1;
    else {
      low = middle;
      rest -= weight + weightOf(pivot);
    }
  }
  return items.slice(0, low);
}

/** Spreads the pivots, so that no order of arrival makes them all bad ones. Changes the cost, never the result. */
function pick(length: number): number {
  return Math.floor(length * ((length * 0.618_033_988_749_894_9) % 1));
}
