/**
 * Finds the nodes of the cluster: asks GetServers of one that is known, and tells the picker. Asked again when
 * something failed or the answer has grown old; never by itself.
 *
 * Never: asks twice at once, polls, keeps a caller waiting for more than one round over the addresses.
 */
import { createClient, type Transport } from "@connectrpc/connect";
import { Fault } from "../../fault.ts";
import { type GetServersResponse, Log } from "../../gen/log/v1/log_pb.js";
import type { Clock } from "../../lib/time/clock.ts";
import type { Role } from "../../types.ts";
import { faultOf, withAddress, withoutConnection } from "./fault-of.ts";
import type { KnownServer, NodePicker } from "./node-picker.ts";

export interface ClusterResolverOptions {
  readonly picker: NodePicker;
  readonly transportTo: (addr: string) => Transport;
  readonly isConnecting: (addr: string) => boolean;
  readonly clock: Clock;
  /** An answer older than this is asked for anew when the next call comes, milliseconds. */
  readonly freshMs: number;
  /** How long one node may take. */
  readonly askMs: number;
  readonly signal: AbortSignal;
}

const roles: readonly string[] = ["leader", "follower", "candidate", "learner"] satisfies Role[];

export class ClusterResolver {
  readonly #options: ClusterResolverOptions;
  #asking: Promise<void> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #stale = true;

  constructor(options: ClusterResolverOptions) {
    this.#options = options;
  }

  /** Something failed: what is known may be wrong. */
  markStale(): void {
    this.#stale = true;
  }

  /**
   * Sees to it that the nodes are known: waits when nothing is known yet, otherwise asks behind the caller's back if
   * the answer is old or in doubt. Throws the fault of the last node asked when none of them answered.
   */
  async ensureKnown(): Promise<void> {
    const { picker, clock, freshMs } = this.#options;
    if (picker.servers.length === 0) return this.refresh();
    const old = clock.monotonicMs() - this.#askedAt > freshMs;
    if (this.#stale || old) this.refresh().catch(() => undefined); // what is known still serves; the next call asks again
  }

  /** Asks now; several callers share one question. */
  refresh(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const { picker, clock, transportTo, isConnecting, askMs, signal } = this.#options;
    let last: Fault | undefined;
    const rounds = picker.addresses.length;
    for (let round = 0; round < rounds && !signal.aborted; round++) {
      const addr = picker.pick("read", clock.monotonicMs());
      try {
        const client = createClient(Log, transportTo(addr));
        const answer = await client.getServers({}, { timeoutMs: askMs, signal });
        picker.succeeded(addr);
        picker.update(serversOf(answer, addr));
        this.#askedAt = clock.monotonicMs();
        this.#stale = false;
        return;
      } catch (reason) {
        const fault = faultOf(reason, "read");
        last = isConnecting(addr) ? withoutConnection(fault, addr) : withAddress(fault, addr);
        if (last.kind === "permission-denied" || last.kind === "unauthenticated") throw last;
        picker.failed(addr, clock.monotonicMs() + askMs);
      }
    }
    throw last ?? new Fault("unavailable", { message: "no node is known to connect to" });
  }
}

/** The answer as the picker wants it. A node without an address is the one that answered. */
function serversOf({ servers }: GetServersResponse, answeredAt: string): KnownServer[] {
  const known = servers.map(({ id, rpcAddr, isLeader, role, term }) => ({
    id,
    addr: rpcAddr === "" ? answeredAt : rpcAddr,
    isLeader,
    role: (roles.includes(role) ? role : isLeader ? "leader" : "follower") as Role, // the book's server tells no role
    term: Number(term),
  }));
  return known.slice(0, 32);
}
