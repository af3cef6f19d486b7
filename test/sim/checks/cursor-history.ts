/**
 * The cursors of a simulated cluster: what the committed frames make of them, by a model of its own, and what clients were told.
 * Every commit has a metadata that no other one has. A cursor of the log of an id and a name goes through states: absent, a
 * version with an offset, the next one, and absent again. Each state begins with a frame.
 */
import { batchKind } from "../../../src/log/mod.ts";
import type { LogId, Offset, RaftIndex } from "../../../src/types.ts";
import type { NamedFrame, NamedHistory } from "./named-history.ts";
import { Violation } from "./violation.ts";

/** A log of this id, and a cursor of it. */
export interface CursorKey {
  readonly log: LogId;
  readonly cursor: string;
}

/** A cursor as clients see it; version 0: there is none. */
export interface SeenCursor {
  readonly version: RaftIndex;
  readonly offset: Offset;
  readonly metadata: string;
}

interface State extends SeenCursor {
  /** The frame that began it; 0 for the first one. */
  readonly index: RaftIndex;
  readonly id: LogId;
  /** When it was committed: the timestamp of a frame that was stamped as an old one, otherwise the true time. */
  readonly liveMs: number;
}

export interface CursorCommitCall extends CursorKey {
  readonly metadata: string;
  readonly offset: Offset;
  /** The version that the cursor must have. Undefined: any. */
  readonly expected: RaftIndex | undefined;
  /** What clients knew of the cursor when it was invoked. */
  readonly floor: RaftIndex;
  outcome: "open" | "acked" | "not-written" | "unknown";
  version: RaftIndex | undefined;
}

export interface CursorDeleteCall extends CursorKey {
  readonly expected: RaftIndex | undefined;
  readonly floor: RaftIndex;
}

/** After so long without a commit, a cursor goes. */
export const cursorIdleMs = 30 * 24 * 3_600_000;
/** A clock that is trusted is this far from the true time at most. */
const trustedOffMsMax = 10_500;
/** Frames with a timestamp this long ago are stamped as old ones. No clock leaps that far. */
const oldMs = 20 * 24 * 3_600_000;

const none = { version: 0, offset: 0, metadata: "" } as const;
const absent: State = { ...none, index: 0, id: 0, liveMs: 0 };

export class CursorHistory {
  readonly #named: Pick<NamedHistory, "logs">;
  /** The states of each cursor, oldest first. */
  readonly #states = new Map<string, State[]>();
  /** The cursor of each id that one ever had. */
  readonly #keys = new Map<LogId, string>();
  readonly #calls = new Map<string, CursorCommitCall>();
  /** How often a client asked for the delete of a cursor. */
  readonly #deletes = new Map<string, number>();
  /** The highest index that a client knows of a cursor. */
  readonly #told = new Map<string, RaftIndex>();
  readonly #mark: (name: string) => void;
  /** How many commits were acknowledged. */
  acks = 0;

  constructor(named: Pick<NamedHistory, "logs">, mark: (name: string) => void) {
    this.#named = named;
    this.#mark = mark;
  }

  /** A frame was committed. Each one is given once, in the order of the common log. Returns false if it is about no cursor. */
  committed(frame: NamedFrame, index: RaftIndex, trueMs: number): boolean {
    const { id, kind, deletes, cursor } = frame;
    const known = this.#keys.get(id);
    if (kind === batchKind.createLog && known !== undefined) fail("id-reused", `${id} was cursor ${known}`);
    if (cursor !== undefined) this.#moved({ ...frame, cursor }, index, trueMs);
    else if (known === undefined) return false;
    else if (kind === batchKind.deleteLog) this.#removed(known, id, deletes!.upTo, index, trueMs);
    else fail("frame-of-cursor", `${kind} of ${known}`);
    return true;
  }

  #moved(
    { id, cursor, timestampMs }: NamedFrame & { readonly cursor: NonNullable<NamedFrame["cursor"]> },
    index: RaftIndex,
    trueMs: number,
  ): void {
    const { offset, metadata = "", created } = cursor;
    const known = this.#keys.get(id);
    if (created === undefined && known === undefined) fail("cursor-not-created", `${id} moves to ${offset}`);
    if (created !== undefined && (known !== undefined || this.#named.logs.has(id)))
      fail("id-reused", `${id} for cursor ${created.name} of ${created.log}`);
    const key = created === undefined ? known! : keyOf({ log: created.log, cursor: created.name });
    const before = this.#last(key);
    if (created !== undefined && before.version > 0)
      fail("cursor-created-twice", `${key} is ${before.id}, and ${id}`);
    if (created === undefined && before.id !== id) fail("cursor-moved-deleted", `${key} ${id}`);
    const call = this.#calls.get(metadata);
    if (call === undefined) fail("cursor-invented", `${key} is ${metadata}`);
    if (keyOf(call) !== key || call.offset !== offset)
      fail("cursor-changed", `${key} is ${offset}, ${keyOf(call)} is to be ${call.offset}`);
    if (call.outcome === "not-written") fail("cursor-not-written-appears", `${key} is ${metadata}`);
    if (call.expected !== undefined && call.expected !== before.version)
      fail("cursor-version-ignored", `${key} had ${before.version}, and ${call.expected} was expected`);
    if (this.#states.get(key)?.some((state) => state.metadata === metadata))
      fail("cursor-committed-twice", `${key} is ${metadata} again`);
    this.#keys.set(id, key);
    const liveMs = timestampMs < trueMs - oldMs ? timestampMs : trueMs;
    this.#add(key, { index, id, version: index, offset, metadata, liveMs });
  }

  #removed(key: string, id: LogId, upTo: RaftIndex | undefined, index: RaftIndex, trueMs: number): void {
    const last = this.#last(key);
    if (last.id !== id) fail("cursor-deleted-twice", `${key} ${id}`);
    if (upTo === undefined && (this.#deletes.get(key) ?? 0) === 0)
      fail("cursor-deleted-unasked", `${key} with version ${last.version}`);
    if (upTo !== undefined && last.version > upTo) {
      this.#mark("cursor-expiry-passed-over");
      return;
    }
    const log = Number(key.split("/", 1)[0]);
    const isLogThere = log === 0 || this.#named.logs.get(log)?.deleted === false;
    if (upTo !== undefined && isLogThere) {
      const dueMs = last.liveMs + cursorIdleMs;
      if (trueMs + trustedOffMsMax < dueMs)
        fail("cursor-expired-early", `${key} at ${trueMs}, due at ${dueMs}`);
      this.#mark("cursor-expired");
    } else if (upTo !== undefined) this.#mark("cursor-of-deleted-log-deleted");
    this.#add(key, { ...absent, index });
  }

  /** Begins a commit. `metadata` is used once. */
  committing(
    call: Pick<CursorCommitCall, "log" | "cursor" | "metadata" | "offset" | "expected">,
  ): CursorCommitCall {
    const begun: CursorCommitCall = { ...call, floor: this.floor(call), outcome: "open", version: undefined };
    this.#calls.set(call.metadata, begun);
    return begun;
  }

  /** A commit was acknowledged. */
  acked(call: CursorCommitCall, seen: SeenCursor): void {
    const { metadata, offset, floor } = call;
    const key = keyOf(call);
    call.outcome = "acked";
    call.version = seen.version;
    this.acks++;
    if (seen.metadata !== metadata || seen.offset !== offset)
      fail(
        "cursor-of-another",
        `${key} ${metadata} at ${offset} is answered with ${seen.metadata} at ${seen.offset}`,
      );
    if (seen.version <= floor) fail("cursor-before-known", `${key} has ${seen.version}, after ${floor}`);
    this.#tell(key, seen.version);
  }

  failed(call: CursorCommitCall, written: "no" | "unknown"): void {
    call.outcome = written === "no" ? "not-written" : "unknown";
    if (written === "no" && this.#states.get(keyOf(call))?.some(({ metadata }) => metadata === call.metadata))
      fail("cursor-not-written-appears", `${keyOf(call)} is ${call.metadata}`);
  }

  /** Begins a delete. */
  deleting(call: Omit<CursorDeleteCall, "floor">): CursorDeleteCall {
    const key = keyOf(call);
    this.#deletes.set(key, (this.#deletes.get(key) ?? 0) + 1);
    return { ...call, floor: this.floor(call) };
  }

  /** A delete was acknowledged. */
  deleted(call: CursorDeleteCall): void {
    const key = keyOf(call);
    const states = this.#statesOf(key);
    const at = states.findIndex(
      ({ index, version }, place) =>
        index > call.floor &&
        version === 0 &&
        (call.expected === undefined || states[place - 1]?.version === call.expected),
    );
    if (at < 0) fail("cursor-delete-lost", `${key} with version ${call.expected}, after ${call.floor}`);
    this.#tell(key, states[at]!.index);
  }

  /**
   * A client was shown a cursor, or that there is none: by a read or by a refusal. The state is committed. A fresh answer has a
   * `floor`: the state was not replaced before the client began.
   */
  seen(key: CursorKey, seen: SeenCursor | undefined, floor: RaftIndex | undefined): void {
    const { version, offset, metadata } = seen ?? none;
    const name = keyOf(key);
    const states = this.#statesOf(name);
    const isShown = (state: State): boolean =>
      state.version === version &&
      (version === 0 || (state.offset === offset && state.metadata === metadata));
    if (!states.some(isShown)) fail("cursor-uncommitted", `${name} has ${version} at ${offset}`);
    if (floor === undefined) return;
    const isCurrent = (at: number): boolean => (states[at + 1]?.index ?? Number.POSITIVE_INFINITY) > floor;
    const state = states.find((one, at) => isShown(one) && isCurrent(at));
    if (state === undefined) fail("cursor-stale", `${name} has ${version}, but ${floor} was known before`);
    this.#tell(name, state.index);
  }

  /** A commit or a delete was refused: the cursor has the version `found`, and not the one that was expected. */
  refused(call: CursorDeleteCall, found: RaftIndex): void {
    const key = keyOf(call);
    if (found === call.expected) fail("cursor-refused", `${key} has ${found}, which was expected`);
    const state = this.#statesOf(key).findLast(({ version }) => version === found);
    if (state === undefined) fail("cursor-refused-uncommitted", `${key} has ${found}`);
    this.seen(call, state, call.floor);
  }

  /** What clients know of a cursor. */
  floor(key: CursorKey): RaftIndex {
    return this.#told.get(keyOf(key)) ?? 0;
  }

  /** The version of a cursor that a client could know, and the one before it. */
  versions(key: CursorKey): readonly RaftIndex[] {
    const states = this.#statesOf(keyOf(key));
    return states.slice(-2).map(({ version }) => version);
  }

  /** Cursors that are there, and when they are due. */
  due(): readonly (CursorKey & { readonly dueMs: number })[] {
    return [...this.#states].flatMap(([key, states]) => {
      const { version, liveMs } = states.at(-1)!;
      const [log = "", cursor = ""] = key.split("/");
      return version === 0 ? [] : [{ log: Number(log), cursor, dueMs: liveMs + cursorIdleMs }];
    });
  }

  /** Checks all acknowledged commits, and the cursors that a server has at the end. */
  check(server: string, found: ReadonlyMap<string, SeenCursor>): void {
    for (const call of this.#calls.values()) {
      if (call.outcome !== "acked") continue;
      const key = keyOf(call);
      const states = this.#statesOf(key);
      const at = states.findIndex(({ version }) => version === call.version);
      if (at < 0 || states[at]!.metadata !== call.metadata)
        fail("cursor-acked-lost", `${key} ${call.metadata} was acknowledged with version ${call.version}`);
    }
    for (const [key, states] of this.#states) {
      const [one, other] = [states.at(-1)!, found.get(key) ?? none].map(({ version, offset, metadata }) =>
        JSON.stringify([version, offset, metadata]),
      );
      if (one !== other) fail("cursors-differ", `${key} is ${one}, and ${other} on ${server}`);
    }
    for (const key of found.keys())
      if (!this.#states.has(key)) fail("cursor-invented", `${key} on ${server}`);
  }

  #statesOf(key: string): readonly State[] {
    return [absent, ...(this.#states.get(key) ?? [])];
  }

  #last(key: string): State {
    return this.#states.get(key)?.at(-1) ?? absent;
  }

  #add(key: string, state: State): void {
    const states = this.#states.get(key);
    if (states === undefined) this.#states.set(key, [state]);
    else states.push(state);
  }

  #tell(key: string, index: RaftIndex): void {
    this.#told.set(key, Math.max(this.#told.get(key) ?? 0, index));
  }
}

export const keyOf = ({ log, cursor }: CursorKey): string => `${log}/${cursor}`;

function fail(invariant: string, detail: string): never {
  throw new Violation(invariant, `cursors: ${detail}`);
}
