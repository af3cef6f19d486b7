/**
 * Which incarnations can be honest. They only grow, by one for each refutation, so that all of the range is never used
 * but by a forger; who drives a member to the end of it must not thereby make its refutations impossible.
 *
 * Never: decides what a claim means.
 */

/** Nothing above this is believed. */
export const incarnationMax = 2 ** 31 - 1;
/** Accusations do not raise a member's incarnation above this: the room between is for refuting. */
const accusationMax = incarnationMax - 2 ** 20;
/** Who refutes goes on by one: in that room, a longer leap is forged, unless so many refutations were missed. */
const refutationsMax = 1_024;

/** Did somebody drive it so high? Then what its owner says counts, asked at its own address, whatever the number. */
export function isForged(incarnation: number): boolean {
  return incarnation > accusationMax;
}

/** May a member be accused at this incarnation? `known`: the one that it has. */
export function plausibleAccusation(incarnation: number, known: number): boolean {
  return incarnation <= accusationMax || incarnation <= known;
}

/** May a member be alive at this incarnation? `known`: undefined when nothing can be said about it. */
export function plausibleClaim(incarnation: number, known: number | undefined): boolean {
  if (incarnation <= accusationMax || known === undefined) return incarnation <= incarnationMax;
  return incarnation <= Math.min(incarnationMax, known + refutationsMax);
}
