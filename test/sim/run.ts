/** Runs one seed: a phase with faults, then the healed phase, then the final checks. */
import { Fault } from "../../src/fault.ts";
import { AssertionFailed } from "../../src/lib/assert.ts";
import { isDead } from "../support/time/process-clock.ts";
import { Violation } from "./checks/violation.ts";
import { SimCluster } from "./cluster/sim-cluster.ts";
import type { Swarm } from "./faults/swarm.ts";
import { prepare, startWorkload } from "./workload.ts";

export interface SeedResult {
  readonly seed: string;
  readonly hash: string;
  /** Undefined if no invariant was violated. */
  readonly invariant: string | undefined;
  readonly detail: string;
  readonly trace: readonly string[];
  readonly events: number;
  readonly virtualMs: number;
  readonly marks: ReadonlyMap<string, number>;
  readonly acked: number;
  readonly faults: number;
}

export interface RunOptions {
  readonly trace?: boolean;
  readonly only?: Partial<Swarm>;
}

const healMs = 60_000;

/** The running cluster. A rejection in one of its processes ends the run, unless the process was killed. */
let current: SimCluster | undefined;
process.on("unhandledRejection", (thrown) => {
  if (current === undefined) throw thrown;
  if (isDead(thrown)) return;
  current.guard(() => {
    throw thrown;
  });
});

export async function runSeed(seed: string, options: RunOptions = {}): Promise<SeedResult> {
  const cluster = new SimCluster(seed, options.only);
  current = cluster;
  cluster.trace.isRecording = options.trace === true;
  let [invariant, detail]: [string | undefined, string] = [undefined, ""];
  try {
    await runPhases(cluster);
  } catch (thrown) {
    invariant = nameOf(thrown);
    detail = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  }
  // Late rejections of this cluster must not reach the next one.
  await new Promise(setImmediate);
  current = undefined;
  const { marks } = cluster.trace;
  const faultNames = ["power-cut", "kill", "split", "sync-failed", "disk-full"];
  const { lost, duplicated, cut } = cluster.network.counts;
  return {
    seed,
    hash: cluster.trace.digest,
    invariant,
    detail,
    trace: cluster.trace.lines(),
    events: cluster.events,
    virtualMs: cluster.time.now,
    marks,
    acked: cluster.history.counts.acked,
    faults: faultNames.reduce((sum, name) => sum + (marks.get(name) ?? 0), lost + duplicated + cut),
  };
}

function nameOf(thrown: unknown): string {
  if (thrown instanceof Violation) return thrown.invariant;
  if (thrown instanceof AssertionFailed) return "assertion";
  return thrown instanceof Error ? `error ${thrown.name}` : "error";
}

async function runPhases(cluster: SimCluster): Promise<void> {
  await prepare(cluster);
  startWorkload(cluster);
  await cluster.run(cluster.swarm.chaosMs);
  await heal(cluster);
  await cluster.backups?.finish();
  check(cluster);
  await cluster.drainRejections();
}

/**
 * Repairs all faults. Within a minute there must be one leader, all members must have all its entries, and it must accept writes.
 */
async function heal(cluster: SimCluster): Promise<void> {
  cluster.healed = true;
  cluster.network.faulty = false;
  cluster.network.heal();
  cluster.trace.event("all is healed");
  for (const server of cluster.servers.values()) {
    server.faults.fullUntil = 0;
    server.faults.failNext = false;
    cluster.setClock(server, 0);
    cluster.restart(server);
  }
  const end = cluster.time.now + healMs;
  const leaveJoint = (): void => {
    const leader = cluster.leader();
    if (leader === undefined) return;
    const { votersOutgoing, autoLeave } = leader.node.configuration;
    if (votersOutgoing.length > 0 && !autoLeave) {
      leader.node.proposeChange({ transition: "auto", changes: [] }).catch(() => {});
    }
  };
  for (let round = 0; round < 20; round++) {
    leaveJoint();
    if (await cluster.run(cluster.time.now + 1000, () => settled(cluster))) break;
    if (cluster.time.now > end) break;
  }
  if (!settled(cluster)) throw new Violation("liveness", state(cluster));
  let done = false;
  for (let attempt = 1; attempt <= 10 && !done; attempt++) {
    done = await writeOnce(cluster, `the last ${attempt}`);
    if (!done) await cluster.run(cluster.time.now + 1000, () => false);
  }
  for (let round = 0; round < 10 && !settled(cluster); round++) {
    // A change that was proposed before the healed phase may have been applied only now.
    leaveJoint();
    await cluster.run(cluster.time.now + 1000, () => settled(cluster));
  }
  if (!done || !settled(cluster))
    throw new Violation("liveness", `no write after healing: ${state(cluster)}`);
}

/**
 * Writes once, as a client that retries: a leadership transfer from before the healed phase can refuse it, and a disk
 * failure that was already scheduled can stop its server.
 */
async function writeOnce(cluster: SimCluster, value: string): Promise<boolean> {
  for (const server of cluster.servers.values()) if (server.node === undefined) cluster.restart(server);
  const leader = cluster.leader();
  const write = cluster.history.invoke(value);
  leader?.replica.append(value, {
    acked: (offset) => cluster.history.acked(write, offset),
    failed: (fault) => cluster.history.failed(write, Fault.from(fault).written),
  });
  await cluster.run(cluster.time.now + 3000, () => write.outcome !== "open");
  return write.outcome === "acked";
}

/**
 * Returns whether one leader knows what is committed, the configuration is not joint, and all members have everything.
 */
function settled(cluster: SimCluster): boolean {
  const leader = cluster.leader();
  if (leader === undefined || !leader.node.committedInTerm) return false;
  const { voters, learners, votersOutgoing } = leader.node.configuration;
  if (votersOutgoing.length > 0 || !voters.includes(leader.peer)) return false;
  if (leader.node.applied !== leader.node.lastIndex) return false;
  return [...voters, ...learners].every((peer) => {
    const server = cluster.servers.get(peer);
    return server?.node !== undefined && server.node.applied === leader.node.applied;
  });
}

function state(cluster: SimCluster): string {
  return [...cluster.servers.values()]
    .map(({ peer, node }) => {
      if (node === undefined) return `${peer} down`;
      const { role, term, commit, applied, lastIndex, configuration } = node.status();
      const { voters, votersOutgoing, learners } = configuration;
      return (
        `\n${peer} ${role} term ${term} last ${lastIndex} commit ${commit} applied ${applied}` +
        ` voters ${voters} & ${votersOutgoing} learners ${learners}` +
        [...(node.status().progress ?? [])].map(([id, one]) => ` ${id}:${one.state}/${one.match}/${one.next}`)
      );
    })
    .join("; ");
}

/** Compares the final state of all members and checks the history against it. */
function check(cluster: SimCluster): void {
  const leader = cluster.leader();
  if (leader === undefined) throw new Violation("liveness", "no leader at the end");
  const { voters, learners } = leader.node.configuration;
  for (const peer of [...voters, ...learners]) {
    const replica = cluster.servers.get(peer)?.replica;
    if (replica === undefined) continue;
    const lowest = Math.max(replica.lowest, leader.replica.lowest);
    const [ours, theirs] = [leader.replica, replica].map((one) =>
      one
        .values()
        .slice(lowest - one.lowest)
        .join("\n"),
    );
    if (ours !== theirs) throw new Violation("replicas-differ", `${leader.peer} and ${peer}`);
  }
  cluster.history.check(leader.replica.values(), leader.replica.lowest);
  cluster.named.check();
  for (const peer of [...voters, ...learners]) {
    const cursors = cluster.servers.get(peer)?.replica.cursors?.();
    if (cursors !== undefined) cluster.cursors.check(`server ${peer}`, cursors);
    for (const [id, { lowest, values }] of cluster.servers.get(peer)?.replica.namedValues?.() ?? []) {
      cluster.named.shown(id, lowest, values);
    }
  }
}
