/**
 * The refusals by a quota. What a quota counts can still fail, so a refusal is decided again once all of it is settled. It waits
 * no longer than its caller, and a limited number of them wait.
 */
import { Fault } from "../../fault.ts";
import type { LogQuotas } from "./log-quotas.ts";
import { roomAgain } from "./log-refusals.ts";
import type { LogTurns } from "./log-turns.ts";

export interface QuotaRefusalPorts {
  readonly quotas: Pick<LogQuotas, "settled">;
  readonly turns: Pick<LogTurns, "before">;
  /** Rejects with the refusal once it is certain that this node was the leader. */
  readonly refuse: (refusal: () => unknown) => Promise<never>;
}

const waitingMax = 4_096;

export class QuotaRefusals {
  readonly #ports: QuotaRefusalPorts;
  #waiting = 0;

  constructor(ports: QuotaRefusalPorts) {
    this.#ports = ports;
  }

  /**
   * Rejects with `refusal`, which decides by what is committed then.
   * @throws the refusal; Fault "unavailable" if there is room again; "deadline" (not written); "overloaded" while too many wait
   */
  async refuse(refusal: () => Fault | undefined, deadlineMs: number | undefined): Promise<never> {
    if (this.#waiting >= waitingMax) {
      throw new Fault("overloaded", {
        message: `${this.#waiting} requests wait until it is certain that a quota is used up, and no more can wait. Try again later`,
      });
    }
    this.#waiting++;
    const refused = this.#refuseSettled(refusal).finally(() => this.#waiting--);
    const late = "it was not certain in time that a quota is used up";
    return this.#ports.turns.before(deadlineMs, refused, late);
  }

  async #refuseSettled(refusal: () => Fault | undefined): Promise<never> {
    await this.#ports.quotas.settled();
    return this.#ports.refuse(() => refusal() ?? roomAgain());
  }
}
