/** One simulated server, and the part of the simulated cluster that identity checks and forwarding use. */
import type { Prng } from "../../../src/lib/prng.ts";
import type { VirtualClock, VirtualTime } from "../../support/time/virtual-clock.ts";
import type { InvariantChecker } from "../checks/invariant-checker.ts";
import type { NamedHistory } from "../checks/named-history.ts";
import type { ObservedServer } from "../checks/observed-server.ts";
import type { Trace } from "../checks/trace.ts";
import type { Swarm } from "../faults/swarm.ts";
import type { PeerId, RaftNode } from "../raft.ts";
import type { ProcessContext, ReplicaFaults, SimReplica } from "../replicas/sim-replica.ts";
import type { SimNetwork } from "./sim-network.ts";

export interface SimServer {
  readonly peer: PeerId;
  readonly faults: ReplicaFaults & { fullUntil: number; stallsUntil: number };
  clock: VirtualClock;
  /** Offset of the wall clock from the true time, in milliseconds. */
  setByMs: number;
  replica: SimReplica;
  /** Undefined while the process is down. */
  node: RaftNode | undefined;
  observed: ObservedServer;
}

export type SimLeader = SimServer & { node: RaftNode };

export interface ClusterContext {
  readonly swarm: Swarm;
  readonly time: VirtualTime;
  readonly checker: InvariantChecker;
  readonly trace: Trace;
  readonly network: SimNetwork;
  readonly servers: ReadonlyMap<PeerId, SimServer>;
  readonly healed: boolean;
  readonly named: NamedHistory;
  readonly random: Prng;
  run(end: number, until?: () => boolean): Promise<boolean>;
  running(): SimServer[];
  pickRunning(random: Prng): SimServer | undefined;
  leader(): SimLeader | undefined;
  replicas(): Map<PeerId, SimReplica>;
  contextOf(server: SimServer): ProcessContext;
  crash(server: SimServer, powerCut: boolean): void;
  restart(server: SimServer): void;
  observe(server: SimServer): boolean;
  runInProcess(server: SimServer, work: () => void): boolean;
  guard(work: () => void): void;
}
