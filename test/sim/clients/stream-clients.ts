/**
 * Clients that append a stream of records through one server, many at a time without waiting, as ProduceStream and
 * ProduceBulk do: with or without a producer's sequences. A stream ends with its first failure.
 */
import { Fault } from "../../../src/fault.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import type { AppendOrder } from "../../../src/types.ts";
import { isDead } from "../../support/time/process-clock.ts";
import type { Write } from "../checks/history.ts";
import { writtenOf } from "../checks/history.ts";
import { Violation } from "../checks/violation.ts";
import type { SimCluster } from "../cluster/sim-cluster.ts";
import type { SimServer } from "../cluster/sim-server.ts";
import { runOf } from "../replicas/real-replica.ts";
import { acknowledged } from "./clients.ts";

/** Runs one stream after the other, each through a random server. */
export function startStreams(cluster: SimCluster, id: number, random: Prng): void {
  let count = 0;
  const next = (): void => {
    cluster.time.after(-Math.log(1 - random.float()) * 300, () => {
      if (cluster.quiet) return;
      const server = cluster.pickRunning(random);
      if (server === undefined) next();
      else cluster.guard(() => new Stream(cluster, server, `s${id}.${++count}`, random, next).send());
    });
  };
  next();
}

class Stream {
  readonly #cluster: SimCluster;
  readonly #server: SimServer;
  readonly #replica: SimServer["replica"];
  readonly #name: string;
  readonly #random: Prng;
  readonly #done: () => void;
  readonly #order: AppendOrder = { ended: false };
  readonly #isNumbered: boolean;
  readonly #meanMs: number;
  readonly #writes: Write[] = [];
  #left: number;
  #leader: unknown;

  constructor(cluster: SimCluster, server: SimServer, name: string, random: Prng, done: () => void) {
    this.#cluster = cluster;
    this.#server = server;
    this.#replica = server.replica;
    this.#name = name;
    this.#random = random;
    this.#done = done;
    this.#isNumbered = random.chance(0.5);
    this.#meanMs = random.pick([2, 10, 50]);
    this.#left = random.between(10, 150);
    cluster.history.streams.push({ writes: this.#writes, isNumbered: this.#isNumbered });
  }

  /** Appends one record, and the next after a random wait. It does not wait for acknowledgments. */
  send(): void {
    const { log } = this.#replica;
    const isGone = this.#server.replica !== this.#replica || this.#server.node === undefined;
    if (isGone || log === undefined || this.#cluster.quiet || this.#order.ended || this.#left-- <= 0) {
      // Sometimes the client disconnects and leaves its unacknowledged records.
      if (this.#random.chance(0.3)) this.#order.ended = true;
      this.#done();
      return;
    }
    const sequence = this.#writes.length;
    const write = this.#cluster.history.invoke(`${this.#name}-${sequence}`);
    this.#writes.push(write);
    const producer = { subject: this.#name, id: 1n, epoch: 0, sequence };
    log.append(runOf(write.value), { order: this.#order, ...(this.#isNumbered ? { producer } : {}) }).then(
      ({ firstOffset }) => this.#cluster.guard(() => this.#acked(write, firstOffset)),
      (reason: unknown) => {
        if (!isDead(reason)) this.#cluster.guard(() => this.#failed(write, reason as Error));
      },
    );
    this.#cluster.time.after(-Math.log(1 - this.#random.float()) * this.#meanMs, () =>
      this.#cluster.guard(() => this.send()),
    );
  }

  #acked(write: Write, offset: number): void {
    acknowledged(this.#cluster, this.#server, write, offset);
    const leader = this.#cluster.leader()?.peer;
    if (this.#leader !== undefined && leader !== undefined && leader !== this.#leader) {
      this.#cluster.trace.mark(this.#isNumbered ? "numbered-stream-continued" : "stream-continued");
    }
    this.#leader = leader ?? this.#leader;
  }

  #failed(write: Write, fault: Error): void {
    this.#cluster.history.failed(write, writtenOf(fault));
    this.#order.ended = true;
    this.#cluster.trace.mark("stream-ended");
    // Only the first failure is reported to a client. The later ones follow from it.
    const isFirst = this.#writes.every(
      (one) => one === write || one.outcome === "acked" || isBehind(one, write),
    );
    if (!isFirst) return;
    const kind = fault instanceof Fault ? fault.kind : "";
    if (kind === "out-of-sequence" || kind === "unknown-producer" || kind === "producer-fenced") {
      throw new Violation("stream-sequence", `${write.value}: ${fault.message}`);
    }
  }
}

/** Returns whether `one` was written after `other`. */
const isBehind = (one: Write, other: Write): boolean => one.invoked > other.invoked;
