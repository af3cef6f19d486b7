/** A cursor of a log: how far a reader has got, stored in the cluster under a name. */
import { type Client, createClient } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { type Cursor, Cursors } from "../../gen/log/v1/log_pb.js";
import type { Clock } from "../../lib/time/clock.ts";
import type { Offset } from "../../types.ts";
import type { CallOptions, RetryingCaller } from "../calls/retrying-caller.ts";
import { rpcOptions } from "../calls/rpc-options.ts";
import type { ClientLimits } from "../limits.ts";
import type { LogIdentity } from "../logs/log-identity.ts";
import { numberOf, uint64Of } from "../messages.ts";
import { optionsOf, signalOf } from "../options.ts";

/** A cursor, as its cluster describes it. */
export interface CursorDescription {
  readonly name: string;
  /** The next offset that its reader wants. */
  readonly offset: Offset;
  /** What was stored with the last commit; empty if nothing. */
  readonly metadata: string;
  /** Rises with each commit. */
  readonly version: number;
  /** In milliseconds since 1970. */
  readonly createdMs: number;
  readonly committedMs: number;
  /** The subject that created it. Empty if no caller did. */
  readonly owner: string;
}

export interface CursorCallOptions {
  /** Aborts the call with its reason. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

export interface DeleteCursorOptions extends CursorCallOptions {
  /** The version that the cursor must have. Default: any. */
  readonly version?: number | undefined;
}

export interface CommitOptions extends DeleteCursorOptions {
  /** The version that the cursor must have; 0: there must be none. Default: any. */
  readonly version?: number | undefined;
  /** Replaces what was stored before, at most 1,024 bytes. Default: nothing. */
  readonly metadata?: string | undefined;
}

export interface LogCursorOptions {
  readonly log: LogIdentity;
  readonly caller: Pick<RetryingCaller, "call">;
  readonly clock: Clock;
  readonly limits: Pick<ClientLimits, "callMs" | "attemptMs">;
}

type Work<T> = (cursors: Client<typeof Cursors>, options: ReturnType<typeof rpcOptions>) => Promise<T>;

export class LogCursor {
  readonly name: string;
  readonly #options: LogCursorOptions;

  /** @throws Fault "bad-request" for a name that is not a text, or is empty. The node checks its form. */
  constructor(name: string, options: LogCursorOptions) {
    if (typeof name !== "string" || name === "") {
      throw new Fault("bad-request", {
        message: `the name of a cursor must be a text that is not empty, not ${JSON.stringify(name)}`,
        facts: { field: "cursor" },
      });
    }
    this.name = name;
    this.#options = options;
  }

  /**
   * Returns the cursor as the last acknowledged commit left it; undefined if there is none.
   * @throws Fault "not-found" for the log, "permission-denied"
   */
  async get(options: CursorCallOptions = {}): Promise<CursorDescription | undefined> {
    const { name } = this;
    try {
      const call = { effect: "read", purpose: "append" } as const;
      const { cursor } = await this.#call(call, options, (cursors, rpc) =>
        cursors.get({ ...this.#log, name }, rpc),
      );
      return describedBy(cursor);
    } catch (reason) {
      if (reason instanceof Fault && reason.facts.reason === "NO_SUCH_CURSOR") return undefined;
      throw reason;
    }
  }

  /**
   * Sets the cursor, and creates it if there is none. Resolves once that is on the disks of a majority. With a version, a commit
   * whose outcome is unknown is not repeated.
   * @throws Fault "failed-precondition" for another version, with the present one as `found` and its `offset`; "out-of-range"
   *   beyond the end of the log; "not-found" for the log, "permission-denied"
   */
  async commit(offset: Offset, options: CommitOptions = {}): Promise<CursorDescription> {
    const { version, metadata = "" } = optionsOf<CommitOptions>(options);
    const { name } = this;
    const request = {
      ...{ name, metadata, offset: uint64Of("offset", offset) },
      ...(version === undefined ? {} : { expectedVersion: uint64Of("version", version) }),
    };
    const call = { effect: "write", purpose: "append", repeatable: version === undefined } as const;
    const { cursor } = await this.#call(call, options, (cursors, rpc) =>
      cursors.commit({ ...this.#log, ...request }, rpc),
    );
    return describedBy(cursor);
  }

  /**
   * Deletes the cursor.
   * @throws Fault "not-found" for the log or the cursor; "failed-precondition" for another version
   */
  async delete(options: DeleteCursorOptions = {}): Promise<void> {
    const { version } = optionsOf<DeleteCursorOptions>(options);
    const { name } = this;
    const stated = version === undefined ? {} : { expectedVersion: uint64Of("version", version) };
    const call = { effect: "write", purpose: "append" } as const;
    await this.#call(call, options, (cursors, rpc) => cursors.delete({ ...this.#log, name, ...stated }, rpc));
  }

  /** The log in a request, with its id once that is known. */
  get #log() {
    return this.#options.log.stated;
  }

  async #call<T>(
    call: Pick<CallOptions, "effect" | "purpose" | "repeatable">,
    options: CursorCallOptions,
    work: Work<T>,
  ): Promise<T> {
    const { log, caller, clock, limits } = this.#options;
    const signal = signalOf(optionsOf<CursorCallOptions>(options).signal);
    const within = {
      deadlineMs: clock.monotonicMs() + limits.callMs,
      ...{ attemptMs: limits.attemptMs, signal },
    };
    if (!log.isPinned) await log.pin(within, "append");
    return caller.call(
      { ...call, ...within, repeatable: call.repeatable === true && log.isPinned },
      (attempt) => work(createClient(Cursors, attempt.transport), rpcOptions(attempt)),
    );
  }
}

/** @throws Fault "unimplemented" */
function describedBy(cursor: Cursor | undefined): CursorDescription {
  if (cursor === undefined) throw new Fault("unimplemented", { message: "the node did not send the cursor" });
  return {
    ...{ name: cursor.name, metadata: cursor.metadata, owner: cursor.owner },
    offset: numberOf(cursor.offset),
    version: numberOf(cursor.version),
    createdMs: numberOf(cursor.createdMs),
    committedMs: numberOf(cursor.committedMs),
  };
}
