/**
 * A chaos run: a cluster of real processes, clients of every kind, and faults. After the last fault the cluster must become
 * whole and take writes; then the history of the clients is checked against the log.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogInfo } from "../../src/gen/log/v1/log_pb.js";
import { type Prng, prng } from "../../src/lib/prng.ts";
import { SmallDisk } from "../support/disk/small-disk.ts";
import { BackupPlace } from "./backup-place.ts";
import { check, type Violation } from "./checker.ts";
import { type Client, pause, type TailPlace } from "./clients/client-context.ts";
import { NodeConnections } from "./clients/node-connections.ts";
import * as readers from "./clients/readers.ts";
import * as tails from "./clients/tails.ts";
import * as writers from "./clients/writers.ts";
import { type Credentials, makeCertificates } from "./credentials.ts";
import { FaultInjector } from "./faults/fault-injector.ts";
import { problemsIn, recordsOn } from "./final-state.ts";
import { Fleet } from "./fleet.ts";
import { History } from "./history.ts";
import { KeptStores } from "./kept-stores.ts";
import * as namedAppends from "./named/appends.ts";
import * as namedChanges from "./named/changes.ts";
import { committedLogs } from "./named/committed-logs.ts";
import { checkCursors } from "./named/cursor-checker.ts";
import * as namedCursors from "./named/cursors.ts";
import { differences, equalLogs, namedRecordsOn } from "./named/final-logs.ts";
import * as namedForks from "./named/forks.ts";
import { KnownLogs } from "./named/known-logs.ts";
import { checkNamed } from "./named/named-checker.ts";
import * as namedReads from "./named/reads.ts";
import * as namedTails from "./named/tails.ts";
import { Operator } from "./operator.ts";

export interface ChaosOptions {
  readonly nodes: number;
  /** Duration of the faults, milliseconds. */
  readonly ms: number;
  readonly seed: number | string;
  /** The faults continue until this has happened too, for at most three times as long. */
  readonly atLeast?: { readonly faults: number; readonly acked: number; readonly everyFault?: boolean };
  /** Multiplies the duration of every fault. Default 1. */
  readonly tempo?: number;
  /** Appends per second of one writer, of which there are seven. Default 60. */
  readonly rate?: number;
  /** The names of the faults. Default: all. */
  readonly only?: readonly string[];
  /** Mutual TLS. */
  readonly tls?: boolean;
  /** Keeps the history, the data and the logs of the nodes. Without it, they are kept only if a rule is violated. */
  readonly directory?: string;
  /** Called with a line for every fault and every stage. */
  readonly report?: (line: string) => void;
}

/** Named logs that there ever were, and of them those that were deleted, and those that were forks. */
interface LogCounts {
  readonly logs: number;
  readonly deleted: number;
  readonly forks: number;
}

export interface ChaosReport {
  readonly nodes: number;
  readonly seed: number | string;
  readonly seconds: number;
  readonly injected: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly counts: History["counts"];
  readonly named: History["named"] & LogCounts;
  readonly cursors: History["cursors"];
  /** Records in the log at the end. */
  readonly records: number;
  /** What nodes settled: segments, and of the batches of one node those whose records no file has any more. */
  readonly settled: { readonly segments: number; readonly batches: number; readonly unknown: number };
  /** Backups that leaders made. */
  readonly backups: number;
  /** From the last fault to a cluster in which every node has everything, milliseconds. */
  readonly healedMs: number;
  /** Connections through the proxies. */
  readonly connections: number;
  readonly resets: number;
  readonly violations: readonly Violation[];
  /** The directory of history and logs, if they were kept. */
  readonly directory: string;
}

const lowestOf = ({ logId, lowestOffset }: LogInfo): string => `${logId} ${lowestOffset}`;

const limitMs = 120_000;
/** Longer than any run, and shorter than a jump of a clock. */
const retentionHours = 1;
/** A timestamp may be 10 s ahead of the other clocks; the rest allows for a slow machine. */
const stampAheadMsMax = 20_000;
/** What a node logs. */
const settledLine = "a segment was settled";
/** Small, so that nodes seal and settle many. */
const segmentBytes = "128KiB";
const smallDiskBytes = 192 * 1024 * 1024;

/** The parts of a run. */
interface Run {
  readonly options: ChaosOptions;
  readonly directory: string;
  readonly report: (line: string) => void;
  readonly disks: ReadonlyMap<string, SmallDisk>;
  readonly history: History;
  readonly fleet: Fleet;
  readonly connections: NodeConnections;
  readonly operator: Operator;
  readonly place: BackupPlace;
  readonly kept: KeptStores;
  readonly credentials: Credentials | undefined;
  readonly chance: Prng;
  readonly positions: Map<string, TailPlace>;
  readonly known: KnownLogs;
  readonly violations: Violation[];
}

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), "tailrace-chaos-"));
  mkdirSync(directory, { recursive: true });
  await using stack = new AsyncDisposableStack();
  let isKept = true;
  stack.defer(() => {
    if (!isKept) rmSync(directory, { recursive: true, force: true });
  });
  const run = await openRun(stack, options, directory);
  const { fleet, history, violations } = run;
  const writing = {
    ...writers,
    ...readers,
    ...namedAppends,
    ...namedChanges,
    ...namedForks,
    ...namedReads,
    ...namedCursors,
  };
  const clients = startClients(run, writing);
  const followers = startClients(run, { ...tails, ...namedTails });
  const { injector, seconds } = await injectFaults(run);
  const healedMs = await heal(run, clients.end, followers.end);
  const { records, settled, ...logs } = await checkLog(run);
  isKept = violations.length > 0 || options.directory !== undefined;
  // The small disks are in memory and end with the run.
  if (isKept)
    for (const [name, disk] of run.disks)
      cpSync(join(disk.path, "data"), join(directory, name), { recursive: true });
  return {
    nodes: options.nodes,
    seed: options.seed,
    seconds,
    injected: injector.total,
    faults: Object.fromEntries(injector.counts),
    counts: history.counts,
    named: { ...history.named, ...logs },
    cursors: history.cursors,
    records,
    settled,
    backups: fleet.countLogged("backup completed"),
    healedMs: Math.round(healedMs),
    connections: fleet.links.passed.connections,
    resets: fleet.links.passed.resets,
    violations,
    directory,
  };
}

/** Starts the nodes and waits until they are one cluster. */
async function openRun(stack: AsyncDisposableStack, options: ChaosOptions, directory: string): Promise<Run> {
  const { nodes, seed, report = () => undefined } = options;
  const names = Array.from({ length: nodes }, (_, n) => `n${n + 1}`);
  const disks = smallDisks(names.slice(0, 1), directory, stack, report);
  const credentials = options.tls === true ? await makeCertificates(join(directory, "certs")) : undefined;
  const place = stack.use(await BackupPlace.open());
  const history = new History(join(directory, "history.jsonl"));
  stack.defer(() => history.close());
  const fleet = stack.use(
    await Fleet.open({
      directory,
      names,
      movesClocks: true,
      places: new Map([...disks].map(([name, disk]) => [name, join(disk.path, "data")])),
      flags: [
        ...["--segment-store-bytes-max", segmentBytes, "--shutdown-timeout", "2s"],
        ...["--settle-bytes-per-second", "64MiB", "--settle-interval", "500ms", ...place.flags],
        // With a retention age, a wrong clock could trim records.
        ...["--retention-age", `${retentionHours}h`],
        ...(credentials === undefined ? [] : [...credentials.server, ...credentials.policy]),
      ],
    }),
  );
  const onDisk = () => fleet.nodes.filter(({ name }) => !disks.has(name)).map((node) => node.directory);
  const kept = stack.use(new KeptStores(join(directory, "kept"), onDisk));
  const connections = stack.use(new NodeConnections(credentials?.client));
  const operator = new Operator(fleet, connections);
  if (!(await within(limitMs, () => operator.isWhole()))) throw new Error("the cluster did not start");
  report(`${nodes} nodes, seed ${seed}, ${directory}`);
  const state = { chance: prng(seed), positions: new Map<string, TailPlace>(), known: new KnownLogs() };
  return {
    options,
    directory,
    report,
    disks,
    history,
    fleet,
    connections,
    operator,
    place,
    kept,
    credentials,
    ...state,
    violations: [],
  };
}

/** Starts clients. `end` stops them and resolves when they have ended. */
function startClients(run: Run, clients: Readonly<Record<string, Client>>): { end(): Promise<void> } {
  const { history, fleet, connections, positions, known, chance, violations, options } = run;
  const controller = new AbortController();
  const { signal } = controller;
  const rate = options.rate ?? 60;
  const context = { history, addresses: fleet, connections, positions, known, rate, signal };
  const done = Object.entries(clients).map(([name, client]) =>
    client({ ...context, name, chance: chance.stream(name) }).catch((reason: unknown) =>
      violations.push({ rule: "client", text: `${name} ended: ${reason}` }),
    ),
  );
  return {
    async end() {
      controller.abort();
      await Promise.all(done);
    },
  };
}

async function injectFaults(
  run: Run,
): Promise<{ readonly injector: FaultInjector; readonly seconds: number }> {
  const { fleet, operator, chance, disks, place, history, violations, options, report } = run;
  const { ms, tempo = 1, only } = options;
  const controller = new AbortController();
  const { signal } = controller;
  const scene = {
    fleet,
    operator,
    chance: chance.stream("faults"),
    signal,
    disks,
    bucket: place.proxy,
    tempo,
  };
  const injector = new FaultInjector(scene, history, report, only);
  const done = injector.run();
  const began = performance.now();
  await pause(ms, new AbortController().signal);
  const { faults, acked, everyFault = false } = options.atLeast ?? { faults: 0, acked: 0 };
  if (everyFault) injector.addMissingOnly();
  // Missing kinds need a whole cluster one after another, which takes minutes on a busy machine.
  await within((everyFault ? 5 : 2) * ms, async () => {
    return (
      injector.total >= faults &&
      history.counts.acked >= acked &&
      (injector.missing.length === 0 || !everyFault)
    );
  });
  if (everyFault && injector.missing.length > 0) {
    violations.push({ rule: "faults", text: `did not happen: ${injector.missing.join(", ")}` });
  }
  controller.abort();
  await done;
  return { injector, seconds: Math.round((performance.now() - began) / 1000) };
}

/** Waits until the cluster is whole and takes writes; resolves to the milliseconds it took until all had all records. */
async function heal(
  { fleet, history, operator, positions, connections, violations, report }: Run,
  endClients: () => Promise<void>,
  endTails: () => Promise<void>,
): Promise<number> {
  const mustHold = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    if (await within(limitMs, holds)) return;
    violations.push({ rule: "liveness", text: `not within ${limitMs} ms: ${what}` });
  };
  const began = performance.now();
  for (const node of fleet.nodes) if (node.child === undefined) await fleet.start(node);
  const { acked } = history.counts;
  await mustHold("writes are acknowledged again", async () => history.counts.acked > acked + 100);
  await mustHold("a segment is settled", async () => fleet.countLogged(settledLine) > 0);
  await endClients();
  await mustHold("every node has all records", () => operator.isWhole());
  let logs: readonly LogInfo[] = [];
  await mustHold("all nodes have the same named logs", async () => {
    const before = logs.map(lowestOf).join();
    const equal = await equalLogs(connections, fleet);
    logs = equal ?? [];
    // Retention goes on for a moment.
    if (equal !== undefined && logs.map(lowestOf).join() !== before)
      await pause(2_500, new AbortController().signal);
    return equal !== undefined && logs.map(lowestOf).join() === before;
  });
  const healedMs = performance.now() - began;
  const end = (await operator.endOf(fleet.nodes[0]!)) ?? 0;
  const ends = new Map(logs.map(({ logId, nextOffset }) => [logId, Number(nextOffset)]));
  await mustHold("every tail has shown all records", async () =>
    [...positions.values()].every(
      ({ logId, next }) => next >= (logId === undefined ? end : (ends.get(logId) ?? 0)),
    ),
  );
  await endTails();
  report(`healed after ${Math.round(healedMs)} ms, ${end} records`);
  return healedMs;
}

/** Checks the history, the final logs and the directories; resolves to the numbers of records and named logs. */
async function checkLog({
  fleet,
  connections,
  chance,
  history,
  violations,
  directory,
  place,
  kept,
  credentials,
}: Run): Promise<Pick<ChaosReport, "records" | "settled"> & LogCounts> {
  const last = ["--addr", fleet.nodes[0]!.addr, ...(credentials?.flags ?? [])];
  const refusal = await place.backup(last);
  if (refusal !== undefined) violations.push({ rule: "backup", text: refusal });
  const final = await recordsOn(connections.transport(chance.pick(fleet.nodes).addr, "grpc"));
  const lastMs = final.reduce((last, { timestampMs }) => Math.max(last, timestampMs), 0);
  if (lastMs > Date.now() + stampAheadMsMax)
    violations.push({ rule: "stamps", text: `a record has the timestamp ${new Date(lastMs).toISOString()}` });
  const shown = (await equalLogs(connections, fleet)) ?? [];
  const served = await namedRecordsOn(connections, fleet, shown);
  for (const node of fleet.nodes) await fleet.end(node, "SIGTERM");
  for (const text of fleet.failures) violations.push({ rule: "failure", text });
  const directories = fleet.nodes.map((node) => node.directory);
  for (const text of await problemsIn(directories, final.length))
    violations.push({ rule: "identical", text });
  if (refusal === undefined)
    for (const text of await place.problems(directory, directories[0]!))
      violations.push({ rule: "backup", text });
  const ofDefault = history.operations.filter(({ log }) => log === undefined);
  violations.push(...check(ofDefault, final));
  const committed = committedLogs(directories[0]!, (index, crc) => kept.find(index, crc));
  violations.push(...differences(shown, served, committed), ...checkNamed(history.operations, committed));
  violations.push(...checkCursors(history.operations, committed));
  const { size: logs } = committed.logs;
  const all = [...committed.logs.values()];
  const deleted = all.filter((log) => log.deleted).length;
  const forks = all.filter(({ fork }) => fork !== undefined).length;
  const settled = { segments: fleet.countLogged(settledLine), ...committed.settled };
  if (settled.segments === 0) violations.push({ rule: "settling", text: "no segment was settled" });
  return { records: final.length, settled, logs, deleted, forks };
}

/** Mounts small disks for these nodes, if that is allowed. */
function smallDisks(
  names: readonly string[],
  directory: string,
  owner: AsyncDisposableStack,
  report: (line: string) => void,
): ReadonlyMap<string, SmallDisk> {
  const disks = new Map<string, SmallDisk>();
  for (const name of names) {
    const disk = SmallDisk.mount(join(directory, `${name}-disk`), smallDiskBytes);
    if (disk === undefined) report("NO DISK IS FILLED IN THIS RUN: only root can mount small disks");
    else disks.set(name, owner.use(disk));
  }
  return disks;
}

/** Waits up to `ms`. A look counts for at most a second, because the whole run may be paused for a while. */
async function within(ms: number, holds: () => Promise<boolean>): Promise<boolean> {
  const never = new AbortController().signal;
  for (let left = ms; left > 0; ) {
    const began = performance.now();
    if (await holds()) return true;
    await pause(200, never);
    left -= Math.min(1_000, performance.now() - began);
  }
  return false;
}
