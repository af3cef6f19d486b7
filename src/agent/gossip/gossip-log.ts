/**
 * Logs gossip events. A host without any permission can cause most of them, so their rate is limited, and the next line
 * counts the suppressed ones. Payloads and tags are not logged.
 */

import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { RateGate } from "../../lib/time/rate-gate.ts";
import { endpointText, type Membership, type MembershipEvent } from "../../membership/mod.ts";

const linesPerSecond = { changes: 20, problems: 1 };

/** Logs events from now on. Returns a function that ends that. */
export function logGossip(
  membership: Pick<Membership, "name" | "onEvent">,
  logger: Logger,
  clock: Clock,
): () => void {
  const changes = new RateGate(linesPerSecond.changes);
  const problems = new RateGate(linesPerSecond.problems);
  return membership.onEvent((event) => {
    if ("member" in event && event.member.name === membership.name) return;
    const level = levelOf(event);
    const gate = level === "info" ? changes : problems;
    if (!gate.pass(clock.monotonicMs())) return;
    const dropped = gate.takeDropped();
    const { facts, message } = lineOf(event);
    logger[level](dropped === 0 ? facts : { ...facts, heldBack: dropped }, message);
  });
}

function levelOf(event: MembershipEvent): "info" | "warn" | "debug" {
  if (event.kind === "conflict" || event.kind === "refused") return "warn";
  if (event.kind === "query") return "debug";
  if (event.kind !== "problem") return "info";
  // Interrupted and slow streams are ordinary. A wrong key, a full table or a full disk needs an operator.
  const isOrdinary = ["bad-request", "unavailable", "deadline"].includes(event.fault.kind);
  return isOrdinary ? "debug" : "warn";
}

function lineOf(event: MembershipEvent): { readonly facts: object; readonly message: string } {
  switch (event.kind) {
    case "conflict": {
      const { name, known, claimed } = event;
      return {
        facts: { member: name, known: endpointText(known), claimed: endpointText(claimed) },
        message: "two members claim one name; the first is kept",
      };
    }
    case "refused": {
      const { name, at, fault } = event;
      return { facts: { ...fault.facts, member: name, addr: endpointText(at) }, message: fault.message };
    }
    case "problem": {
      const { fault, from } = event;
      const err = fault.kind === "unknown" ? { err: fault } : {};
      const facts = { ...fault.facts, ...err, ...(from === undefined ? {} : { from: endpointText(from) }) };
      return { facts, message: `gossip: ${fault.message}` };
    }
    case "user-event":
      return {
        facts: { event: event.name, payloadBytes: event.payload.length, lTime: event.lTime },
        message: "user event",
      };
    case "query":
      return { facts: { query: event.query.name, from: event.query.from }, message: "query" };
    default:
      return {
        facts: { member: event.member.name, addr: endpointText(event.member) },
        message: `member ${event.kind}`,
      };
  }
}
