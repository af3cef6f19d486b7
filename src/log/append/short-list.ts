/**
 * Lists that usually get one item, of which each append makes several. The first push() to an empty array makes room for 17
 * items (152 bytes); a list that begins with its first item has room for that one.
 */

/** Adds the item to the list, or begins one. */
export function withItem<T>(list: T[] | undefined, item: T): T[] {
  if (list === undefined) return [item];
  list.push(item);
  return list;
}

/** A list that has no item yet. */
export const noItems: readonly never[] = [];
