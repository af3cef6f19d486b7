/**
 * The token of a session for a named log: what a client has seen, as a place in one life of the cluster. Pure.
 *
 *   token := "s" life "." index            in decimal, without leading zeros
 *
 * An offset would not do: the log that has the name now can be another one, and would be waited for. The log `default` is
 * always the same one, so its sessions state an offset.
 */
import { Fault } from "../../../fault.ts";
import type { SeenPlace } from "../../../types.ts";

const lifeMax = 0xffff_ffff;

export const seenToken = ({ life, index }: SeenPlace): string => `s${life}.${index}`;

/** @throws Fault "bad-request" for anything but a token */
export function parseSeenToken(text: string): SeenPlace {
  const [, life, index] = /^s(0|[1-9]\d{0,9})\.([1-9]\d{0,15})$/.exec(text) ?? [];
  const place = { life: Number(life), index: Number(index) };
  if (place.life <= lifeMax && Number.isSafeInteger(place.index)) return place;
  throw new Fault("bad-request", {
    message: 'seen_token must be the token of a response about a named log, "s<life>.<index>"',
    facts: { field: "seen_token" },
  });
}
