/**
 * Limits of incarnation numbers. Only a refutation raises an incarnation, by one, so an honest cluster never comes near
 * the end of the range. A forger can, and then the member could not refute any more. Therefore the last 2^20 numbers
 * are reserved for refutations.
 */

/** Larger incarnations are ignored. */
export const incarnationMax = 2 ** 31 - 1;
/** Suspect and dead messages do not raise a member's incarnation above this. */
const accusationMax = incarnationMax - 2 ** 20;
/** In the reserved range, an incarnation that is higher by more than this many missed refutations is forged. */
const refutationsMax = 1_024;

/** Returns true in the reserved range. Then the owner's reply to our exchange counts, whatever its incarnation. */
export function isForged(incarnation: number): boolean {
  return incarnation > accusationMax;
}

/** Returns whether a suspect or dead message may have this incarnation. `known` is the member's incarnation. */
export function isPlausibleAccusation(incarnation: number, known: number): boolean {
  return incarnation <= accusationMax || incarnation <= known;
}

/** Returns whether an alive message may have this incarnation. `known` is undefined if there is nothing to compare. */
export function isPlausibleAlive(incarnation: number, known: number | undefined): boolean {
  if (incarnation <= accusationMax || known === undefined) return incarnation <= incarnationMax;
  return incarnation <= Math.min(incarnationMax, known + refutationsMax);
}
