/** Calls from SWIM to the layer above (memberlist's EventDelegate, ConflictDelegate and AliveDelegate). */
import type { Endpoint } from "../codec/address.ts";
import type { NodeRecord } from "./node-table.ts";

export interface MemberDelegate {
  /** A member that was unknown, dead or left is alive. */
  notifyJoin(record: NodeRecord): void;
  /** A member's address or meta changed. */
  notifyUpdate(record: NodeRecord): void;
  /** A member is dead or left. */
  notifyLeave(record: NodeRecord): void;
  /** Another address claims the name of a member. The claim is ignored. */
  notifyConflict(name: string, known: Endpoint, claimed: Endpoint): void;
  /** Returns true if there may be no member of this name and meta. */
  refuses(name: string, at: Endpoint, meta: Buffer): boolean;
  /** Returns whether this member has announced that it leaves. */
  isLeaving(name: string): boolean;
}
