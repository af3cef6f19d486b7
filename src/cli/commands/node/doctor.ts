/**
 * `tailrace doctor [DIRECTORY]`: checks this machine, a data directory and a node that runs, and says what to do.
 *
 *   0  nothing is wrong        6  warnings only        1  a problem that prevents a node or a client from working
 */
import type { Command } from "commander";
import { type ConnectFlags, connectOptions, openTarget, type Target, targetOf } from "../../connect.ts";
import { type Check, checksText, ok, problem, skipped, statusOfChecks, worstOf } from "../../doctor/check.ts";
import { argumentFault } from "../../exit-status.ts";
import { print } from "../../output/standard-output.ts";
import { jsonLine, printable } from "../../output/terminal.ts";
import { runCommand } from "../../run-command.ts";

interface Flags extends ConnectFlags {
  readonly opsAddr?: string;
}

export function register(program: Command): void {
  connectOptions(
    program
      .command("doctor")
      .description(
        "check descriptors, disk, clock, ports, certificates and a running node, and say what to do (exit status 0: nothing is wrong, 6: only warnings, 1: a problem)",
      )
      .argument(
        "[directory]",
        "the data directory; default ./data if the address is of this machine and no node answers there",
      ),
  )
    .option(
      "--ops-addr <host:port>",
      "the address for health checks of the node; default: on loopback the port of --addr + 1000",
    )
    .action((directory: string | undefined, flags: Flags) =>
      runCommand("doctor", () => doctor(directory, flags)),
    );
}

async function doctor(directory: string | undefined, flags: Flags): Promise<number> {
  const { isHostPort } = await import("../../../lib/host-port.ts");
  if (flags.opsAddr !== undefined && !isHostPort(flags.opsAddr))
    throw argumentFault("--ops-addr must be HOST:PORT", flags.opsAddr);
  const target = await targetOf(flags);
  const { isOwn } = await import("../../doctor/port-checks.ts");
  const isLocal = isOwn(target.addr);
  const checks: Check[] = [];
  const { machineChecks } = await import("../../doctor/machine-checks.ts");
  checks.push(...machineChecks());
  const found = await targetChecks(target, flags, isLocal);
  if (directory !== undefined || (isLocal && !found.answered)) {
    const { diskChecks } = await import("../../doctor/disk-checks.ts");
    checks.push(...diskChecks(directory ?? "./data"));
  } else {
    const why = isLocal ? `a node runs at ${target.addr}` : `${target.addr} is another machine`;
    checks.push(skipped("directory", `${why}; give the directory to check one here`));
  }
  checks.push(...found.checks);
  if (flags.json) await print(jsonLine({ result: worstOf(checks), addr: target.addr, checks }));
  else await print(printable(checksText(checks)));
  return statusOfChecks(checks);
}

interface TargetFound {
  readonly checks: readonly Check[];
  /** Whether a node told its state. */
  readonly answered: boolean;
}

/** Checks the certificates, the node, and without a node the ports. */
async function targetChecks(target: Target, flags: Flags, isLocal: boolean): Promise<TargetFound> {
  const { clientCertificateCheck, nodeCertificateCheck } = await import("../../doctor/certificate-checks.ts");
  const { nodeChecks, judgeOps } = await import("../../doctor/node-checks.ts");
  const { readOps } = await import("../../doctor/read-ops.ts");
  const { addr, source, profile } = target;
  const checks: Check[] = [];
  if (profile !== undefined) checks.push(ok("profile", `${profile.name} of ${profile.file}`));
  const certificates = clientCertificateCheck(target);
  checks.push(certificates);
  if (certificates.grade === "problem") return { checks, answered: false };
  using client = await openTarget(target);
  const found = await nodeChecks(client, addr);
  const { answered } = found;
  checks.push(...found.checks);
  if (certificates.grade !== "skipped") checks.push(await nodeCertificateCheck(addr));
  const ops = flags.opsAddr ?? (await opsBeside(addr, isLocal));
  if (found.unreachable === undefined) {
    const texts = ops === undefined ? undefined : await readOps(ops);
    if (texts !== undefined) return { checks: [...checks, ...judgeOps(texts)], answered };
    const where = ops === undefined ? "the node is on another machine" : `no ops port answers at ${ops}`;
    return { checks: [...checks, skipped("ops", `${where}; --ops-addr names it`)], answered };
  }
  if (source !== "default") {
    const todo = "start the node, or correct the address; then run tailrace doctor again";
    checks.push(problem("node", found.unreachable.message, todo));
    if (!isLocal) return { checks, answered };
  } else checks.push(skipped("node", `no node runs at ${addr}`));
  const { portChecks } = await import("../../doctor/port-checks.ts");
  return { checks: [...checks, ...(await portChecks(addr))], answered };
}

/** The default of --ops-addr for a node of this machine. */
async function opsBeside(addr: string, isLocal: boolean): Promise<string | undefined> {
  if (!isLocal) return undefined;
  const { opsPortBeside } = await import("../../../server/mod.ts");
  return `127.0.0.1:${opsPortBeside(Number(addr.slice(addr.lastIndexOf(":") + 1)))}`;
}
