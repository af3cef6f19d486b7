/**
 * The cursors of live reads: numbers of intervals of 20 s. Readers that wait at the same offset send the same cursor, so a cache
 * can answer all of them with one response; the next response has another one, so that no reader gets an old one again. Pure.
 */

const intervalMs = 20_000;
/** Intervals that a cursor is ahead at most, when a reader states one that is not over yet. */
const aheadMax = 180;
const originMs = Date.UTC(2024, 9, 9);

/**
 * Returns the cursor of a response. It is greater than the one that the reader stated. `spread` is any number, which spreads
 * readers over the next hour.
 */
export function nextCursor(stated: string | undefined, wallMs: number, spread: number): string {
  const present = Math.max(0, Math.floor((wallMs - originMs) / intervalMs));
  const known = stated !== undefined && /^\d{1,15}$/.test(stated) ? Number(stated) : -1;
  if (known < present) return String(present);
  return String(known + 1 + (Math.floor(Math.abs(spread)) % aheadMax));
}
