/**
 * Assertions: a crack in the wall, not weather. Never caught below the process's entry.
 */

export class AssertionFailed extends Error {
  override readonly name = "AssertionFailed";
}

/** Throws AssertionFailed unless `condition` holds. */
export function assert(condition: unknown, message = "broken invariant"): asserts condition {
  if (!condition) throw new AssertionFailed(message);
}
