/**
 * A run: a cluster of real processes, clients of every kind, faults; then peace, and the judgement.
 *
 * Never: judges by time. What must hold is that after the last fault the cluster becomes whole and takes writes.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prng } from "../../../src/lib/prng.ts";
import { check, type Violation } from "./checker.ts";
import { makeCertificates } from "./credentials.ts";
import { NodeConnections } from "./clients/node-connections.ts";
import { Fleet } from "./fleet.ts";
import { SmallDisk } from "./small-disk.ts";
import { History } from "./history.ts";
import { recordsOn, problemsIn } from "./final-state.ts";
import { FaultInjector } from "./faults/fault-injector.ts";
import { Operator } from "./operator.ts";
import * as readers from "./clients/readers.ts";
import * as tails from "./clients/tails.ts";
import { type Client, pause, type RunContext } from "./clients/client-context.ts";
import * as writers from "./clients/writers.ts";

export interface ChaosOptions {
  readonly nodes: number;
  /** How long faults happen, milliseconds. */
  readonly ms: number;
  readonly seed: number | string;
  /** Goes on until this has happened too, for three times as long at most. */
  readonly atLeast?: { readonly faults: number; readonly acked: number; readonly everyFault?: boolean };
  /** Makes every fault longer or shorter. Default 1. */
  readonly tempo?: number;
  /** Appends a second of one writer, of which there are seven. Default 60. */
  readonly rate?: number;
  /** These faults only; all when not given. */
  readonly only?: readonly string[];
  /** Everybody shows a certificate. */
  readonly tls?: boolean;
  /** StoredRecord with the history and the nodes' logs; without one all is removed unless something was wrong. */
  readonly directory?: string;
  /** Told of every fault, and of every stage. */
  readonly told?: (line: string) => void;
}

export interface ChaosReport {
  readonly nodes: number;
  readonly seed: number | string;
  readonly seconds: number;
  readonly injected: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly counts: History["counts"];
  /** In the log in the end. */
  readonly records: number;
  /** From the last fault to a cluster in which every node has everything, milliseconds. */
  readonly healedMs: number;
  /** Through the proxies. */
  readonly connections: number;
  readonly resets: number;
  readonly violations: readonly Violation[];
  /** Where history and logs are, when they were kept. */
  readonly directory: string;
}

const limitMs = 120_000;
/** Longer than any run, and less than a clock leaps. */
const retentionHours = 1;
/** A record may be stamped 10 s ahead of the other clocks; the rest is for what this machine is late. */
const stampAheadMsMax = 20_000;
const smallDiskBytes = 192 * 1024 * 1024;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { nodes, ms, seed, tempo = 1, rate = 60, told = () => undefined } = options;
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), "tailrace-chaos-"));
  mkdirSync(directory, { recursive: true });
  await using stack = new AsyncDisposableStack();
  let isKept = true;
  stack.defer(() => {
    if (!isKept) rmSync(directory, { recursive: true, force: true });
  });
  const names = Array.from({ length: nodes }, (_, n) => `n${n + 1}`);
  const disks = smallDisks(names.slice(0, 1), directory, stack, told);
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
        // So that a wrong clock has something to trim.
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

  if (!(await within(limitMs, () => operator.isWhole()))) throw new Error("the cluster did not begin");
  told(`${nodes} nodes, seed ${seed}, ${directory}`);
  const [asking, following, faulty] = [0, 0, 0].map(() => new AbortController()) as [
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
  const asked = start({ ...writers, ...readers }, asking);
  const followed = start(tails, following);
  const { signal } = faulty;
  const nemesis = new FaultInjector(
    { fleet, operator, chance: chance.stream("faults"), signal, disks, tempo },
    history,
    told,
    options.only,
  );
  const happened = nemesis.run();
  const began = performance.now();
  await pause(ms, new AbortController().signal);
  const { faults, acked: ackedMin, everyFault = false } = options.atLeast ?? { faults: 0, acked: 0 };
  await within(2 * ms, async () => {
    return nemesis.total >= faults && history.counts.acked >= ackedMin && (nemesis.hadAll || !everyFault);
  });
  if (everyFault && !nemesis.hadAll)
    violations.push({
      rule: "faults",
      text: `too few kinds happened: ${[...nemesis.counts.keys()].join(", ")}`,
    });
  faulty.abort();
  await happened;
  const peace = performance.now();

  for (const node of fleet.nodes) if (node.child === undefined) await fleet.start(node);
  const { acked } = history.counts;
  await mustHold("liveness", "writes are taken again", async () => history.counts.acked > acked + 100);
  asking.abort();
  await asked;
  await mustHold("liveness", "every node has everything", () => operator.isWhole());
  const healedMs = performance.now() - peace;
  const end = (await operator.endOf(fleet.nodes[0]!)) ?? 0;
  await mustHold("liveness", "every tail has shown everything", async () =>
    [...world.positions.values()].every((next) => next >= end),
  );
  following.abort();
  await followed;
  told(`healed after ${Math.round(healedMs)} ms, ${end} records`);

  const final = await recordsOn(connections.transport(chance.pick(fleet.nodes).addr, "grpc"));
  const lastMs = final.reduce((last, { timestampMs }) => Math.max(last, timestampMs), 0);
  if (lastMs > Date.now() + stampAheadMsMax)
    violations.push({ rule: "stamps", text: `a record is stamped ${new Date(lastMs).toISOString()}` });
  for (const node of fleet.nodes) await fleet.end(node, "SIGTERM");
  for (const text of fleet.deaths) violations.push({ rule: "death", text });
  for (const text of await problemsIn(
    fleet.nodes.map((node) => node.directory),
    final.length,
  ))
    violations.push({ rule: "identical", text });
  violations.push(...check(history.operations, final));
  isKept = violations.length > 0 || options.directory !== undefined;
  // What lies in memory would be gone with the run.
  if (isKept)
    for (const [name, disk] of disks)
      cpSync(join(disk.path, "data"), join(directory, name), { recursive: true });
  const { connections, resets } = fleet.links.passed;
  return {
    nodes,
    seed,
    seconds: Math.round((peace - began) / 1000),
    injected: nemesis.total,
    faults: Object.fromEntries(nemesis.counts),
    counts: history.counts,
    records: final.length,
    healedMs: Math.round(healedMs),
    connections,
    resets,
    violations,
    directory,
  };
}

/** Small disks for these nodes, where that is allowed. */
function smallDisks(
  names: readonly string[],
  directory: string,
  owner: AsyncDisposableStack,
  told: (line: string) => void,
): ReadonlyMap<string, SmallDisk> {
  const disks = new Map<string, SmallDisk>();
  for (const name of names) {
    const disk = SmallDisk.mount(join(directory, `${name}-disk`), smallDiskBytes);
    if (disk === undefined) told("NO DISK IS FILLED IN THIS RUN: only root may mount small ones");
    else disks.set(name, owner.use(disk));
  }
  return disks;
}

/** A second at most counts of what one look took: the whole run may be stopped for a while, to let others work. */
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
