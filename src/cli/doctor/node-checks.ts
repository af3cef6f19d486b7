/** The checks of a node that runs: whether it is ready, its cluster, and what its ops port says. */
import { quorumAdvice } from "../../api/quorum-advice.ts";
import type { TailraceClient } from "../../client/mod.ts";
import { faultOf } from "../../client/mod.ts";
import type { Fault } from "../../fault.ts";
import { type Check, ok, problem, skipped, warning } from "./check.ts";

const callMs = 5_000;

export interface NodeFound {
  readonly checks: readonly Check[];
  /** Whether the node told its state. */
  readonly answered: boolean;
  /** Why no node answered, if none did. */
  readonly unreachable?: Fault;
}

/** Asks the node. A call that the caller may not make is skipped. */
export async function nodeChecks(client: TailraceClient, addr: string): Promise<NodeFound> {
  const { cluster, log } = client.rpc;
  try {
    const { id, ready, reasons, role } = await cluster.status({}, { timeoutMs: callMs });
    const shown = `${id} at ${addr}, ${role}`;
    const state = ready
      ? ok("node", `${shown}, is ready`)
      : problem(
          "node",
          `${shown}, is not ready: ${reasons.join("; ")}`,
          "see /readyz?verbose on its ops port, and its log",
        );
    const about = await attempt("durability", async () =>
      durability((await log.describe({}, { timeoutMs: callMs })).sync),
    );
    const nodes = await attempt("cluster", async () =>
      clusterCheck((await log.getServers({}, { timeoutMs: callMs })).servers),
    );
    return { checks: [state, about, nodes], answered: true };
  } catch (reason) {
    const fault = faultOf(reason);
    if (fault.facts.unreachable === true) return { checks: [], answered: false, unreachable: fault };
    const todo = "check the certificates and the address; tailrace whoami says what the subject may do";
    return { checks: [problem("node", `${addr}: ${fault.message}`, todo)], answered: false };
  }
}

async function attempt(name: string, work: () => Promise<Check>): Promise<Check> {
  try {
    return await work();
  } catch (reason) {
    return skipped(name, faultOf(reason).message);
  }
}

const durability = (sync: string): Check =>
  sync === "always"
    ? ok("durability", "each append is synced before it is acknowledged")
    : warning(
        "durability",
        `--sync ${sync}: acknowledged records can be lost`,
        "start the node with --sync always",
      );

type Servers = Awaited<ReturnType<TailraceClient["rpc"]["log"]["getServers"]>>["servers"];

function clusterCheck(servers: Servers): Check {
  const down = servers.filter(({ healthy }) => !healthy).map(({ id }) => id);
  const found = `${servers.length} ${servers.length === 1 ? "node" : "nodes"}`;
  if (down.length === 0) return ok("cluster", found);
  const lost = quorumAdvice(servers);
  if (lost !== undefined)
    return problem("cluster", lost, "start the other nodes again; tailrace servers lists them");
  return warning(
    "cluster",
    `${found}, ${down.join(", ")} without an answer`,
    "start them again; tailrace servers lists them",
  );
}

/** The texts of the ops port. */
export interface OpsTexts {
  readonly readyz: string;
  readonly metrics: string;
  /** The wall clock of the node less that of this machine, in milliseconds, to about a second. */
  readonly aheadMs: number;
}

const aheadMost = 2_000;
const certificateDays = 30;

/** What the ops port says. Pure. */
export function judgeOps({ readyz, metrics, aheadMs }: OpsTexts): readonly Check[] {
  const checks: Check[] = [];
  const failed = [...readyz.matchAll(/^\[-\]([\w-]+) failed: (.*)$/gm)].filter(
    ([, name]) => name !== "serving",
  );
  for (const [, name, why = ""] of failed)
    checks.push(
      problem(`node-${name}`, why, "see the log of the node; /readyz?verbose shows when it is over"),
    );
  if (Math.abs(aheadMs) > aheadMost) {
    const by = `${Math.abs(aheadMs / 1_000).toFixed(0)} s ${aheadMs > 0 ? "ahead of" : "behind"} this machine`;
    checks.push(
      warning(
        "node-clock",
        `the clock of the node is ${by}`,
        "synchronize both clocks, with chrony or systemd-timesyncd",
      ),
    );
  } else checks.push(ok("node-clock", "as the clock of this machine"));
  const [used, limit] = [
    number(metrics, "process_unix_file_descriptor_count"),
    number(metrics, "tailrace_descriptors_limit"),
  ];
  if (used !== undefined && limit !== undefined)
    checks.push(
      used > 0.8 * limit
        ? warning(
            "node-files",
            `${used} of ${limit} descriptors are in use`,
            "raise ulimit -n, or LimitNOFILE= in the unit of systemd",
          )
        : ok("node-files", `${used} of ${limit} descriptors are in use`),
    );
  const seconds = number(metrics, "tailrace_tls_certificate_expiry\\w*");
  if (seconds !== undefined && seconds > 0)
    checks.push(
      seconds < certificateDays * 86_400
        ? warning(
            "node-certs",
            `the first certificate that the node has loaded expires in ${Math.floor(seconds / 86_400)} days`,
            "renew it; the node loads the files while it runs",
          )
        : ok(
            "node-certs",
            `all certificates that the node has loaded are valid for ${Math.floor(seconds / 86_400)} days`,
          ),
    );
  const [sum, count] = [
    number(metrics, "tailrace_log_sync_duration\\w*_sum"),
    number(metrics, "tailrace_log_sync_duration\\w*_count"),
  ];
  if (sum !== undefined && count !== undefined && count > 0) checks.push(judgeMeanSync(sum / count, count));
  return checks;
}

const meanMost = 0.02;

function judgeMeanSync(seconds: number, count: number): Check {
  const found = `a sync of the log took ${(seconds * 1_000).toFixed(2)} ms on average (${count} times)`;
  if (seconds <= meanMost) return ok("node-sync", found);
  return warning("node-sync", found, "use a local SSD without other load");
}

/** The smallest value of a metric in a page of Prometheus; `name` is a pattern. */
function number(metrics: string, name: string): number | undefined {
  const values = [...metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([-+.\\deE]+)$`, "gm"))].map(
    ([, value]) => Number(value),
  );
  return values.length === 0 ? undefined : Math.min(...values);
}
