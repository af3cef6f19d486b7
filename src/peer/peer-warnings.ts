/** Logs warnings that peers can cause, with a limit on their rate. */
import type { Fault } from "../fault.ts";
import type { Logger } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import { RateGate } from "../lib/time/rate-gate.ts";

const linesPerSecond = 2;

export type PeerWarning = (facts: object, fault: Fault, message: string) => void;

/** The fact `unlogged` of a line is the number of warnings that were dropped before it. */
export function peerWarnings(logger: Logger, clock: Clock): PeerWarning {
  const gate = new RateGate(linesPerSecond);
  return (facts, fault, message) => {
    if (!gate.pass(clock.monotonicMs())) return;
    const unlogged = gate.takeDropped();
    logger.warn(
      { ...facts, why: fault.message, ...fault.facts, ...(unlogged > 0 ? { unlogged } : {}) },
      message,
    );
  };
}
