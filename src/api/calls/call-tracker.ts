/**
 * A call, over any protocol: who calls, what for, until when, and its outcome. Every RPC and every plain HTTP route
 * begins and ends its calls here, so access, log line, span and metrics cannot differ.
 *
 *   begin → (work, tagging, counting) → end        begin throws when access is denied, and has ended the call then
 *
 * Cost: one object a call; a decision that was made before is one look-up. Open calls are kept in a set. When the rules
 * change, access is checked again for each, whatever it waits for: a record, a leader, a quorum.
 */
import { type AccessControl, type Identity, logObject } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import type { CallTelemetry, Protocol, Telemetry } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { AppendOrder } from "../../types.ts";
import { codeName, codeOf } from "./error-mapping.ts";
import type { MethodPermission } from "./method-permissions.ts";
import { type Listed, OpenCalls } from "./open-calls.ts";

/** One end of a connection, the same object for all its calls. */
export interface ClientConnection {
  readonly identity: Identity;
  /** Address and port. */
  readonly peer: string;
  /** Came over TLS. */
  readonly secure: boolean;
  /** What its calls that cannot last take, bytes. Written by CallTracker. */
  callBytes?: number;
}

/** What a request says about itself besides its message. */
export interface CallMeta {
  readonly protocol: Protocol;
  /** Point on the monotonic clock. */
  readonly deadlineMs?: number | undefined;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  readonly requestId?: string | undefined;
  /** The records it appends are to carry its trace. */
  readonly traceRecords?: boolean;
}

/** A call under way. */
export class Call implements Listed<Call> {
  readonly permission: MethodPermission;
  readonly client: ClientConnection;
  readonly deadlineMs: number | undefined;
  readonly traceRecords: boolean;
  readonly telemetry: CallTelemetry;
  /** Of messages, without framing. */
  bytesIn = 0;
  bytesOut = 0;
  /** Ends the call with this fault. Set by the code that serves it, as soon as it waits for something. */
  onRevoked: ((fault: Fault) => void) | undefined;
  /** Why the rules, changed since the call began, do not allow it any more. Read before the call's work begins. */
  revoked: Fault | undefined;
  /** As of its method, or set for a single call that may last: a server that stops ends it. */
  long: boolean;
  ended = false;
  before: Call | undefined;
  behind: Call | undefined;
  /** Of a stream of appends: keeps them in order, and ends with the call. */
  order: AppendOrder | undefined;
  /** Counted in the memory budget, bytes; and among the calls of its connection that cannot last. */
  counted = 0;
  countedAlone = false;

  constructor(
    permission: MethodPermission,
    client: ClientConnection,
    meta: CallMeta,
    telemetry: CallTelemetry,
  ) {
    this.permission = permission;
    this.client = client;
    this.deadlineMs = meta.deadlineMs;
    this.traceRecords = meta.traceRecords ?? false;
    this.telemetry = telemetry;
    this.long = permission.long;
  }

  get subject(): string {
    return this.client.identity.subject;
  }

  /** Throws when the call was revoked, as while its request was read: nothing ended it then. */
  requireAllowed(): void {
    if (this.revoked !== undefined) throw this.revoked;
  }
}

export interface CallTrackerOptions {
  readonly access: Pick<AccessControl, "check" | "authorize" | "isAuthenticated" | "onReload">;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  /** Counts what a call takes by itself, without its messages. */
  readonly memory?: MemoryBudget | undefined;
}

/** A call with its stream, timers and closures: about 16 KiB was measured for a tail that waits. */
const callBytes = 16 * 1024;

/** Where calls begin and end. */
export class CallTracker {
  readonly #options: CallTrackerOptions;
  readonly #open = new OpenCalls<Call>();
  readonly #stopListening: () => void;

  constructor(options: CallTrackerOptions) {
    this.#options = options;
    this.#stopListening = options.access.onReload(() => this.#askAgain());
  }

  /** Calls under way. */
  get openCalls(): number {
    return this.#open.size;
  }

  /** Begins a call. Throws Fault "unauthenticated", "permission-denied" or "overloaded", having ended it. */
  beginCall(permission: MethodPermission, client: ClientConnection, meta: CallMeta): Call {
    const telemetry = this.#options.telemetry.begin({
      method: permission.name,
      protocol: meta.protocol,
      subject: client.identity.subject,
      peer: client.peer,
      traceparent: meta.traceparent,
      tracestate: meta.tracestate,
      requestId: meta.requestId,
    });
    const call = new Call(permission, client, meta, telemetry);
    try {
      this.#demand(call);
      this.#count(call);
    } catch (reason) {
      this.endCall(call, reason);
      throw reason;
    }
    this.#open.add(call);
    return call;
  }

  /** Ends a call, well or with what was thrown. A second end does nothing. */
  endCall(call: Call, reason?: unknown): void {
    if (call.ended) return;
    const code = reason === undefined ? "ok" : codeName(codeOf(Fault.from(reason)));
    this.#end(call, code, reason);
  }

  /** Ends a call that failed before or after our own code, known by its code alone. */
  endCallWithCode(call: Call, code: string): void {
    if (!call.ended) this.#end(call, code, undefined);
  }

  #end(call: Call, code: string, reason: unknown): void {
    call.ended = true;
    if (call.order !== undefined) call.order.ended = true;
    call.onRevoked = undefined;
    this.#open.delete(call);
    if (call.counted > 0) this.#giveBack(call);
    call.telemetry.end(code, call.bytesIn, call.bytesOut, reason);
  }

  /**
   * Calls that can last take half of the budget at most, so that there is always room for those that do not; and of
   * these, one connection has a sixteenth of it at most while more than a quarter is taken.
   */
  #count(call: Call): void {
    const { memory } = this.#options;
    if (memory === undefined) return;
    const { client } = call;
    const before = client.callBytes ?? 0;
    const fits = call.long
      ? memory.mayOpenCall(callBytes)
      : memory.fits(callBytes, callBytes) && (!memory.busy || before < memory.limit / 16);
    if (!fits) throw memory.refusal("standing");
    if (!call.long) client.callBytes = before + callBytes;
    call.counted = callBytes;
    call.countedAlone = !call.long;
    memory.count("standing", callBytes);
  }

  #giveBack(call: Call): void {
    const { client, counted } = call;
    call.counted = 0;
    this.#options.memory?.count("standing", -counted);
    if (call.countedAlone) client.callBytes = (client.callBytes ?? 0) - counted;
  }

  #demand(call: Call): void {
    const { access } = this.#options;
    const { identity } = call.client;
    if (call.permission.action !== undefined) access.authorize(identity, logObject, call.permission.action);
    else if (!access.isAuthenticated(identity)) throw new Fault("unauthenticated");
  }

  /** Milliseconds left of a call, undefined when it has no deadline. */
  remainingMs(call: Call): number | undefined {
    return call.deadlineMs === undefined ? undefined : call.deadlineMs - this.#options.clock.monotonicMs();
  }

  /** Ends every long call with this fault. */
  endLong(fault: Fault): void {
    for (const call of this.#open.all()) if (call.long) call.onRevoked?.(fault);
  }

  #askAgain(): void {
    for (const call of this.#open.all()) {
      try {
        this.#demand(call);
        call.revoked = undefined;
      } catch (reason) {
        assert(reason instanceof Fault);
        call.revoked = reason;
        call.onRevoked?.(reason);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#stopListening();
  }
}
