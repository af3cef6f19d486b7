/**
 * Checks a claim that a member is dead or has left before it is accepted. This goes beyond memberlist: a forged or
 * mistaken dead message must not evict a live member. The accused member is pinged and gets the accusation with the
 * ping. A member that answers is not dead.
 */
import { encodeSuspectOrDead, type SuspectOrDead } from "../codec/messages.ts";
import { isLive, type NodeRecord } from "./node-table.ts";
import type { Pinger } from "./pinger.ts";
import type { SwimContext } from "./swim-context.ts";
import type { Transitions } from "./transitions.ts";

/** A leaving Serf agent answers pings for some seconds. After this many answered checks the leave is dropped. */
const leaveChecksMax = 6;

export class DeathChecks {
  readonly #context: SwimContext;
  readonly #pinger: Pinger;
  readonly #transitions: Transitions;

  constructor(context: SwimContext, pinger: Pinger, transitions: Transitions) {
    this.#context = context;
    this.#pinger = pinger;
    this.#transitions = transitions;
  }

  /**
   * Checks the member of `claim`. `done` gets whether it answered. It is not called if the member refuted the claim or
   * changed its state meanwhile.
   */
  check(
    record: NodeRecord,
    claim: SuspectOrDead,
    done: (answered: boolean) => void,
    waitForRefutation = false,
  ): void {
    const incarnation = Math.max(record.incarnation, claim.incarnation);
    const check = {
      cancel: (): void => {
        record.deathCheck = undefined;
      },
    };
    record.deathCheck = check;
    const accusation = encodeSuspectOrDead(claim);
    this.#pinger.checkLiveness(record, { accusation, waitForRefutation }, (answered) => {
      if (record.deathCheck !== check || this.#context.table.get(record.name) !== record) return;
      record.deathCheck = undefined;
      if (isLive(record) && record.incarnation <= incarnation) done(answered);
    });
  }

  /**
   * Checks a member that announced its leave until it stops answering, then accepts the leave. A member that does not
   * leave keeps answering, and refutes the message as soon as it gets it.
   */
  checkLeave(record: NodeRecord, claim: SuspectOrDead, checksLeft = leaveChecksMax): void {
    const done = (answered: boolean): void => {
      if (!answered) this.#transitions.markDead(record, claim);
      else if (checksLeft > 1) this.#checkLeaveLater(record, claim, checksLeft - 1);
    };
    this.check(record, claim, done, true);
  }

  #checkLeaveLater(record: NodeRecord, claim: SuspectOrDead, checksLeft: number): void {
    const { schedule, timing } = this.#context;
    const timer = schedule.after(timing.probeIntervalMs, () => {
      record.deathCheck = undefined;
      this.checkLeave(record, claim, checksLeft);
    });
    record.deathCheck = {
      cancel: () => {
        timer.cancel();
        record.deathCheck = undefined;
      },
    };
  }
}
