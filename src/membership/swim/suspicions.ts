/** Suspicions with Lifeguard's timeout: each independent confirmation shortens it (memberlist's suspicion.go). */
import { encodeSuspectOrDead, type SuspectOrDead } from "../codec/messages.ts";
import type { Broadcaster } from "./broadcaster.ts";
import type { DeathChecks } from "./death-checks.ts";
import type { NodeRecord } from "./node-table.ts";
import type { SwimContext } from "./swim-context.ts";
import { suspicionBounds, suspicionTimeoutMs } from "./timing.ts";
import type { Transitions } from "./transitions.ts";

export interface SuspicionsParts {
  readonly context: SwimContext;
  readonly broadcaster: Broadcaster;
  readonly transitions: Transitions;
  readonly deathChecks: DeathChecks;
}

export class Suspicions {
  readonly #parts: SuspicionsParts;

  constructor(parts: SuspicionsParts) {
    this.#parts = parts;
  }

  /** Makes a member suspect, and broadcasts that. */
  start(record: NodeRecord, claim: SuspectOrDead): void {
    const { broadcaster, context, transitions } = this.#parts;
    const { counters, schedule, table, timing } = context;
    counters.suspicions++;
    record.incarnation = claim.incarnation;
    transitions.setState(record, "suspect");
    const bounds = suspicionBounds(timing, table.size);
    record.suspicion = {
      from: new Set([claim.from]),
      sinceMs: schedule.nowMs,
      bounds,
      timer: this.#expireAfter(record, suspicionTimeoutMs(bounds, 0)),
    };
    const suspect = encodeSuspectOrDead({ ...claim, kind: "suspect" });
    broadcaster.broadcast("membership", suspect, record.name);
  }

  /** Counts another member that suspects the same one. Members that are unknown do not count. */
  confirm(record: NodeRecord, claim: SuspectOrDead): void {
    const { broadcaster, context } = this.#parts;
    const { suspicion } = record;
    if (suspicion === undefined || suspicion.from.has(claim.from)) return;
    if (suspicion.from.size > suspicion.bounds.confirmations) return;
    if (context.table.get(claim.from) === undefined) return;
    suspicion.from.add(claim.from);
    suspicion.timer.cancel();
    const timeoutMs = suspicionTimeoutMs(suspicion.bounds, suspicion.from.size - 1);
    const leftMs = suspicion.sinceMs + timeoutMs - context.schedule.nowMs;
    suspicion.timer = this.#expireAfter(record, leftMs);
    broadcaster.broadcast("membership", encodeSuspectOrDead(claim), record.name);
  }

  /** Starts the timer early enough that the last check ends with the timeout. */
  #expireAfter(record: NodeRecord, timeoutMs: number) {
    const { schedule, timing } = this.#parts.context;
    return schedule.after(Math.max(0, timeoutMs - timing.probeTimeoutMs), () => this.#expire(record));
  }

  /** Checks the member a last time. It stays alive if it answers, whatever others say. */
  #expire(record: NodeRecord): void {
    const { context, deathChecks, transitions } = this.#parts;
    if (record.state !== "suspect" || context.table.get(record.name) !== record) return;
    const { incarnation, name: node } = record;
    const dead: SuspectOrDead = { kind: "dead", incarnation, node, from: context.self.name };
    record.deathCheck?.cancel();
    deathChecks.check(record, { ...dead, kind: "suspect" }, (answered) => {
      if (!answered) {
        transitions.markDead(record, dead);
        return;
      }
      // Without a pause, members would pass one unrefuted suspicion on to each other without end.
      record.trustedUntilMs = context.schedule.nowMs + context.timing.gossipToTheDeadMs;
      transitions.setState(record, "alive");
    });
  }
}
