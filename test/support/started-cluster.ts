/**
 * Several nodes that have begun as one cluster, for tests: processes from the command line, gone when the test ends.
 *
 * Never: shared between tests.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NodeConnections } from "./chaos/clients/node-connections.ts";
import { Fleet, type FleetOptions } from "./chaos/fleet.ts";
import { Operator } from "./chaos/operator.ts";

export interface StartedCluster {
  readonly fleet: Fleet;
  readonly operator: Operator;
  readonly directory: string;
}

interface Options extends Partial<Pick<FleetOptions, "flags" | "proxied" | "movesClocks">> {
  /** Answers at once, before the nodes have found each other. */
  readonly atOnce?: true;
}

/** Nodes n1, n2, …, all of them voters when this resolves. */
export async function startCluster(
  t: { after(work: () => unknown): void },
  nodes: number,
  options: Options = {},
): Promise<StartedCluster> {
  const directory = mkdtempSync(join(tmpdir(), "tailrace-cluster-"));
  const names = Array.from({ length: nodes }, (_, n) => `n${n + 1}`);
  const fleet = await Fleet.open({ directory, names, proxied: false, ...options });
  t.after(async () => {
    await fleet[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });
  const connections = new NodeConnections();
  t.after(() => connections[Symbol.dispose]());
  const operator = new Operator(fleet, connections);
  if (options.atOnce !== true) await within("the cluster has begun", () => operator.isWhole());
  return { fleet, operator, directory };
}

/** Waits until it holds, for a minute at most. */
export async function within(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const last = performance.now() + 60_000; !(await holds()); ) {
    if (performance.now() > last) throw new Error(`not within a minute: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
