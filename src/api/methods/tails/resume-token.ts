/**
 * The token with which a tail of several logs is resumed. Pure.
 *
 *   token := "r" life "." index "." sent        in decimal, without leading zeros
 *
 * Everything before the batch at the Raft index, and `sent` records of it, were sent. A life ends when the cluster is
 * restored: indexes are given again then. A single log is resumed by an offset, which is no such token.
 */
import { Fault } from "../../../fault.ts";
import type { RaftPosition } from "../../../types.ts";

export interface ResumePlace extends RaftPosition {
  readonly life: number;
}

const lifeMax = 0xffff_ffff;

export const resumeToken = ({ life, index, sent }: ResumePlace): string => `r${life}.${index}.${sent}`;

/**
 * `field` is the name in the request, `others` the forms that it also has, as "start or ".
 * @throws Fault "bad-request" for anything but a token
 */
export function parseResumeToken(text: string, field = "resume", others = ""): ResumePlace {
  const number = "(0|[1-9]\\d{0,15})";
  const [, life, index, sent] = new RegExp(`^r${number}\\.${number}\\.${number}$`).exec(text) ?? [];
  const place = { life: Number(life), index: Number(index), sent: Number(sent) };
  const isValid =
    place.life <= lifeMax &&
    Number.isSafeInteger(place.index) &&
    place.index >= 1 &&
    Number.isSafeInteger(place.sent);
  if (isValid) return place;
  throw new Fault("bad-request", {
    message: `${field} must be ${others}a token that a tail of several logs has sent, "r<life>.<index>.<records>"`,
    facts: { field },
  });
}
