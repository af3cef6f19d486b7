/** Why a node refuses a connection with another, and the faults that report it. */
import { Fault, type FaultKind } from "../../fault.ts";

/** The reasons, which are also sent to the peer, and the kind of fault for each. */
const reasons = {
  "not-permitted": "permission-denied",
  "other-version": "unsupported-version",
  "other-group": "failed-precondition",
  "other-cluster": "failed-precondition",
  "no-cluster": "failed-precondition",
  "other-directory": "foreign-directory",
  /** The node called itself. */
  self: "failed-precondition",
  /** Another node responds at the address of a member. */
  "other-node": "failed-precondition",
  "too-many": "unavailable",
  /** The directory lacks entries that the member promised, or a later boot of it was seen. */
  "rolled-back": "foreign-directory",
  /** The directory is a duplicate of that of a running member. */
  copy: "foreign-directory",
  /** Another process with this directory may still be running. It is being checked. */
  "in-use": "unavailable",
  /** The refusing node is itself refused by its cluster. */
  "no-part": "unavailable",
} as const satisfies Record<string, FaultKind>;

export type RefusalReason = keyof typeof reasons;
export const refusalReasons = Object.keys(reasons) as RefusalReason[];

export interface Refusal {
  readonly reason: RefusalReason;
  readonly message: string;
}

/** Reads a received reason. A reason that only a later version knows counts as "not-permitted". */
export const refusalReasonOf = (text: string): RefusalReason =>
  Object.hasOwn(reasons, text) ? (text as RefusalReason) : "not-permitted";

/** The fault for a refusal by this node. */
export const refusalFault = ({ reason, message }: Refusal): Fault =>
  new Fault(reasons[reason], { message, facts: { reason } });

/** The fault for a refusal that a peer has sent: the peer refuses this node. */
export const refusedByPeer = ({ reason, message }: Refusal): Fault =>
  new Fault(reasons[reason], { message, facts: { reason, refusedByPeer: true } });
