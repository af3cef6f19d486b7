/**
 * A chaos run: a cluster of real processes, clients of every kind, and faults. After the last fault the cluster must become
 * whole and take writes; then the history of the clients is checked against the log.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prng } from "../../../src/lib/prng.ts";
import { check, type Violation } from "./checker.ts";
import { type Client, pause, type RunContext } from "./clients/client-context.ts";
import { NodeConnections } from "./clients/node-connections.ts";
import * as readers from "./clients/readers.ts";
import * as tails from "./clients/tails.ts";
import * as writers from "./clients/writers.ts";
import { makeCertificates } from "./credentials.ts";
import { FaultInjector } from "./faults/fault-injector.ts";
import { problemsIn, recordsOn } from "./final-state.ts";
import { Fleet } from "./fleet.ts";
import { History } from "./history.ts";
import { Operator } from "./operator.ts";
import { SmallDisk } from "./small-disk.ts";

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
  /** StoredRecord with the history and the nodes' logs; without one all is removed unless something was wrong. */
  readonly directory?: string;
  /** Called with a line for every fault and every stage. */
  readonly report?: (line: string) => void;
}

export interface ChaosReport {
  readonly nodes: number;
  readonly seed: number | string;
  readonly seconds: number;
  readonly injected: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly counts: History["counts"];
  /** Records in the log at the end. */
  readonly records: number;
  /** From the last fault to a cluster in which every node has everything, milliseconds. */
  readonly healedMs: number;
  /** Connections through the proxies. */
  readonly connections: number;
  readonly resets: number;
  readonly violations: readonly Violation[];
  /** The directory of history and logs, if they were kept. */
  readonly directory: string;
}

const limitMs = 120_000;
/** Longer than any run, and shorter than a jump of a clock. */
const retentionHours = 1;
/** A timestamp may be 10 s ahead of the other clocks; the rest allows for a slow machine. */
const stampAheadMsMax = 20_000;
const smallDiskBytes = 192 * 1024 * 1024;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { nodes, ms, seed, tempo = 1, rate = 60, report = () => undefined } = options;
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), "tailrace-chaos-"));
  mkdirSync(directory, { recursive: true });
  await using stack = new AsyncDisposableStack();
  let isKept = true;
  stack.defer(() => {
    if (!isKept) rmSync(directory, { recursive: true, force: true });
  });
  const names = Array.from({ length: nodes }, (_, n) => `n${n + 1}`);
  const disks = smallDisks(names.slice(0, 1), directory, stack, report);
  const credentials = options.tls === true ? await makeCertificates(join(directory, "certs")) : undefined;
  const history = new History(join(directory, "history.jsonl"));
  stack.defer(() => history.close());
  const fleet = stack.use(
    await Fleet.open({
      directory,
      names,
      movesClocks: true,
      places: new Map([...disks].map(([name, disk]) => [name, join(disk.path, "data")])),
      flags: [
        "--segment-store-bytes-max",
        "1MiB",
        "--shutdown-timeout",
        "2s",
        // With a retention age, a wrong clock could trim records.
        "--retention-age",
        `${retentionHours}h`,
        ...(credentials === undefined ? [] : [...credentials.server, ...credentials.policy]),
      ],
    }),
  );
  const connections = stack.use(new NodeConnections(credentials?.client));
  const operator = new Operator(fleet, connections);
  const chance = prng(seed);
  const violations: Violation[] = [];
  const mustHold = async (rule: string, what: string, holds: () => Promise<boolean>): Promise<void> => {
    if (!(await within(limitMs, holds))) violations.push({ rule, text: `not within ${limitMs} ms: ${what}` });
  };

  if (!(await within(limitMs, () => operator.isWhole()))) throw new Error("the cluster did not start");
  report(`${nodes} nodes, seed ${seed}, ${directory}`);
  const [clientsEnd, tailsEnd, faultsEnd] = [0, 0, 0].map(() => new AbortController()) as [
    AbortController,
    AbortController,
    AbortController,
  ];
  const world: Omit<RunContext, "signal"> = {
    history,
    addresses: fleet,
    connections,
    positions: new Map<string, number>(),
    rate,
  };
  const start = (clients: Readonly<Record<string, Client>>, { signal }: AbortController): Promise<unknown> =>
    Promise.all(
      Object.entries(clients).map(([name, client]) =>
        client({ ...world, signal, name, chance: chance.stream(name) }).catch((reason: unknown) =>
          violations.push({ rule: "client", text: `${name} ended: ${reason}` }),
        ),
      ),
    );
  const clientsDone = start({ ...writers, ...readers }, clientsEnd);
  const tailsDone = start(tails, tailsEnd);
  const { signal } = faultsEnd;
  const injector = new FaultInjector(
    { fleet, operator, chance: chance.stream("faults"), signal, disks, tempo },
    history,
    report,
    options.only,
  );
  const faultsDone = injector.run();
  const began = performance.now();
  await pause(ms, new AbortController().signal);
  const { faults, acked: ackedMin, everyFault = false } = options.atLeast ?? { faults: 0, acked: 0 };
  await within(2 * ms, async () => {
    return injector.total >= faults && history.counts.acked >= ackedMin && (injector.hadAll || !everyFault);
  });
  if (everyFault && !injector.hadAll)
    violations.push({
      rule: "faults",
      text: `too few kinds happened: ${[...injector.counts.keys()].join(", ")}`,
    });
  faultsEnd.abort();
  await faultsDone;
  const faultsEndedMs = performance.now();

  for (const node of fleet.nodes) if (node.child === undefined) await fleet.start(node);
  const { acked } = history.counts;
  await mustHold("liveness", "writes are acknowledged again", async () => history.counts.acked > acked + 100);
  clientsEnd.abort();
  await clientsDone;
  await mustHold("liveness", "every node has all records", () => operator.isWhole());
  const healedMs = performance.now() - faultsEndedMs;
  const end = (await operator.endOf(fleet.nodes[0]!)) ?? 0;
  await mustHold("liveness", "every tail has shown all records", async () =>
    [...world.positions.values()].every((next) => next >= end),
  );
  tailsEnd.abort();
  await tailsDone;
  report(`healed after ${Math.round(healedMs)} ms, ${end} records`);

  const final = await recordsOn(connections.transport(chance.pick(fleet.nodes).addr, "grpc"));
  const lastMs = final.reduce((last, { timestampMs }) => Math.max(last, timestampMs), 0);
  if (lastMs > Date.now() + stampAheadMsMax)
    violations.push({ rule: "stamps", text: `a record has the timestamp ${new Date(lastMs).toISOString()}` });
  for (const node of fleet.nodes) await fleet.end(node, "SIGTERM");
  for (const text of fleet.failures) violations.push({ rule: "failure", text });
  for (const text of await problemsIn(
    fleet.nodes.map((node) => node.directory),
    final.length,
  ))
    violations.push({ rule: "identical", text });
  violations.push(...check(history.operations, final));
  isKept = violations.length > 0 || options.directory !== undefined;
  // The small disks are in memory and end with the run.
  if (isKept)
    for (const [name, disk] of disks)
      cpSync(join(disk.path, "data"), join(directory, name), { recursive: true });
  const { passed } = fleet.links;
  return {
    nodes,
    seed,
    seconds: Math.round((faultsEndedMs - began) / 1000),
    injected: injector.total,
    faults: Object.fromEntries(injector.counts),
    counts: history.counts,
    records: final.length,
    healedMs: Math.round(healedMs),
    connections: passed.connections,
    resets: passed.resets,
    violations,
    directory,
  };
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
