/**
 * The ids of logs as clients see them: `<life>-<number>`. Pure.
 *
 * A cluster begins another life when it is restored. Numbers are then given again, so a number alone would mean another log.
 * Whether a life is the present one is decided where the log is looked up: the node that is asked may not know it yet.
 */
import { Fault } from "../../../fault.ts";
import type { LogId } from "../../../types.ts";

export interface StatedId {
  readonly life: number;
  readonly id: LogId;
}

/** Largest life, and largest number. */
const partMax = 0xffff_ffff;

export const logIdText = (life: number, id: LogId): string => `${life}-${id}`;

/** @throws Fault "bad-request" for anything but an id */
export function parseLogId(text: string, field = "log_id"): StatedId {
  const [, life, id] = /^(0|[1-9]\d{0,9})-(0|[1-9]\d{0,9})$/.exec(text) ?? [];
  const stated = { life: Number(life), id: Number(id) };
  if (stated.life <= partMax && stated.id <= partMax) return stated;
  throw new Fault("bad-request", {
    message: `${field} must be the id of a log, "<life>-<number>", not "${text.slice(0, 64)}"`,
    facts: { field },
  });
}
