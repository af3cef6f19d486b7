/**
 * Clients of cursors: they commit with and without a version, often several at once with the same one, delete and read, on any
 * server, and commit cursors that are about to expire.
 */
import { Fault } from "../../../src/fault.ts";
import { defaultLog } from "../../../src/lib/names/log-name.ts";
import type { Prng } from "../../../src/lib/prng.ts";
import type { ReplicatedLog } from "../../../src/replication/replicated-log.ts";
import type { LogId, LogRef, RaftIndex } from "../../../src/types.ts";
import { isDead } from "../../support/time/process-clock.ts";
import { type CursorKey, cursorIdleMs } from "../checks/cursor-history.ts";
import { writtenOf } from "../checks/history.ts";
import { Violation } from "../checks/violation.ts";
import type { SimCluster } from "../cluster/sim-cluster.ts";
import type { SimServer } from "../cluster/sim-server.ts";
import { repeatAtRandom } from "../faults/repeat-at-random.ts";

const names = ["billing", "mail", "search"];
/** Cursors that are committed before the clients begin, as if that was almost 30 days ago. */
const oldCursors = 24;

export function startCursorClients(cluster: SimCluster, random: Prng): void {
  for (let client = 1; client <= 2; client++) {
    const own = random.stream(`commits/${client}`);
    repeatAtRandom(cluster, own, 80, () => commitSome(cluster, own));
  }
  const others = random.stream("others");
  repeatAtRandom(cluster, others, 150, () => {
    const call = new CursorCall(cluster, others, anyCursor(cluster, others));
    if (others.chance(0.3)) call.delete();
    else call.read();
  });
  const late = random.stream("late");
  repeatAtRandom(cluster, late, 15, () => commitDue(cluster, late));
}

/**
 * Commits cursors of `default` with timestamps of almost 30 days ago. Most of them are due while the run goes on, some an hour or
 * days later: a clock that leaps must not make those expire.
 */
export async function commitOldCursors(cluster: SimCluster, random: Prng): Promise<void> {
  const { time } = cluster;
  cluster.stampedEarlierMs = cursorIdleMs;
  await cluster.run(2_000, () => cluster.leader()?.node.committedInTerm === true);
  for (let cursor = 0; cursor < oldCursors; cursor++) {
    const hours = random.between(1, 150);
    const leftMs = cursor < 20 ? 1_000 + cursor * random.between(300, 600) : hours * 3_600_000;
    cluster.stampedEarlierMs = Math.min(cluster.stampedEarlierMs, cursorIdleMs - leftMs);
    const server = cluster.leader();
    if (server === undefined) break;
    const before = cluster.cursors.acks;
    new CursorCall(cluster, random, { log: 0, cursor: `old ${cursor}` }, server).commit(undefined);
    await cluster.run(time.now + 200, () => cluster.cursors.acks > before);
  }
  cluster.stampedEarlierMs = 0;
}

/** One commit, or some at once with the same version, of which one can be made. */
function commitSome(cluster: SimCluster, random: Prng): void {
  if (cluster.quiet) return;
  const key = anyCursor(cluster, random);
  const versions = cluster.cursors.versions(key);
  const draw = random.float();
  const expected =
    draw < 0.3 ? undefined : draw < 0.4 ? 0 : random.chance(0.8) ? versions.at(-1) : versions[0];
  const atOnce = random.chance(0.3) ? 3 : 1;
  for (let call = 0; call < atOnce; call++) new CursorCall(cluster, random, key).commit(expected);
}

/** Commits a cursor that is due, right before the leader looks for such ones: it does so each second after its start. */
function commitDue(cluster: SimCluster, random: Prng): void {
  const leader = cluster.leader();
  if (cluster.quiet || leader?.replica.startedMs === undefined) return;
  const leftMs = 1_000 - ((leader.clock.monotonicMs() - leader.replica.startedMs) % 1_000);
  if (leftMs > 40) return;
  const nowMs = cluster.trueMs + leftMs;
  // Some are left to expire.
  const due = cluster.cursors.due().filter(({ dueMs, cursor }) => dueMs < nowMs && isCommittedLate(cursor));
  if (due.length > 0) new CursorCall(cluster, random, random.pick(due), leader).commit(undefined);
}

const isCommittedLate = (cursor: string): boolean => Number(cursor.slice("old ".length)) % 3 > 0;

/** A cursor of `default`, or of a named log that may be deleted. */
function anyCursor(cluster: SimCluster, random: Prng): CursorKey {
  const logs = [...cluster.named.logs.keys()].slice(-4);
  const log = logs.length === 0 || random.chance(0.3) ? 0 : random.pick(logs);
  const old = log === 0 && cluster.swarm.oldCursors && random.chance(0.1);
  return { log, cursor: old ? `old ${random.between(0, oldCursors - 1)}` : random.pick(names) };
}

/** One call of a client to a random server. There may be no answer, or a late one. */
class CursorCall {
  readonly #cluster: SimCluster;
  readonly #random: Prng;
  readonly #key: CursorKey;
  readonly #ref: LogRef;
  readonly #server: SimServer | undefined;
  readonly #log: ReplicatedLog | undefined;

  constructor(cluster: SimCluster, random: Prng, key: CursorKey, server?: SimServer) {
    this.#cluster = cluster;
    this.#random = random;
    this.#key = key;
    this.#ref = refOf(cluster, key.log);
    const here = random.chance(0.5) ? cluster.leader() : undefined;
    this.#server = server ?? here ?? cluster.pickRunning(random);
    this.#log = this.#server?.node === undefined ? undefined : this.#server.replica.log;
  }

  commit(expected: RaftIndex | undefined): void {
    const { cursors, named, trace } = this.#cluster;
    if (this.#log === undefined) return;
    const end = this.#key.log === 0 ? this.#cluster.history.shown : named.floor(this.#key.log);
    const offset = this.#random.between(0, end);
    const invoked = named.now;
    const metadata = `m${invoked}`;
    const call = cursors.committing({ ...this.#key, metadata, offset, expected });
    this.#then(
      this.#log.named.change(
        {
          ...{ kind: "commit-cursor", log: this.#ref, cursor: this.#key.cursor, offset, metadata },
          ...(expected === undefined ? {} : { version: expected }),
        },
        { subject: this.#random.pick(["ann", "bob"]) },
      ),
      ({ cursor }) => {
        if (cursor?.log !== this.#key.log)
          throw new Violation("another-log", `${cursor?.log} ${this.#key.log}`);
        this.#cluster.observe(this.#server!);
        cursors.acked(call, cursor);
        this.#logExists(invoked);
        trace.mark("cursor-committed");
        trace.hash(`cursor ${this.#key.log} ${this.#key.cursor} ${cursor.version}`);
      },
      (fault) => {
        cursors.failed(call, writtenOf(fault));
        this.#refused(fault, call, invoked);
      },
    );
  }

  delete(): void {
    const { cursors, named, quiet, trace } = this.#cluster;
    if (quiet || this.#log === undefined) return;
    const invoked = named.now;
    const expected = this.#random.chance(0.5) ? cursors.versions(this.#key).at(-1) : undefined;
    const call = cursors.deleting({ ...this.#key, expected });
    this.#then(
      this.#log.named.change({
        ...{ kind: "delete-cursor", log: this.#ref, cursor: this.#key.cursor },
        ...(expected === undefined ? {} : { version: expected }),
      }),
      () => {
        // A follower may not have applied it. Another server has.
        for (const server of this.#cluster.running()) this.#cluster.observe(server);
        cursors.deleted(call);
        trace.mark("cursor-deleted");
      },
      (fault) => this.#refused(fault, call, invoked),
    );
  }

  /** Reads as Cursors.Get does, or what the server has. */
  read(): void {
    const { cursors, named, trace } = this.#cluster;
    const log = this.#log;
    if (log === undefined) return;
    const shown = (floor?: RaftIndex): void => {
      if (!this.#cluster.observe(this.#server!)) return;
      cursors.seen(this.#key, log.named.cursor(this.#key.log, this.#key.cursor), floor);
      trace.mark(floor === undefined ? "cursor-read-any" : "cursor-read");
    };
    if (this.#random.chance(0.2)) {
      this.#cluster.guard(() => shown());
      return;
    }
    const invoked = named.now;
    const floor = cursors.floor(this.#key);
    const fresh = { mode: "linearizable" } as const;
    const confirmed: Promise<unknown> =
      this.#key.log === 0 ? log.bounds(fresh) : log.named.open(this.#ref).info(fresh);
    this.#then(
      confirmed,
      () => {
        this.#logExists(invoked);
        shown(floor);
      },
      (fault) => this.#refused(fault, { ...this.#key, expected: undefined, floor }, invoked),
    );
  }

  #logExists(invoked: number): void {
    if (this.#ref.id === undefined) return;
    const { id, name } = this.#ref;
    this.#cluster.named.exists({ id, name, closed: true }, invoked);
  }

  /** A refusal must be right: about the version, the cursor or the log. */
  #refused(
    fault: Error,
    call: CursorKey & { readonly expected: RaftIndex | undefined; readonly floor: RaftIndex },
    invoked: number,
  ): void {
    const always = ["unavailable", "unknown", "interrupted", "not-leader", "overloaded"];
    const disk = ["disk-full", "disk-busy", "disk-failed"];
    if (!(fault instanceof Fault)) throw fault;
    const { kind, facts } = fault;
    const { cursors, named, trace } = this.#cluster;
    const reason = (facts as { readonly reason?: string }).reason;
    if (reason === "CURSOR_VERSION_MISMATCH") {
      this.#cluster.observe(this.#server!);
      cursors.refused(call, Number((facts as { readonly found?: number }).found));
      trace.mark("cursor-refused");
    } else if (reason === "NO_SUCH_CURSOR") {
      this.#cluster.observe(this.#server!);
      cursors.seen(call, undefined, call.floor);
      trace.mark("cursor-not-found");
    } else if (kind === "out-of-range") throw new Violation("cursor-end-denied", fault.message);
    else if (kind === "not-found" || reason === "ANOTHER_LOG")
      named.missing(this.#ref.name, this.#ref.id, invoked);
    else if (![...always, ...disk].includes(kind)) throw fault;
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

/** The log of an id, which exists or existed. */
function refOf(cluster: SimCluster, id: LogId): LogRef {
  return id === 0 ? { name: defaultLog } : { name: cluster.named.logs.get(id)!.name, id };
}
