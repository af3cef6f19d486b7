/**
 * Assertions. A failed assertion is a bug, not an expected error (those are Faults). Only the entry of the process
 * catches it.
 */

export class AssertionFailed extends Error {
  override readonly name = "AssertionFailed";
}

/** Throws AssertionFailed unless `condition` holds. */
export function assert(condition: unknown, message = "broken invariant"): asserts condition {
  if (!condition) throw new AssertionFailed(message);
}
