/**
 * Begins, tracks and ends calls of every protocol. All RPCs and HTTP routes use it, so access checks, log lines, spans and
 * metrics are the same for all.
 *
 *   beginCall → (work, byte counts) → endCall        beginCall throws if access is denied, and has then ended the call
 *
 * A call costs one object; an access decision that was made before is one look-up. When the access rules change, every
 * call in progress is checked again, whether it waits for a record, a leader or a quorum. The checks are made in turns of the
 * event loop. A call whose turn has not come does not begin its work before its log was checked.
 */
import { type AccessControl, type Identity, logObject } from "../../access/mod.ts";
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import type { CallTelemetry, Protocol, Telemetry } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { AppendOrder, LogId } from "../../types.ts";
import { codeName, codeOf } from "./error-mapping.ts";
import type { MethodPermission } from "./method-permissions.ts";
import { type Linked, OpenCalls } from "./open-calls.ts";
import type { CallTail, TailOfCall } from "./running-tails.ts";

/** The client of a connection. All calls of the connection share the object. */
export interface ClientConnection {
  readonly identity: Identity;
  /** Address and port. */
  readonly peer: string;
  /** The connection uses TLS. */
  readonly secure: boolean;
  /** Memory of the calls of this connection that are not long, in bytes. Written by CallTracker. */
  callBytes?: number;
}

/** What a request says in its headers. */
export interface CallMeta {
  readonly protocol: Protocol;
  /** On the monotonic clock. Undefined: no deadline. */
  readonly deadlineMs?: number | undefined;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  readonly requestId?: string | undefined;
  /** The appended records must carry the trace of the call. Default false. */
  readonly traceRecords?: boolean;
  /** The name of the log that the call is about. Default: every log. */
  readonly object?: string | undefined;
}

const noObjects: readonly string[] = [];

/** A call in progress. */
export class Call implements Linked<Call> {
  readonly permission: MethodPermission;
  readonly client: ClientConnection;
  readonly deadlineMs: number | undefined;
  readonly traceRecords: boolean;
  /** The object of its permission: the name of a log, or every log. Undefined while the log is not known. */
  object: string | undefined;
  /** Further objects of its permission, for a call about several logs. */
  otherObjects = noObjects;
  /** The logs that a stream names without an id. Their ids count once they are known. See LogDirectory. */
  resolved: Map<string, LogId | undefined> | undefined;
  readonly telemetry: CallTelemetry;
  /** Bytes of messages, without framing. */
  bytesIn = 0;
  bytesOut = 0;
  /** Ends the call with this fault. Set by the code that serves the call when it starts to wait. */
  onRevoked: ((fault: Fault) => void) | undefined;
  /** Why the access rules no longer allow the call. Checked again before its work begins. */
  revoked: Fault | undefined;
  /** Set while the call waits for its turn to be checked by changed rules: checks what the call does next. */
  checkFirst: ((call: Call) => void) | undefined;
  /** The call may last without bound, so a server that stops ends it. Initially as its method says. */
  long: boolean;
  /** Ends the call when its token expires. */
  expiry: Timer | undefined;
  /** What it reads, once it does so without an end. */
  tail: CallTail | undefined;
  ended = false;
  previous: Call | undefined;
  next: Call | undefined;
  /** Keeps the appends of a stream in order. It ends with the call. */
  order: AppendOrder | undefined;
  /** Counted in the memory budget, in bytes. */
  counted = 0;
  /** Also counted in the `callBytes` of its connection. */
  countedForClient = false;

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
    this.object = meta.object ?? (permission.ofLog === true ? undefined : logObject);
    this.telemetry = telemetry;
    this.long = permission.long;
  }

  get subject(): string {
    return this.client.identity.subject;
  }

  /** @throws the fault of the revocation, if the call was revoked while its request was read */
  requireAllowed(): void {
    this.checkFirst?.(this);
    if (this.revoked !== undefined) throw this.revoked;
  }
}

export interface CallTrackerOptions {
  readonly access: Pick<
    AccessControl,
    "check" | "authorize" | "authenticate" | "onReload" | "authorizeSome" | "patternsOf"
  >;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  /** Counts the fixed cost of calls, without their messages. Default: not counted. */
  readonly memory?: MemoryBudget | undefined;
}

/**
 * How many decisions one turn of the event loop makes. One of a model that only Casbin knows, which has no patterns, takes up to
 * 10 ms.
 */
export const decisionsOfTurn = (patterns: readonly string[] | undefined): number =>
  patterns === undefined ? 4 : 1_024;

/** Checks of calls in progress begin for so long in one turn of the event loop, in milliseconds. */
const checkMsMax = 5;

/** Memory of a call with its stream, timers and closures. About 16 KiB was measured for a waiting tail. */
const callBytes = 16 * 1024;

export class CallTracker {
  readonly #options: CallTrackerOptions;
  readonly #open = new OpenCalls<Call>();
  readonly #stopListening: () => void;
  /** The checks that the last change of the rules requires, of which the first are made. */
  #checks: Iterator<void> | undefined;

  constructor(options: CallTrackerOptions) {
    this.#options = options;
    this.#stopListening = options.access.onReload(() => this.#checkAgain());
  }

  /** The number of calls in progress. */
  get openCalls(): number {
    return this.#open.size;
  }

  /** A copy, the oldest call first. */
  get inProgress(): readonly Call[] {
    return this.#open.all();
  }

  beginTail(call: Call, tail: TailOfCall): void {
    call.tail = { ...tail, sinceMs: this.#options.clock.monotonicMs() };
  }

  /**
   * Begins a call.
   * @throws Fault "unauthenticated", "permission-denied", "overloaded", after it has ended the call
   */
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
    const tokenId = client.identity.token?.id;
    if (tokenId !== undefined && tokenId !== "") telemetry.tag("token", tokenId);
    const call = new Call(permission, client, meta, telemetry);
    try {
      this.#requireAccess(call);
      this.#count(call);
    } catch (reason) {
      this.endCall(call, reason);
      throw reason;
    }
    this.#open.add(call);
    this.#awaitExpiry(call);
    return call;
  }

  /** Ends a call, with `reason` if it failed. A second end does nothing. */
  endCall(call: Call, reason?: unknown): void {
    if (call.ended) return;
    const code = reason === undefined ? "ok" : codeName(codeOf(Fault.from(reason)));
    this.#end(call, code, reason);
  }

  /** Ends a call that failed outside of our code, of which only the code is known. */
  endCallWithCode(call: Call, code: string): void {
    if (!call.ended) this.#end(call, code, undefined);
  }

  #end(call: Call, code: string, reason: unknown): void {
    call.ended = true;
    if (call.order !== undefined) call.order.ended = true;
    call.onRevoked = undefined;
    call.expiry?.cancel();
    this.#open.delete(call);
    if (call.counted > 0) this.#uncount(call);
    call.telemetry.end(code, call.bytesIn, call.bytesOut, reason);
  }

  /**
   * Counts the fixed cost of a call. Long calls take at most half of the budget, so that there is always room for others.
   * Of the others, one connection may have at most a sixteenth of the budget while more than a quarter is in use.
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
    call.countedForClient = !call.long;
    memory.count("standing", callBytes);
  }

  #uncount(call: Call): void {
    const { client, counted } = call;
    call.counted = 0;
    this.#options.memory?.count("standing", -counted);
    if (call.countedForClient) client.callBytes = (client.callBytes ?? 0) - counted;
  }

  /**
   * The call goes on with this log: a name, or every log for `default`.
   * @throws Fault "permission-denied", "unauthenticated"
   */
  useLog(call: Call, object: string): void {
    call.requireAllowed();
    if (call.object === object) return;
    const { action } = call.permission;
    assert(action !== undefined, "a call about a log requires an action");
    this.#options.access.authorize(call.client.identity, object, action);
    call.object = object;
  }

  /**
   * The call is about all these logs. They are checked in turns of the event loop.
   * @throws as useLog()
   */
  async useLogs(call: Call, objects: readonly string[]): Promise<void> {
    const { clock } = this.#options;
    const checksMax = decisionsOfTurn(this.patternsOf(call));
    // Before the checks: rules that are reloaded in between are applied to all of them.
    call.otherObjects = objects;
    for (const [at, object] of objects.entries()) {
      if (at > 0 && at % checksMax === 0) await new Promise<void>((done) => workTurns(clock).wait(done));
      this.useLog(call, object);
    }
  }

  /** @throws Fault "permission-denied" for what the method does to `object`, "unauthenticated" */
  deny(call: Call, object: string): never {
    const { identity } = call.client;
    const { action = "" } = call.permission;
    this.#options.access.authenticate(identity);
    throw new Fault("permission-denied", {
      message: `"${identity.subject}" may not ${action} any log of "${object}"`,
      facts: { subject: identity.subject, object, action },
    });
  }

  /** Returns whether the caller may do this to a log. Default: what the method does. */
  mayUse(call: Call, object: string, action = call.permission.action): boolean {
    return action !== undefined && this.#options.access.check(call.client.identity, object, action);
  }

  /** The logs to which the caller may do that: see AccessControl.patternsOf(). */
  patternsOf(call: Call): readonly string[] | undefined {
    const { action } = call.permission;
    return action === undefined ? [] : this.#options.access.patternsOf(call.client.identity, action);
  }

  #requireAccess(call: Call): void {
    const { access } = this.#options;
    const { identity } = call.client;
    const { action } = call.permission;
    if (action === undefined) {
      access.authenticate(identity);
    } else if (call.object !== undefined) access.authorize(identity, call.object, action);
    else if (access.check(identity, logObject, action)) call.object = logObject;
    // Before the log is known, only callers are refused that may use no log.
    else access.authorizeSome(identity, action);
  }

  /** Checks the call again when its token expires. Thousands of calls can have the same token. */
  #awaitExpiry(call: Call): void {
    const { token } = call.client.identity;
    if (token === undefined) return;
    const { clock } = this.#options;
    const check = (): void => {
      if (call.ended) return;
      this.#checkOne(call);
      // The wall clock was set back.
      if (token.invalid() === undefined) this.#awaitExpiry(call);
    };
    call.expiry = clock.after(Math.max(1, token.leftMs()), () => {
      const turns = workTurns(clock);
      if (turns.mayBegin()) check();
      else turns.wait(check);
    });
  }

  /** Returns the milliseconds until the deadline, undefined without a deadline. */
  remainingMs(call: Call): number | undefined {
    return call.deadlineMs === undefined ? undefined : call.deadlineMs - this.#options.clock.monotonicMs();
  }

  /** Ends every long call with `fault`. */
  endLong(fault: Fault): void {
    for (const call of this.#open.all()) if (call.long) call.onRevoked?.(fault);
  }

  /** The first checks are made at once. */
  #checkAgain(): void {
    const calls = this.#open.all();
    for (const call of calls) call.checkFirst = this.#checkOne;
    const checks = this.#checksOf(calls);
    this.#checks = checks;
    this.#runChecks(checks);
  }

  #runChecks(checks: Iterator<void>): void {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + checkMsMax;
    // The rules may have changed again since.
    while (this.#checks === checks) {
      if (checks.next().done === true) this.#checks = undefined;
      else if (clock.monotonicMs() >= untilMs) {
        workTurns(clock).wait(() => this.#runChecks(checks));
        return;
      }
    }
  }

  /** Checks all calls, one decision in a step. */
  *#checksOf(calls: readonly Call[]): Generator<void, void, void> {
    for (const call of calls) {
      if (call.ended) continue;
      if (call.checkFirst !== undefined) {
        this.#checkOne(call);
        yield;
      }
      const { action } = call.permission;
      if (action === undefined) continue;
      for (const object of call.otherObjects) {
        if (call.ended || call.revoked !== undefined) break;
        this.#revokeUnless(call, () => this.#options.access.authorize(call.client.identity, object, action));
        yield;
      }
    }
  }

  /** Checks what a call of one log does. */
  readonly #checkOne = (call: Call): void => {
    call.checkFirst = undefined;
    call.revoked = undefined;
    this.#revokeUnless(call, () => this.#requireAccess(call));
  };

  #revokeUnless(call: Call, check: () => void): void {
    try {
      check();
    } catch (reason) {
      assert(reason instanceof Fault);
      call.revoked = reason;
      call.onRevoked?.(reason);
    }
  }

  [Symbol.dispose](): void {
    this.#checks = undefined;
    this.#stopListening();
  }
}
