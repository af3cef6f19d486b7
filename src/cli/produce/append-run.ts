/**
 * Appends the runs of one `tailrace produce` and counts what was appended, so that a fault says how far it came.
 *
 * A run is appended as a whole. If the node refuses one because of a record in it, or because the log has no room for all of it,
 * its halves are tried: so exactly the records before the first refused one are appended, as if each were sent alone. A node
 * that is overloaded takes the run later. Nothing else is repeated.
 */

import { sleep } from "../../client/calls/abortable-wait.ts";
import { backoffMs, defaultBackoff } from "../../client/calls/backoff.ts";
import { faultOf, retryDelayOf } from "../../client/calls/fault-of.ts";
import { produceBatchRequest } from "../../client/raw-batches.ts";
import { Fault, type FaultKind } from "../../fault.ts";
import type { ProduceBatchRequest, ProduceBatchResponse } from "../../gen/log/v1/log_pb.js";
import type { Prng } from "../../lib/prng.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { RecordRun } from "../../types.ts";
import { halvesOf } from "./run-builder.ts";

export interface RunTarget {
  /** What each request states about its log. */
  readonly log: { readonly log?: string; readonly logId?: string };
  readonly send: (request: ProduceBatchRequest) => Promise<ProduceBatchResponse>;
  /** Called after each append, in order. The next one waits for its promise. */
  readonly onAppended: (firstOffset: bigint, count: number) => Promise<void> | undefined;
  readonly clock: Clock;
  readonly chance: Prng;
}

/** One record can cause these faults for the whole run, or a part of the run has room. */
const partFaults: readonly FaultKind[] = [
  "bad-record",
  "bad-request",
  "too-large",
  "quota-exceeded",
  "failed-precondition",
];

/** How long a run is offered to an overloaded node, in milliseconds. */
const overloadedMsMax = 30_000;

export class RunAppender {
  readonly #target: RunTarget;
  readonly #isAtomic: boolean;
  #appended = 0;

  /** With `isAtomic` a run is never appended in parts. */
  constructor(target: RunTarget, isAtomic: boolean) {
    this.#target = target;
    this.#isAtomic = isAtomic;
  }

  /**
   * Appends the run.
   * @throws the Fault of the append. `records_before` counts the records that were appended before, `records_unknown` those of
   *   which it is not known. No record after them was sent.
   */
  async append(run: RecordRun): Promise<void> {
    const fault = await this.#append(run);
    if (fault === undefined) return;
    if (this.#isAtomic || run.count === 1 || !isPart(fault)) throw this.withProgress(fault, run.count);
    const [first, second] = halvesOf(run);
    await this.append(first);
    await this.append(second);
  }

  /** Adds to a fault how many records were appended before, and of how many it is not known; default 0. */
  withProgress(fault: Fault, unknown = 0): Fault {
    const { kind, message, facts, written, cause } = fault;
    const progress = {
      records_before: this.#appended,
      ...(written === "unknown" ? { records_unknown: unknown } : {}),
    };
    return new Fault(kind, { message, facts: { ...facts, ...progress }, written, cause });
  }
  /** Returns the fault of a run that was not appended, or of which it is not known. */
  async #append(run: RecordRun): Promise<Fault | undefined> {
    const { log, send, onAppended, clock, chance } = this.#target;
    const request = produceBatchRequest(run, undefined, undefined, log);
    const startedMs = clock.monotonicMs();
    for (let failures = 1; ; failures++) {
      let response: ProduceBatchResponse;
      try {
        response = await send(request);
      } catch (reason) {
        const fault = faultOf(reason, "write");
        const isBusy = fault.kind === "overloaded" && fault.retry;
        if (!isBusy || clock.monotonicMs() - startedMs >= overloadedMsMax) return fault;
        await sleep(clock, backoffMs(defaultBackoff, failures, chance, retryDelayOf(fault)), undefined);
        continue;
      }
      this.#appended += run.count;
      await onAppended(response.firstOffset, run.count);
      return undefined;
    }
  }
}

const isPart = ({ kind, written }: Fault): boolean => written === "no" && partFaults.includes(kind);
