/**
 * Readers of several logs: by a prefix, or by a list of names with their ids. They move to another server at random, in the
 * middle of a batch too, and go on with the place that they have reached.
 */
import { Fault } from "../../../src/fault.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import { frameBaseOffset, frameBytes, frameNextOffset } from "../../../src/log/mod.ts";
import type { LogId, MultiTail, TailedBatches, TailedLogs } from "../../../src/types.ts";
import { isDead } from "../../support/time/process-clock.ts";
import { MultiHistory } from "../checks/multi-history.ts";
import { Violation } from "../checks/violation.ts";
import type { SimCluster } from "../cluster/sim-cluster.ts";
import type { SimServer } from "../cluster/sim-server.ts";
import { repeatAtRandom } from "../faults/repeat-at-random.ts";
import { valuesOf } from "../replicas/stored-values.ts";

export function startMultiClients(cluster: SimCluster, random: Prng): void {
  for (const prefix of ["", "t"]) new MultiFollower(cluster, random.stream(`prefix/${prefix}`), prefix);
  new MultiFollower(cluster, random.stream("names"), undefined);
}

const expected = [
  "unavailable",
  "not-found",
  "out-of-range",
  "failed-precondition",
  "disk-failed",
  "interrupted",
];

class MultiFollower {
  readonly #cluster: SimCluster;
  readonly #random: Prng;
  /** Undefined: a list of names. */
  readonly #prefix: string | undefined;
  #names: readonly { readonly name: string; readonly id: LogId }[] = [];
  #history: MultiHistory | undefined;
  #tail: MultiTail | undefined;
  #server: SimServer | undefined;
  #replica: unknown;
  #opening = false;

  constructor(cluster: SimCluster, random: Prng, prefix: string | undefined) {
    this.#cluster = cluster;
    this.#random = random;
    this.#prefix = prefix;
    repeatAtRandom(cluster, random, 300, () => this.#moveOn());
  }

  #moveOn(): void {
    const isHere = this.#server?.replica === this.#replica && this.#server?.node !== undefined;
    if (this.#opening || (this.#tail !== undefined && isHere && this.#random.chance(0.7))) return;
    this.#close();
    const server = this.#cluster.pickRunning(this.#random);
    if (server?.node === undefined || !this.#cluster.observe(server)) return;
    const { replica } = server;
    const { log } = replica;
    const logs = this.#logs();
    if (log === undefined || logs === undefined) return;
    const { life } = log.named;
    const place = this.#history?.place;
    this.#opening = true;
    log.named.follow(logs, place === undefined ? "start" : { life, ...place }).then(
      (tail) => this.#cluster.guard(() => this.#opened(tail, server, replica)),
      (reason: unknown) => {
        this.#opening = false;
        if (!isDead(reason)) this.#cluster.guard(() => this.#failed(reason));
      },
    );
  }

  /** A list gets the logs that exist now, when those of before are gone. */
  #logs(): TailedLogs | undefined {
    if (this.#prefix !== undefined) return { prefix: this.#prefix, may: () => true, asksMax: 1_024 };
    if (this.#names.length === 0) {
      const live = [...this.#cluster.named.logs.values()].filter(({ deleted }) => !deleted);
      this.#names = live.slice(0, 2).map(({ id, name }) => ({ id, name }));
      this.#history = undefined;
    }
    return this.#names.length === 0 ? undefined : { names: this.#names };
  }

  #opened(tail: MultiTail, server: SimServer, replica: unknown): void {
    this.#opening = false;
    if (server.replica !== replica) {
      tail[Symbol.dispose]();
      return;
    }
    [this.#tail, this.#server, this.#replica] = [tail, server, replica];
    const ids = this.#prefix === undefined ? new Set(this.#names.map(({ id }) => id)) : undefined;
    this.#history ??= new MultiHistory(this.#cluster.named, this.#prefix, ids);
    this.#cluster.trace.mark("multi-tail-opened");
    this.#follow(tail, server);
  }

  #follow(tail: MultiTail, server: SimServer): void {
    if (!this.#cluster.observe(server) || !this.#takeAll(tail, server)) return;
    tail.ready().then(
      (there) => {
        if (there && tail === this.#tail && server.replica === this.#replica)
          this.#cluster.guard(() => this.#follow(tail, server));
      },
      () => {},
    );
  }

  /** Returns false if the tail has ended, or was closed in the middle. */
  #takeAll(tail: MultiTail, server: SimServer): boolean {
    try {
      for (let found = tail.take(); found !== undefined; found = tail.take()) {
        if (found === "later") continue;
        if ("deleted" in found) this.#history!.deleted(found.deleted.id);
        else if (!this.#show(found, server)) return false;
      }
      this.#history!.rested(tail.end);
      return true;
    } catch (thrown) {
      this.#close();
      this.#failed(thrown);
      return false;
    }
  }

  /** Checks what is shown, and stops at random after some records of a batch. */
  #show({ log, slice, index, from }: TailedBatches, server: SimServer): boolean {
    const row = server.replica.log?.log.state.logs.row(log.id);
    if (row?.name !== log.name || row.deleted === true)
      throw new Violation("multi-tail-deleted", `${log.name} ${log.id} is shown after its deletion`);
    const { frames } = slice;
    for (let at = 0, k = 0; at < frames.length; at += frameBytes(frames, at), k++) {
      const [base, end] = [frameBaseOffset(frames, at), frameNextOffset(frames, at)];
      if (end <= from) continue;
      const first = Math.max(base, from);
      const [values] = valuesOf(frames.subarray(at, at + frameBytes(frames, at)), first);
      const isCut = this.#random.chance(0.1);
      const shown = isCut ? values.slice(0, this.#random.between(0, values.length)) : values;
      this.#history!.shown({ id: log.id, name: log.name, index: index + k, base, first, values: shown });
      this.#cluster.trace.mark("multi-tail");
      if (!isCut) continue;
      this.#cluster.trace.mark("multi-tail-cut");
      this.#close();
      return false;
    }
    return true;
  }

  #failed(thrown: unknown): void {
    if (isDead(thrown)) return;
    if (!(thrown instanceof Fault) || !expected.includes(thrown.kind)) throw thrown;
    const { lowest } = thrown.facts;
    if (thrown.kind === "out-of-range" && lowest !== undefined) this.#history?.removedBelow(lowest);
    if (thrown.kind === "not-found" || thrown.kind === "failed-precondition") this.#names = [];
  }

  #close(): void {
    this.#tail?.[Symbol.dispose]();
    this.#tail = undefined;
  }
}
