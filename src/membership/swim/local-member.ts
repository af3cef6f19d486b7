/** This member itself: its incarnation, its announcements, its refutations, and its leave. */
import { encodeSuspectOrDead, protocolVersions, type SuspectOrDead } from "../codec/messages.ts";
import type { Awareness } from "./awareness.ts";
import type { Broadcaster } from "./broadcaster.ts";
import { incarnationMax } from "./incarnation.ts";
import type { MemberDelegate } from "./member-delegate.ts";
import { isLive, type NodeRecord } from "./node-table.ts";
import type { SwimContext } from "./swim-context.ts";
import type { Transitions } from "./transitions.ts";

export interface LocalMemberParts {
  readonly context: SwimContext;
  readonly broadcaster: Broadcaster;
  readonly awareness: Awareness;
  readonly transitions: Transitions;
  readonly delegate: MemberDelegate;
}

export class LocalMember {
  readonly #parts: LocalMemberParts;
  #incarnation = 0;
  #leaving = false;

  constructor(parts: LocalMemberParts) {
    this.#parts = parts;
  }

  /** True from the call of leave() on. */
  get isLeaving(): boolean {
    return this.#leaving;
  }

  /** Broadcasts that this member is alive with this meta: at the start, and whenever the meta changes. */
  announce(meta: Buffer, onDone?: () => void): void {
    const { context, delegate, transitions } = this.#parts;
    const { self, table } = context;
    const record = table.get(self.name) ?? transitions.insert(self.name, self, meta, protocolVersions);
    if (record === undefined || this.#leaving) return;
    const isFirst = this.#incarnation === 0;
    record.incarnation = ++this.#incarnation;
    record.meta = meta;
    transitions.setState(record, "alive");
    if (isFirst) delegate.notifyJoin(record);
    else delegate.notifyUpdate(record);
    transitions.broadcastAlive(record, onDone);
  }

  /** Broadcasts that this member leaves. `onDone` is called once that was transmitted often enough. */
  leave(onDone: () => void): void {
    this.#leaving = true;
    const { broadcaster, context, transitions } = this.#parts;
    const { name } = context.self;
    const record = context.table.get(name);
    if (record === undefined || !isLive(record)) {
      onDone();
      return;
    }
    transitions.setState(record, "left");
    const dead: SuspectOrDead = { kind: "dead", incarnation: record.incarnation, node: name, from: name };
    broadcaster.broadcast("membership", encodeSuspectOrDead(dead), name, onDone);
  }

  /** Refutes a message about this member with a higher incarnation. Being accused lowers the health. */
  refute(record: NodeRecord, incarnation: number): void {
    const { awareness, context, transitions } = this.#parts;
    context.counters.refutations++;
    awareness.apply(1);
    this.#incarnation = Math.min(incarnationMax, Math.max(this.#incarnation, incarnation) + 1);
    record.incarnation = this.#incarnation;
    transitions.broadcastAlive(record);
  }
}
