/**
 * Finds the nodes of the cluster with GetServers and passes them to the picker. It asks only when a call needs it: the
 * answer is missing, old, or marked as stale after a failure. One request at a time.
 */
import { createClient, type Transport } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { type GetServersResponse, Log } from "../../gen/log/v1/log_pb.js";
import type { Clock } from "../../lib/time/clock.ts";
import type { Role } from "../../types.ts";
import { withAddress, withoutConnection } from "./fault-context.ts";
import { faultOf } from "./fault-of.ts";
import type { KnownServer, NodePicker } from "./node-picker.ts";

export interface ClusterResolverOptions {
  readonly picker: NodePicker;
  readonly transportTo: (addr: string) => Transport;
  readonly isConnecting: (addr: string) => boolean;
  /** Called when a node responded. */
  readonly onResponse: () => void;
  readonly clock: Clock;
  /** A call that finds an older answer starts a refresh, in milliseconds; without a leader after at most 1,000. */
  readonly freshMs: number;
  /** The timeout of a request to one node, in milliseconds. */
  readonly requestMs: number;
  readonly signal: AbortSignal;
}

const roles: readonly string[] = ["leader", "follower", "candidate", "learner"] satisfies Role[];
const serversMax = 32;
/** An answer is old after this time if no leader is known: an election takes a second or two. */
const leaderlessFreshMs = 1_000;

export class ClusterResolver {
  readonly #options: ClusterResolverOptions;
  #refreshing: Promise<void> | undefined;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;
  #isStale = true;

  constructor(options: ClusterResolverOptions) {
    this.#options = options;
  }

  /** Makes the next call refresh the nodes, because a failure suggests that they have changed. */
  markStale(): void {
    this.#isStale = true;
  }

  /**
   * Makes sure that nodes are known. It waits only if none is known yet; an old or stale answer is refreshed in the
   * background.
   * @throws the Fault of the node that was asked last, if none responded
   */
  async ensureKnown(): Promise<void> {
    const { picker, clock, freshMs } = this.#options;
    if (picker.servers.length === 0) return this.refresh();
    const oldAfterMs = picker.knowsLeader ? freshMs : Math.min(freshMs, leaderlessFreshMs);
    const isOld = clock.monotonicMs() - this.#refreshedAtMs > oldAfterMs;
    // A failed refresh leaves the answer stale, so the next call tries again.
    if (this.#isStale || isOld) this.refresh().catch(() => undefined);
  }

  /** Asks now. Concurrent callers share one request. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Asks one address after another, each at most once, until one responds. */
  async #refresh(): Promise<void> {
    const { picker, clock, transportTo, isConnecting, onResponse, requestMs, signal } = this.#options;
    let last: Fault | undefined;
    const rounds = picker.addresses.length;
    for (let round = 0; round < rounds && !signal.aborted; round++) {
      const addr = picker.pick("read", clock.monotonicMs());
      try {
        const client = createClient(Log, transportTo(addr));
        const response = await client.getServers({}, { timeoutMs: requestMs, signal });
        onResponse();
        picker.succeeded(addr);
        picker.update(serversOf(response, addr));
        this.#refreshedAtMs = clock.monotonicMs();
        this.#isStale = false;
        return;
      } catch (reason) {
        const fault = faultOf(reason, "read");
        last = isConnecting(addr) ? withoutConnection(fault, addr) : withAddress(fault, addr);
        if (last.kind === "permission-denied" || last.kind === "unauthenticated") throw last;
        picker.failed(addr, clock.monotonicMs() + requestMs);
      }
    }
    throw last ?? new Fault("unavailable", { message: "no node address is known" });
  }
}

/** A server without an address is the node that responded. Servers of other implementations may leave the role out. */
function serversOf({ servers }: GetServersResponse, respondedAt: string): KnownServer[] {
  return servers.slice(0, serversMax).map(({ id, rpcAddr, isLeader, role, term }) => ({
    id,
    addr: rpcAddr === "" ? respondedAt : rpcAddr,
    isLeader,
    role: (roles.includes(role) ? role : isLeader ? "leader" : "follower") as Role,
    term: Number(term),
  }));
}
