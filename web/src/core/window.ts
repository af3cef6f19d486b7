/**
 * The arithmetic of a windowed list: which items are on screen, and the scroll position when items are added or removed.
 * Heights are CSS pixels; all rows have the same height.
 */

export interface Window {
  /** Index of the first item to draw. */
  readonly start: number;
  /** One past the last. */
  readonly end: number;
}

/** The items to draw for a viewport, with a margin on both sides. */
export function visibleWindow(
  count: number,
  scrollTop: number,
  viewHeight: number,
  rowHeight: number,
  margin: number,
): Window {
  const start = Math.min(count, Math.max(0, Math.floor(scrollTop / rowHeight) - margin));
  const end = Math.max(start, Math.min(count, Math.ceil((scrollTop + viewHeight) / rowHeight) + margin));
  return { start, end };
}

/** Returns true if the scroll position is within half a row of the end. */
export function atEnd(count: number, scrollTop: number, viewHeight: number, rowHeight: number): boolean {
  return count * rowHeight - scrollTop - viewHeight <= rowHeight / 2;
}

/** The scroll position that shows the last item at the bottom. */
export function endScroll(count: number, viewHeight: number, rowHeight: number): number {
  return Math.max(0, count * rowHeight - viewHeight);
}

/** The scroll position nearest to the present one that shows item `index` whole. */
export function revealScroll(
  index: number,
  scrollTop: number,
  viewHeight: number,
  rowHeight: number,
): number {
  const top = index * rowHeight;
  if (top < scrollTop) return top;
  return top + rowHeight > scrollTop + viewHeight ? top + rowHeight - viewHeight : scrollTop;
}

/** Where the scroll must go so that the same items stay in view after `dropped` items left the front. */
export function anchoredScroll(scrollTop: number, dropped: number, rowHeight: number): number {
  return Math.max(0, scrollTop - dropped * rowHeight);
}
