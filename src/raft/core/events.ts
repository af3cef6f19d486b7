/**
 * The events of a core, for logs, metrics and tests. The protocol does not depend on them. An observer is called during the
 * event and must not keep the objects in it: progress and log change afterwards.
 */
import type { Configuration } from "./configuration.ts";
import type { LogEvent, RaftLog } from "./log.ts";
import type { Progress } from "./progress.ts";
import type {
  ConfChange,
  ConfState,
  Message,
  MessageType,
  PeerId,
  RaftIndex,
  RaftRole,
  Term,
} from "./types.ts";

interface Place {
  readonly index: RaftIndex;
  readonly term: Term;
}

export type ConfChangeProblem =
  | { readonly why: "pending"; readonly pendingIndex: RaftIndex; readonly applied: RaftIndex }
  | { readonly why: "must-leave-joint" }
  | { readonly why: "not-joint" };

/**
 * Why a peer's message is impossible. It is ignored.
 *   commit-beyond-end         the leader counts on entries that are not here
 *   acknowledged-beyond-end   a follower has committed, or acknowledges, more than its leader has
 *   acknowledged-missing      a follower lacks entries that it acknowledged in this term
 *   second-leader             two nodes lead in one term
 *   not-following             entries that match by index and term, but not by content
 */
export type PeerFaultReason =
  | "commit-beyond-end"
  | "acknowledged-beyond-end"
  | "acknowledged-missing"
  | "second-leader"
  | "not-following";

export type CoreEvent =
  | LogEvent
  | { readonly kind: "peer-fault"; readonly why: PeerFaultReason; readonly message: Message }
  // Life
  | {
      readonly kind: "started";
      readonly peers: readonly PeerId[];
      readonly term: Term;
      readonly log: RaftLog;
    }
  | { readonly kind: "became"; readonly role: RaftRole; readonly term: Term }
  | { readonly kind: "configuration-switched"; readonly configuration: Configuration }
  // Elections
  | { readonly kind: "election-started"; readonly term: Term }
  | { readonly kind: "election-needless" }
  | { readonly kind: "not-promotable" }
  | { readonly kind: "election-waits-for-configuration"; readonly term: Term }
  | {
      readonly kind: "vote-requested";
      readonly last: Place;
      readonly type: MessageType;
      readonly to: PeerId;
      readonly term: Term;
    }
  | {
      readonly kind: "vote-cast" | "vote-refused" | "vote-ignored";
      readonly last: Place;
      readonly vote: PeerId;
      readonly request: Message;
      readonly term: Term;
      /** Remaining ticks of the leader's lease, if it is the reason why the request was ignored; else 0. */
      readonly remainingTicks: number;
    }
  | {
      readonly kind: "vote-received";
      readonly type: MessageType;
      readonly from: PeerId;
      readonly granted: boolean;
      readonly term: Term;
    }
  | {
      readonly kind: "votes-counted";
      readonly type: MessageType;
      readonly granted: number;
      readonly rejected: number;
    }
  | { readonly kind: "quorum-lost" }
  // Terms
  | { readonly kind: "higher-term-seen"; readonly term: Term; readonly message: Message }
  | { readonly kind: "lower-term-ignored"; readonly term: Term; readonly message: Message }
  | { readonly kind: "stale-storage-response"; readonly term: Term; readonly message: Message }
  // Replication
  | { readonly kind: "append-refused"; readonly logTerm: Term; readonly message: Message }
  | { readonly kind: "refusal-received"; readonly message: Message }
  | { readonly kind: "progress-decreased"; readonly peer: PeerId; readonly progress: Progress }
  | { readonly kind: "recovered-from-snapshot"; readonly peer: PeerId; readonly progress: Progress }
  | {
      readonly kind: "snapshot-sent";
      readonly peer: PeerId;
      readonly firstIndex: RaftIndex;
      readonly commit: RaftIndex;
      readonly snapshot: Place;
      readonly progress: Progress;
    }
  | { readonly kind: "paused-for-snapshot"; readonly peer: PeerId; readonly progress: Progress }
  | {
      readonly kind: "snapshot-delivered" | "snapshot-failed";
      readonly peer: PeerId;
      readonly progress: Progress;
    }
  | { readonly kind: "snapshot-unavailable" | "snapshot-withheld"; readonly peer: PeerId }
  /** Entries that this peer lacks are damaged here. */
  | { readonly kind: "entries-unreadable"; readonly peer: PeerId; readonly index: RaftIndex }
  | { readonly kind: "unreachable"; readonly peer: PeerId; readonly progress: Progress }
  | { readonly kind: "no-progress"; readonly peer: PeerId }
  // Snapshots received
  | { readonly kind: "snapshot-restoring"; readonly log: RaftLog; readonly snapshot: Place }
  | {
      readonly kind: "snapshot-installed" | "snapshot-fast-forwarded";
      readonly commit: RaftIndex;
      readonly last: Place;
      readonly snapshot: Place;
    }
  | {
      readonly kind: "snapshot-accepted" | "snapshot-ignored";
      readonly commit: RaftIndex;
      readonly snapshot: Place;
    }
  | { readonly kind: "snapshot-without-us"; readonly configuration: ConfState }
  // Proposals and configuration changes
  | {
      readonly kind: "proposal-dropped";
      readonly why: "no-leader" | "not-forwarding" | "transferring" | "uncommitted-limit";
      readonly term: Term;
      readonly peer: PeerId;
    }
  | {
      readonly kind: "change-refused";
      readonly change: ConfChange;
      readonly configuration: Configuration;
      readonly problem: ConfChangeProblem;
    }
  | { readonly kind: "auto-leave-started" | "auto-leave-postponed"; readonly configuration: Configuration }
  // Leader transfer
  | {
      readonly kind:
        | "transfer-started"
        | "transfer-repeated"
        | "transfer-replaced"
        | "transfer-aborted"
        | "transfer-to-self"
        | "transfer-to-learner"
        | "transfer-without-leader"
        | "timeout-now-sent"
        | "timeout-now-sent-at-once"
        | "timeout-now-received"
        | "timeout-now-ignored";
      readonly peer: PeerId;
      readonly term: Term;
    }
  // Forgetting a leader, reads
  | {
      readonly kind: "leader-forgotten" | "leader-connection-lost";
      readonly leader: PeerId;
      readonly term: Term;
    }
  | { readonly kind: "forget-refused" }
  | { readonly kind: "reads-dropped"; readonly count: number };

export type Observer = (event: CoreEvent) => void;
