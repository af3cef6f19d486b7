/** Changes of one member's state: in the table, as a broadcast, and towards the layer above. */
import type { Endpoint } from "../codec/address.ts";
import { type Alive, encodeAlive, encodeSuspectOrDead, type SuspectOrDead } from "../codec/messages.ts";
import type { NodeState } from "../codec/push-pull.ts";
import type { Broadcaster } from "./broadcaster.ts";
import type { MemberDelegate } from "./member-delegate.ts";
import { isLive, type NodeRecord } from "./node-table.ts";
import type { SwimContext } from "./swim-context.ts";

export class Transitions {
  readonly #context: SwimContext;
  readonly #broadcaster: Broadcaster;
  readonly #delegate: MemberDelegate;

  constructor(context: SwimContext, broadcaster: Broadcaster, delegate: MemberDelegate) {
    this.#context = context;
    this.#broadcaster = broadcaster;
    this.#delegate = delegate;
  }

  /** Adds a member in the state dead. Returns undefined if the table is full. */
  insert(name: string, at: Endpoint, meta: Buffer, versions: Buffer): NodeRecord | undefined {
    const record: NodeRecord = {
      name,
      at: { host: at.host, port: at.port },
      meta: Buffer.from(meta),
      versions: Buffer.from(versions),
      incarnation: 0,
      state: "dead",
      stateChangedMs: this.#context.schedule.nowMs,
      suspicion: undefined,
      verified: name === this.#context.self.name,
      trustedUntilMs: 0,
      deathCheck: undefined,
    };
    return this.#context.table.add(record) ? record : undefined;
  }

  /** Sets the state, and ends the suspicion and the death check. */
  setState(record: NodeRecord, state: NodeState): void {
    record.suspicion?.timer.cancel();
    record.suspicion = undefined;
    record.deathCheck?.cancel();
    if (record.state !== state) record.stateChangedMs = this.#context.schedule.nowMs;
    record.state = state;
  }

  /** Accepts an alive message. */
  markAlive(record: NodeRecord, claim: Omit<Alive, "kind">): void {
    const wasGone = !isLive(record);
    const meta = Buffer.from(claim.meta);
    const metaChanged = !meta.equals(record.meta);
    record.at = { host: claim.at.host, port: claim.at.port };
    record.meta = meta;
    record.versions = Buffer.from(claim.versions);
    record.incarnation = claim.incarnation;
    this.setState(record, "alive");
    this.broadcastAlive(record);
    if (wasGone) this.#delegate.notifyJoin(record);
    else if (metaChanged) this.#delegate.notifyUpdate(record);
  }

  /** Accepts a dead message. The member has left if it sent the message itself. */
  markDead(record: NodeRecord, claim: SuspectOrDead): void {
    record.incarnation = claim.incarnation;
    this.setState(record, claim.from === record.name ? "left" : "dead");
    this.#broadcaster.broadcast("membership", encodeSuspectOrDead(claim), record.name);
    this.#delegate.notifyLeave(record);
  }

  broadcastAlive(record: NodeRecord, onDone?: () => void): void {
    const message = encodeAlive({ ...record, node: record.name });
    this.#broadcaster.broadcast("membership", message, record.name, onDone);
  }
}
