/**
 * The log that a client means: a name, and the id that the name has when it is first used. Every later request states the
 * id. So a retry and a resumed tail never reach another log that was given the same name.
 *
 * A subject that may only append cannot ask for the id. It learns the id from the response to its first append; until then
 * an append with an unknown outcome is not repeated.
 */
import { createClient } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { Log, Logs } from "../../gen/log/v1/log_pb.js";
import type { Offset, RaftIndex, SeenPlace } from "../../types.ts";
import { faultOf } from "../calls/fault-of.ts";
import type { Purpose } from "../calls/node-picker.ts";
import type { Attempt, CallOptions, RetryingCaller } from "../calls/retrying-caller.ts";
import { rpcOptions } from "../calls/rpc-options.ts";

/** The log that every cluster has. */
export const defaultName = "default";

/** What a request says about its log. Empty for `default`. */
export interface StatedLog {
  readonly log?: string;
  readonly logId?: string;
}

/** The limits of the call that needs the id. */
export type PinLimits = Pick<CallOptions, "deadlineMs" | "attemptMs" | "signal">;

export class LogIdentity {
  readonly name: string;
  readonly #caller: Pick<RetryingCaller, "call">;
  #id: string | undefined;
  /** The subject may not ask for the id. */
  #mayNotAsk = false;

  /**
   * With an id, the log must still have it.
   * @throws Fault "bad-request" for a name or an id that is not a text, or an id of `default`
   */
  constructor(caller: Pick<RetryingCaller, "call">, name: string, id?: string) {
    this.#caller = caller;
    this.name = checkedName(name);
    if (id !== undefined && (typeof id !== "string" || id === "" || this.isDefault)) {
      throw new Fault("bad-request", {
        message: `id must be the id of a named log, not ${JSON.stringify(id)}`,
        facts: { field: "id" },
      });
    }
    this.#id = id;
  }

  get isDefault(): boolean {
    return this.name === defaultName;
  }

  /** Undefined while it is not known, and for `default`. */
  get id(): string | undefined {
    return this.#id;
  }

  /** Whether a repeated request reaches the same log or none. */
  get isPinned(): boolean {
    return this.isDefault || this.#id !== undefined;
  }

  /** The number of the log in its batches; undefined while the id is not known. */
  get number(): number | undefined {
    if (this.isDefault) return 0;
    return this.#id === undefined ? undefined : Number(this.#id.slice(this.#id.indexOf("-") + 1));
  }

  /** Where a batch of the log with this Raft index is, as a place in the life of its id; undefined for `default`. */
  placeOf(index: RaftIndex): SeenPlace | undefined {
    if (this.isDefault || this.#id === undefined || index === 0) return undefined;
    return { life: Number(this.#id.slice(0, this.#id.indexOf("-"))), index };
  }

  get stated(): StatedLog {
    if (this.isDefault) return {};
    return this.#id === undefined ? { log: this.name } : { log: this.name, logId: this.#id };
  }

  /**
   * Takes the id of a response to an append. It is absent if the log is gone by now.
   * @throws Fault "failed-precondition", written "unknown", if it is not the known one
   */
  learn(logId = ""): void {
    if (this.isDefault || logId === "") return;
    this.#id ??= logId;
    if (this.#id === logId) return;
    throw new Fault("failed-precondition", {
      message: `the log "${this.name}" was replaced: its id is ${logId}, expected was ${this.#id}`,
      facts: { name: this.name, reason: "ANOTHER_LOG" },
      written: "unknown",
    });
  }

  /**
   * Asks the leader for the id, if it is not known. For "append" the id stays unknown if the subject may not ask.
   * @throws Fault "not-found", "unimplemented" from a node without named logs
   */
  async pin(limits: PinLimits, purpose: Purpose): Promise<void> {
    if (this.isPinned || (purpose === "append" && this.#mayNotAsk)) return;
    try {
      const log = await this.#ask(limits, (attempt) => logOn(attempt, { name: this.name }));
      this.learn(log.logId);
    } catch (reason) {
      if (!(reason instanceof Fault) || reason.kind !== "permission-denied") throw reason;
      if (purpose === "read") this.learn(await this.#ask(limits, (attempt) => readId(attempt, this.name)));
      else this.#mayNotAsk = true;
    }
  }

  /** Whether the log is closed and ends at `offset`. For a subject that may not ask, the end of the stream is enough. */
  async isClosedAt(offset: Offset, limits: PinLimits): Promise<boolean> {
    const { name, stated } = this;
    try {
      const log = await this.#ask(limits, (attempt) => logOn(attempt, { name, logId: stated.logId }));
      return log.closed && log.nextOffset <= BigInt(offset);
    } catch (reason) {
      if (reason instanceof Fault && reason.kind === "permission-denied") return true;
      throw reason;
    }
  }

  /**
   * Returns the Raft index of the last batch about the log, 0 if the log is gone; undefined while it takes records. For a subject
   * that may not ask, the end of a stream is enough: 0.
   */
  async closedAt(limits: PinLimits): Promise<RaftIndex | undefined> {
    const { name, stated } = this;
    if (this.isDefault) return undefined;
    try {
      const log = await this.#ask(limits, (attempt) => logOn(attempt, { name, logId: stated.logId }));
      return log.closed ? Number(log.version) : undefined;
    } catch (reason) {
      const { kind, facts } = Fault.from(reason);
      if (kind === "permission-denied" || kind === "not-found" || facts.reason === "ANOTHER_LOG") return 0;
      throw reason;
    }
  }

  /** A follower that lags may know an older log of this name, so the leader is asked first. */
  #ask<T>(limits: PinLimits, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    return this.#caller.call({ ...limits, purpose: "append", effect: "read" }, work);
  }
}

/**
 * Returns the name. The node checks its form.
 * @throws Fault "bad-request" if it is not a text, or empty
 */
export function checkedName(name: string): string {
  if (typeof name === "string" && name !== "") return name;
  throw new Fault("bad-request", {
    message: `the name of a log must be a text that is not empty, not ${JSON.stringify(name)}`,
    facts: { field: "name" },
  });
}

async function logOn(
  attempt: Attempt,
  request: { readonly name: string; readonly logId?: string | undefined },
) {
  const { name, logId } = request;
  const stated = logId === undefined ? { name } : { name, logId };
  try {
    const { log } = await createClient(Logs, attempt.transport).getLog(stated, rpcOptions(attempt));
    if (log !== undefined) return log;
  } catch (reason) {
    const fault = faultOf(reason, "read");
    if (fault.kind !== "unimplemented") throw fault;
  }
  throw noNamedLogs(attempt);
}

/** Returns the id from a read of the end of the log, which needs the permission `consume` only. */
async function readId(attempt: Attempt, log: string): Promise<string> {
  const request = { log, start: { case: "fromEnd", value: true }, stopAtEnd: true, markers: true } as const;
  let id = "";
  // The loop reads on to the end of the stream, which frees it.
  for await (const { logId } of createClient(Log, attempt.transport).consumeStream(
    request,
    rpcOptions(attempt),
  ))
    id = logId ?? "";
  if (id === "") throw noNamedLogs(attempt);
  return id;
}

const noNamedLogs = ({ addr }: Attempt): Fault =>
  new Fault("unimplemented", { message: `the node at ${addr} has no named logs` });
