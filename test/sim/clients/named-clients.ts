/**
 * Clients of named logs: they create, close, delete and create again, append with and without conditions and producers,
 * trim, read and follow, on any server.
 */
import { Fault } from "../../../src/fault.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import { shown } from "../../../src/log/mod.ts";
import type { ReplicatedLog } from "../../../src/replication/replicated-log.ts";
import type { AppendOptions, LogId, LogRef, Tail } from "../../../src/types.ts";
import { isDead } from "../../support/time/process-clock.ts";
import { writtenOf } from "../checks/history.ts";
import { livedName } from "../checks/named-history.ts";
import { Violation } from "../checks/violation.ts";
import type { SimCluster } from "../cluster/sim-cluster.ts";
import type { SimServer } from "../cluster/sim-server.ts";
import { repeatAtRandom } from "../faults/repeat-at-random.ts";
import { runOf } from "../replicas/real-replica.ts";
import { valuesOf } from "../replicas/stored-values.ts";

const names = ["one", "two", "three", "four", livedName];
/** Streams of this time to live expire in a run, unless they are used. */
const livedMs = 2_000;
const subjects = ["ann", "ann", "bob"];

export function startNamedClients(cluster: SimCluster, random: Prng): void {
  const changes = random.stream("changes");
  repeatAtRandom(cluster, changes, 150, () => {
    const atOnce = changes.chance(0.3) ? 3 : 1;
    for (let call = 0; call < atOnce; call++) new Call(cluster, changes).change();
  });
  for (let client = 1; client <= 2; client++) {
    const own = random.stream(`appends/${client}`);
    repeatAtRandom(cluster, own, 60, () => new Call(cluster, own).append());
  }
  const reads = random.stream("reads");
  repeatAtRandom(cluster, reads, 80, () => new Call(cluster, reads).read());
  for (let id = 1; id <= 3; id++) startProducer(cluster, id, random.stream(`producer/${id}`));
  for (const name of names) new NamedFollower(cluster, name, random.stream(`tail/${name}`));
}

/** One call of a client to a random server. There may be no answer, or a late one. */
class Call {
  readonly #cluster: SimCluster;
  readonly #random: Prng;
  readonly #name: string;
  readonly #server: SimServer | undefined;
  readonly #log: ReplicatedLog | undefined;

  constructor(cluster: SimCluster, random: Prng) {
    this.#cluster = cluster;
    this.#random = random;
    this.#name = random.pick(names);
    const here = random.chance(0.5) ? cluster.leader() : undefined;
    this.#server = here ?? cluster.pickRunning(random);
    this.#log = this.#server?.node === undefined ? undefined : this.#server.replica.log;
  }

  change(): void {
    const { named } = this.#cluster;
    if (this.#cluster.quiet || this.#log === undefined) return;
    const draw = this.#random.float();
    const name = this.#name;
    const invoked = named.now;
    if (draw < 0.15) {
      this.#fork(invoked);
      return;
    }
    if (draw < 0.55) {
      const settings = name === livedName ? { ttlMs: livedMs, contentType: "text/plain" } : {};
      this.#then(
        this.#log.named.change({ kind: "create", name, settings }, { subject: this.#random.pick(subjects) }),
        ({ log, created }) => {
          named.exists(log!, invoked);
          if (created) named.counts.created++;
          this.#cluster.trace.mark(created ? "log-created" : "log-known");
          this.#cluster.trace.hash(`create ${name} ${log!.id}`);
        },
        (fault) => {
          this.#expect(fault, ["already-exists", "quota-exceeded"]);
          if (fault instanceof Fault && fault.kind === "quota-exceeded")
            this.#cluster.trace.mark("quota-exceeded");
        },
      );
      return;
    }
    const ref = this.#ref(0.05);
    const kind = draw < 0.8 ? "delete" : draw < 0.85 ? "close" : "update";
    if (kind === "delete") named.deleting(name, ref.id);
    const change =
      kind === "update"
        ? ({ kind, log: ref, settings: { maxBytes: this.#random.between(100_000, 200_000) } } as const)
        : ({ kind, log: ref } as const);
    this.#then(
      this.#log.named.change(change),
      ({ log }) => {
        this.#cluster.trace.mark(`log-${kind}`);
        if (kind === "delete" && ref.id !== undefined) named.deleted(ref.id, name);
        if (kind === "close") named.closed(log!.id, name);
        if (log !== undefined) named.exists(log, invoked);
      },
      (fault) => this.#refused(fault, ref, invoked),
    );
  }

  /** Forks a log at any place that it may have. */
  #fork(invoked: number): void {
    const { named, trace } = this.#cluster;
    const name = this.#name;
    const live = [...named.logs.values()].filter((log) => !log.deleted);
    if (live.length === 0) return;
    const source = this.#random.pick(live);
    const next = this.#random.between(source.lowest, source.values.length);
    const cut = next > source.lowest && this.#random.chance(0.2) ? { cut: this.#random.between(0, 4) } : {};
    const ref = { name: source.name, id: source.id };
    const known = named.floor(source.id);
    this.#then(
      this.#log!.named.change(
        { kind: "fork", name, settings: {}, source: ref, at: { next, ...cut } },
        { subject: this.#random.pick(subjects) },
      ),
      ({ log, created }) => {
        named.exists(log!, invoked);
        if (log!.fork?.source !== source.id || log!.next < next)
          throw new Violation("another-fork", `${name} ${log!.id} of ${source.id} at ${next}`);
        trace.mark(created ? "log-forked" : "fork-known");
        trace.hash(`fork ${name} ${log!.id}`);
      },
      (fault) => {
        this.#expect(fault, [
          ...["already-exists", "quota-exceeded"],
          ...["not-found", "failed-precondition", "out-of-range"],
        ]);
        if (!(fault instanceof Fault)) return;
        if (fault.kind === "not-found") named.missing(ref.name, ref.id, invoked);
        const isHeld = next <= known && next >= source.lowest + ("cut" in cut ? 1 : 0);
        if (fault.kind === "out-of-range" && isHeld && !source.deleted)
          throw new Violation("fork-denied", `${source.name} ${source.id} at ${next}: ${fault.message}`);
      },
    );
  }

  append(): void {
    const { named } = this.#cluster;
    if (this.#cluster.quiet || this.#log === undefined) return;
    const ref = this.#ref();
    const floor = ref.id === undefined ? 0 : named.floor(ref.id);
    const isConditional = ref.id !== undefined && this.#random.chance(0.3);
    if (isConditional) this.#conditional({ ...ref, id: ref.id! }, floor);
    else this.#write(ref, {}, () => {});
  }

  #conditional(ref: LogRef & { readonly id: LogId }, expectedOffset: number): void {
    const { named } = this.#cluster;
    const floor = named.floor(ref.id);
    this.#write(ref, { expectedOffset }, (fault, offset) => {
      if (offset !== undefined && offset !== expectedOffset)
        throw new Violation("expected-offset", `${offset}`);
      if (!(fault instanceof Fault) || fault.kind !== "offset-mismatch") return;
      const end = Number(fault.facts["next"]);
      this.#cluster.trace.mark("named-condition-failed");
      named.read(ref.id, this.#name, end, floor);
      if (end === expectedOffset) throw new Violation("expected-offset", `${end} is not ${expectedOffset}`);
    });
  }

  #write(
    ref: LogRef,
    options: AppendOptions,
    done: (fault: Error | undefined, offset?: number) => void,
  ): void {
    const { named, trace } = this.#cluster;
    const write = named.invoke(this.#cluster.nextValue("n"), this.#name);
    this.#then(
      this.#log!.append(runOf(write.value), { ...options, log: ref }),
      ({ firstOffset, logId }) => {
        if (logId === undefined) throw new Violation("no-log-id", write.value);
        if (ref.id !== undefined && ref.id !== logId)
          throw new Violation("another-log", `${ref.id} ${logId}`);
        this.#cluster.observe(this.#server!);
        named.acked(write, logId, firstOffset);
        named.exists({ id: logId, name: this.#name, closed: true }, write.invoked);
        trace.mark("named-acked");
        trace.hash(`ack ${write.value} ${logId} ${firstOffset}`);
        done(undefined, firstOffset);
      },
      (fault) => {
        named.failed(write, writtenOf(fault));
        this.#refused(fault, ref, write.invoked);
        done(fault);
      },
    );
  }

  read(): void {
    const { named, quiet } = this.#cluster;
    if (this.#log === undefined || this.#server === undefined) return;
    const ref = this.#ref();
    const opened = this.#log.named.open(ref);
    if (ref.name === livedName) this.#touch(ref);
    const mode = this.#random.pick(["linearizable", "session", "any"] as const);
    const invoked = named.now;
    const floors = new Map([...named.logs.keys()].map((id) => [id, named.floor(id)]));
    if (this.#random.chance(0.5)) {
      this.#then(
        opened.info({ mode: "linearizable" }),
        (info) => {
          named.exists(info, invoked);
          named.read(info.id, info.name, info.next, floors.get(info.id) ?? 0);
          this.#cluster.trace.mark("named-read");
          if (!quiet && this.#random.chance(0.1)) this.#trim(info);
        },
        (fault) => this.#refused(fault, ref, invoked),
      );
      return;
    }
    const known = ref.id === undefined ? undefined : named.logs.get(ref.id);
    const offset = this.#random.between(0, known?.values.length ?? 3);
    this.#then(
      opened.read(offset, { mode }),
      ({ frames, firstOffset }) => {
        const { id } = ref;
        if (id === undefined || !this.#cluster.observe(this.#server!)) return;
        named.shown(id, Math.max(offset, firstOffset), valuesOf(frames, offset)[0]);
        this.#cluster.trace.mark(`named-read-${mode}`);
      },
      (fault) => this.#expect(fault, ["out-of-range", "not-found", "failed-precondition"]),
    );
  }

  /** A read of a stream extends its time to live. */
  #touch(ref: LogRef): void {
    const touched = this.#log!.named.touch(ref);
    if (touched === undefined) return;
    this.#then(
      touched,
      () => this.#cluster.trace.mark("log-touched"),
      (fault) => this.#expect(fault, []),
    );
  }

  #trim({ id, name, lowest, next }: { id: LogId; name: string; lowest: number; next: number }): void {
    const before = Math.floor((lowest + next) / 2);
    this.#then(
      this.#log!.trim(before, { log: { name, id } }),
      () => this.#cluster.trace.mark("named-trim"),
      (fault) => this.#expect(fault, ["not-found", "failed-precondition"]),
    );
  }

  /** The log, often with the id that the name has now. */
  #ref(byName = 0.4): LogRef {
    const name = this.#name;
    if (this.#random.chance(byName)) return { name };
    const known = [...this.#cluster.named.logs.values()].filter((log) => log.name === name);
    const id = (this.#random.chance(0.9) ? known.at(-1) : known.at(-2))?.id;
    return id === undefined ? { name } : { name, id };
  }

  /** A refusal that says that the log is not there must be right. */
  #refused(fault: Error, { name, id }: LogRef, invoked: number): void {
    const kinds = ["not-found", "failed-precondition", "offset-mismatch", "out-of-range", "quota-exceeded"];
    this.#expect(fault, kinds);
    if (!(fault instanceof Fault)) return;
    const isGone = fault.kind === "not-found" || fault.facts["reason"] === "ANOTHER_LOG";
    if (!isGone) return;
    this.#cluster.trace.mark("named-not-found");
    this.#cluster.named.missing(name, id, invoked);
  }

  #expect(fault: Error, kinds: readonly string[]): void {
    const always = [
      "unavailable",
      "unknown",
      "interrupted",
      "not-leader",
      "overloaded",
      "disk-full",
      "disk-busy",
      "disk-failed",
    ];
    const isExpected = fault instanceof Fault && (kinds.includes(fault.kind) || always.includes(fault.kind));
    if (!isExpected) throw fault;
  }

  #then<T>(work: Promise<T>, done: (value: T) => void, failed: (fault: Error) => void): void {
    work.then(
      (value) => this.#cluster.guard(() => done(value)),
      (reason: unknown) => {
        if (!isDead(reason)) this.#cluster.guard(() => failed(reason as Error));
      },
    );
  }
}

/**
 * Appends to one log with sequences, and retries each record until it is written, exactly once, while the log is there. The third
 * producer is one of the Durable Streams protocol, and sometimes closes the log with an append.
 */
function startProducer(cluster: SimCluster, producer: number, random: Prng): void {
  let target: { readonly name: string; readonly id: LogId } | undefined;
  let epoch = 0;
  let sequence = 0;
  let closing = false;
  const next = (): void => {
    cluster.time.after(-Math.log(1 - random.float()) * 150, () => {
      if (cluster.quiet) return;
      cluster.guard(() => begin());
    });
  };
  const begin = (): void => {
    const live = [...cluster.named.logs.values()].filter(({ deleted }) => !deleted);
    if (target === undefined && live.length > 0) {
      const { name, id } = random.pick(live);
      target = { name, id };
      [epoch, sequence] = [epoch + 1, 0];
    }
    closing = producer === 3 && random.chance(0.03);
    if (target === undefined) next();
    else attempt(cluster.named.invoke(cluster.nextValue("q"), target.name), target);
  };
  const attempt = (
    write: ReturnType<SimCluster["named"]["invoke"]>,
    log: { readonly name: string; readonly id: LogId },
  ): void => {
    const server = cluster.pickRunning(random);
    const again = (): void => {
      cluster.time.after(random.between(1, 200), () => {
        if (!cluster.quiet) cluster.guard(() => attempt(write, log));
      });
    };
    const replicated = server?.node === undefined ? undefined : server.replica.log;
    if (server === undefined || replicated === undefined) {
      again();
      return;
    }
    let over = false;
    const stamp = { subject: "named", id: BigInt(producer), epoch, sequence };
    const closes = closing ? ({ closes: true } as const) : {};
    const stream = { producer: { name: "stream", epoch, sequence }, ...closes };
    const as = producer === 3 ? { subject: "named", stream } : { producer: stamp };
    cluster.time.after(1500, () => {
      if (!over) again();
      over = true;
    });
    replicated.append(runOf(write.value), { log, ...as }).then(
      ({ firstOffset, duplicate, count }) =>
        cluster.guard(() => {
          if (count > 0) cluster.named.acked(write, log.id, firstOffset);
          else cluster.named.repeated(write, log.id, firstOffset);
          if (closing) cluster.named.closed(log.id, log.name);
          if (count === 0) cluster.trace.mark("stream-duplicate");
          else if (duplicate) cluster.trace.mark("named-duplicate");
          if (over) return;
          over = true;
          sequence++;
          next();
        }),
      (reason: unknown) => {
        if (isDead(reason)) return;
        cluster.guard(() => {
          if (over) return;
          over = true;
          const kind = reason instanceof Fault ? reason.kind : "";
          if (["out-of-sequence", "unknown-producer", "producer-fenced"].includes(kind)) {
            throw new Violation("producer-sequence", `${write.value}: ${(reason as Fault).message}`);
          }
          if (["not-found", "failed-precondition", "quota-exceeded"].includes(kind)) {
            target = undefined;
            next();
          } else again();
        });
      },
    );
  };
  next();
}

/** Follows the log of a name. When the log is deleted, it follows the next one of this name. */
class NamedFollower {
  readonly #cluster: SimCluster;
  readonly #name: string;
  readonly #random: Prng;
  #id: LogId | undefined;
  #position = 0;
  #tail: Tail | undefined;
  #server: SimServer | undefined;
  #replica: unknown;

  constructor(cluster: SimCluster, name: string, random: Prng) {
    this.#cluster = cluster;
    this.#name = name;
    this.#random = random;
    repeatAtRandom(cluster, random, 300, () => this.#moveOn());
  }

  #moveOn(): void {
    const isHere = this.#server?.replica === this.#replica && this.#server?.node !== undefined;
    if (this.#tail !== undefined && isHere && this.#random.chance(0.9)) return;
    this.#tail?.[Symbol.dispose]();
    this.#tail = undefined;
    const server = this.#cluster.pickRunning(this.#random);
    const { log } = server?.replica ?? {};
    const row = shown(log?.log.state.logs.named(this.#name));
    if (server === undefined || log === undefined || row === undefined) return;
    if (row.id !== this.#id) [this.#id, this.#position] = [row.id, row.lowest];
    if (this.#position < row.lowest) this.#position = row.lowest;
    if (this.#position > row.next) return;
    [this.#server, this.#replica] = [server, server.replica];
    this.#tail = log.named.open({ name: this.#name, id: row.id }).follow(this.#position);
    this.#cluster.trace.mark("named-tail");
    this.#wait(this.#tail, server, row.id);
  }

  #wait(tail: Tail, server: SimServer, id: LogId): void {
    tail.ready().then(
      (there) => {
        if (!there || tail !== this.#tail || server.replica !== this.#replica) return;
        this.#cluster.guard(() => {
          if (this.#cluster.observe(server) && this.#take(tail, id)) this.#wait(tail, server, id);
        });
      },
      () => {},
    );
  }

  /** Returns false if the log was deleted, a trim overtook the tail, or its server stopped. */
  #take(tail: Tail, id: LogId): boolean {
    try {
      for (let slice = tail.take(); slice !== undefined; slice = tail.take()) {
        const [values, first] = valuesOf(slice.frames, this.#position);
        if (first !== this.#position)
          throw new Violation("tail-order", `${this.#position} received ${first}`);
        this.#cluster.named.shown(id, this.#position, values);
        this.#position += values.length;
      }
      return true;
    } catch (thrown) {
      if (thrown instanceof Violation || !(thrown instanceof Fault || isDead(thrown))) throw thrown;
      const kinds = ["not-found", "out-of-range", "unavailable", "disk-failed"];
      if (thrown instanceof Fault && !kinds.includes(thrown.kind)) throw thrown;
      this.#tail = undefined;
      return false;
    }
  }
}
