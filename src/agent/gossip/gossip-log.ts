/**
 * What gossip tells, as log lines. A stranger can cause most of them, so they are rationed: what is held back is
 * counted in the next line that passes.
 *
 * Never: prints a payload or a tag.
 */

import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { RateGate } from "../../lib/time/rate-gate.ts";
import { endpointText, type Membership, type MembershipEvent } from "../../membership/mod.ts";

const linesPerSecond = { changes: 20, problems: 1 };

/** Logs every event from now on; the answer ends it. */
export function logGossip(membership: Membership, logger: Logger, clock: Clock): () => void {
  const changes = new RateGate(linesPerSecond.changes);
  const problems = new RateGate(linesPerSecond.problems);
  return membership.onEvent((event) => {
    if ("member" in event && event.member.name === membership.name) return;
    const level = levelOf(event);
    const gate = level === "info" ? changes : problems;
    if (!gate.pass(clock.monotonicMs())) return;
    const held = gate.takeDropped();
    const { facts, sentence } = lineOf(event);
    logger[level](held === 0 ? facts : { ...facts, heldBack: held }, sentence);
  });
}

function levelOf(event: MembershipEvent): "info" | "warn" | "debug" {
  if (event.kind === "conflict" || event.kind === "refused") return "warn";
  if (event.kind === "query") return "debug";
  if (event.kind !== "problem") return "info";
  // Broken and slow streams are the network's daily bread; another key, a full table or disk is somebody's to mend.
  const daily = ["bad-request", "unavailable", "deadline"].includes(event.fault.kind);
  return daily ? "debug" : "warn";
}

function lineOf(event: MembershipEvent): { readonly facts: object; readonly sentence: string } {
  switch (event.kind) {
    case "conflict": {
      const { name, known, claimed } = event;
      return {
        facts: { member: name, known: endpointText(known), claimed: endpointText(claimed) },
        sentence: "two members claim one name, the first is kept",
      };
    }
    case "refused": {
      const { name, at, fault } = event;
      return { facts: { ...fault.facts, member: name, addr: endpointText(at) }, sentence: fault.message };
    }
    case "problem": {
      const { fault, from } = event;
      const err = fault.kind === "unknown" ? { err: fault } : {};
      const facts = { ...fault.facts, ...err, ...(from === undefined ? {} : { from: endpointText(from) }) };
      return { facts, sentence: `gossip: ${fault.message}` };
    }
    case "user-event":
      return {
        facts: { event: event.name, payloadBytes: event.payload.length, lTime: event.lTime },
        sentence: "user event",
      };
    case "query":
      return { facts: { query: event.query.name, from: event.query.from }, sentence: "query" };
    default:
      return {
        facts: { member: event.member.name, addr: endpointText(event.member) },
        sentence: `member ${event.kind}`,
      };
  }
}
