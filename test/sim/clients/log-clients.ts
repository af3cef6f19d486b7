/**
 * Clients of real replicas that use everything the log promises: idempotent producers that retry on any server,
 * conditional appends, reads of every freshness on any server, and tails that move when their server stops.
 */
import { Fault } from "../../../src/fault.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import type { ReplicatedLog } from "../../../src/replication/replicated-log.ts";
import type { Bounds, Freshness, Offset, Tail } from "../../../src/types.ts";
import { isDead } from "../../support/time/process-clock.ts";
import type { Write } from "../checks/history.ts";
import { writtenOf } from "../checks/history.ts";
import { Violation } from "../checks/violation.ts";
import type { SimCluster } from "../cluster/sim-cluster.ts";
import type { SimServer } from "../cluster/sim-server.ts";
import { repeatAtRandom } from "../faults/repeat-at-random.ts";
import { runOf } from "../replicas/real-replica.ts";
import { valuesOf } from "../replicas/stored-values.ts";
import { acknowledged } from "./clients.ts";

export function startLogClients(cluster: SimCluster, random: Prng): void {
  const { swarm } = cluster;
  if (swarm.producers)
    for (let id = 1; id <= 2; id++) startProducer(cluster, id, random.stream(`producer/${id}`));
  if (swarm.conditional) startConditional(cluster, random.stream("conditional"));
  if (swarm.readers) {
    const own = random.stream("readers");
    repeatAtRandom(cluster, own, 60, () => readSomewhere(cluster, own));
    for (let tail = 1; tail <= 2; tail++) new Follower(cluster, random.stream(`tail/${tail}`));
  }
}

/** Calls a server as a client over the network does. There may be no response, or a late one. */
function call<T>(
  cluster: SimCluster,
  server: SimServer,
  work: (log: ReplicatedLog) => Promise<T>,
  done: (value: T) => void,
  failed: (fault: Error) => void,
): void {
  const { log } = server.replica;
  if (server.node === undefined || log === undefined) {
    failed(new Fault("unavailable", { message: "the server is down" }));
    return;
  }
  work(log).then(
    (value) => cluster.guard(() => done(value)),
    (reason: unknown) => {
      if (!isDead(reason)) cluster.guard(() => failed(reason as Error));
    },
  );
}

/** Writes one record after the other and retries each until it is written, exactly once and in order. */
function startProducer(cluster: SimCluster, id: number, random: Prng): void {
  let sequence = 0;
  const next = (): void => {
    cluster.time.after(-Math.log(1 - random.float()) * 150, () => {
      if (cluster.quiet) return;
      const write = cluster.history.invoke(cluster.nextValue(`p${id}-`));
      cluster.guard(() => attempt(write));
    });
  };
  const attempt = (write: Write): void => {
    const server = cluster.pickRunning(random);
    let over = false;
    const again = (): void => {
      if (over) return;
      over = true;
      cluster.time.after(random.between(1, 200), () => {
        if (!cluster.quiet && write.outcome !== "acked") cluster.guard(() => attempt(write));
      });
    };
    if (server === undefined) {
      again();
      return;
    }
    // A short timeout lets two attempts of one record race each other.
    cluster.time.after(random.between(100, 3000), again);
    const producer = { subject: "sim", id: BigInt(id), epoch: 0, sequence };
    call(
      cluster,
      server,
      (log) => log.append(runOf(write.value), { producer }),
      ({ firstOffset, duplicate }) => {
        const first = write.outcome !== "acked";
        acknowledged(cluster, server, write, firstOffset);
        if (duplicate) cluster.trace.mark("duplicate-answered");
        over = true;
        if (!first) return;
        sequence++;
        next();
      },
      (fault) => {
        // The result of an attempt after another one has succeeded does not count.
        if (write.outcome === "acked") return;
        const kind = fault instanceof Fault ? fault.kind : "";
        if (kind === "out-of-sequence" || kind === "unknown-producer" || kind === "producer-fenced") {
          throw new Violation("producer-sequence", `${write.value}: ${fault.message}`);
        }
        again();
      },
    );
  };
  next();
}

/** Appends only if the log ends where the client last saw it end. */
function startConditional(cluster: SimCluster, random: Prng): void {
  let end = 0;
  repeatAtRandom(cluster, random, 200, () => {
    const server = random.chance(0.7)
      ? (cluster.leader() ?? cluster.pickRunning(random))
      : cluster.pickRunning(random);
    if (server === undefined || cluster.quiet) return;
    const expectedOffset = end;
    const floor = cluster.history.shown;
    const write = cluster.history.invoke(cluster.nextValue("x"));
    call(
      cluster,
      server,
      (log) => log.append(runOf(write.value), { expectedOffset }),
      ({ firstOffset }) => {
        if (firstOffset !== expectedOffset) {
          throw new Violation("expected-offset", `${write.value}: ${expectedOffset}, is at ${firstOffset}`);
        }
        acknowledged(cluster, server, write, firstOffset);
        cluster.trace.mark("condition-held");
        end = firstOffset + 1;
      },
      (fault) => {
        cluster.history.failed(write, writtenOf(fault));
        if (!(fault instanceof Fault) || fault.kind !== "offset-mismatch") return;
        cluster.trace.mark("condition-failed");
        end = Number(fault.facts["next"]);
        // The end in the error is as fresh as a linearizable read.
        cluster.history.read(end, floor);
        if (end === expectedOffset) throw new Violation("expected-offset", `${end} is not ${expectedOffset}`);
      },
    );
  });
}

/** Reads with a random freshness from a random server. The result must be committed, and fresh enough. */
function readSomewhere(cluster: SimCluster, random: Prng): void {
  const server = cluster.pickRunning(random);
  if (server === undefined) return;
  const { shown } = cluster.history;
  if (shown === 0) return;
  const offset = random.chance(0.5) ? shown - 1 : random.between(0, shown);
  const mode = random.pick(["linearizable", "session", "session", "bounded", "any"] as const);
  const seen = mode === "session" && offset < shown && random.chance(0.7);
  const freshness: Freshness = { mode, ...(seen ? { seenOffset: offset } : {}) };
  call(
    cluster,
    server,
    (log) => log.read(offset, freshness),
    ({ frames, firstOffset }) => {
      if (!cluster.observe(server)) return;
      cluster.trace.mark(`read-${mode}`);
      const [values] = valuesOf(frames, offset);
      checkShown(cluster, server, Math.max(offset, firstOffset), values);
    },
    (fault) => {
      if (!(fault instanceof Fault) || fault.kind !== "out-of-range") return;
      // The offset may be trimmed. If not, a reader that has seen it must find it.
      const missing = offset >= server.replica.next && server.node !== undefined;
      if (missing && (seen || (mode === "linearizable" && offset < shown))) {
        throw new Violation(
          "read-your-writes",
          `${server.peer} does not have ${offset} (${mode}), but ${shown} records were returned before`,
        );
      }
    },
  );
}

/** A reader must see the committed value of an offset. */
function checkShown(cluster: SimCluster, server: SimServer, from: Offset, values: readonly string[]): void {
  for (const [place, value] of values.entries()) {
    const known = cluster.checker.committed.get(from + place);
    if (known === undefined ? server.node !== undefined : known.value !== value) {
      throw new Violation(
        "shown-uncommitted",
        `${server.peer} returned ${value} at ${from + place}, not ${known?.value}`,
      );
    }
  }
}

/** Follows the log record by record. When its server stops, it continues at the next offset on another one. */
class Follower {
  readonly #cluster: SimCluster;
  readonly #random: Prng;
  #position = 0;
  #at: SimServer | undefined;
  #replica: unknown;
  #tail: Tail | undefined;

  constructor(cluster: SimCluster, random: Prng) {
    this.#cluster = cluster;
    this.#random = random;
    repeatAtRandom(cluster, random, 300, () => this.#moveOn());
  }

  #moveOn(): void {
    const here = this.#at !== undefined && this.#at.replica === this.#replica && this.#at.node !== undefined;
    if (here && this.#random.chance(0.9)) return;
    this.#tail?.[Symbol.dispose]();
    this.#tail = undefined;
    const server = this.#cluster.pickRunning(this.#random);
    const { log } = server?.replica ?? {};
    if (server === undefined || log === undefined) return;
    const { lowest, next }: Bounds = server.replica;
    if (this.#position < lowest) this.#position = lowest;
    if (this.#position > next) return;
    [this.#at, this.#replica] = [server, server.replica];
    this.#tail = log.follow(this.#position);
    this.#cluster.trace.mark("tail-opened");
    this.#wait(this.#tail, server);
  }

  #wait(tail: Tail, server: SimServer): void {
    tail.ready().then(
      (there) => {
        if (!there || tail !== this.#tail || server.replica !== this.#replica) return;
        this.#cluster.guard(() => {
          if (this.#cluster.observe(server) && this.#take(tail, server)) this.#wait(tail, server);
        });
      },
      () => {},
    );
  }

  /** Returns false if a trim overtook the tail, or if its server stopped. */
  #take(tail: Tail, server: SimServer): boolean {
    try {
      for (let slice = tail.take(); slice !== undefined; slice = tail.take()) {
        const [values, first] = valuesOf(slice.frames, this.#position);
        if (first !== undefined && first !== this.#position) {
          throw new Violation("tail-order", `a tail at ${this.#position} received ${first}`);
        }
        checkShown(this.#cluster, server, this.#position, values);
        this.#position += values.length;
        if (slice.nextOffset !== this.#position) {
          throw new Violation(
            "tail-order",
            `a tail is at ${this.#position}, but the slice ends at ${slice.nextOffset}`,
          );
        }
      }
      return true;
    } catch (thrown) {
      if (thrown instanceof Violation || !(thrown instanceof Fault || isDead(thrown))) throw thrown;
      this.#tail = undefined;
      this.#at = undefined;
      return false;
    }
  }
}
