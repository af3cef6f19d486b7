/**
 * `tailrace dev`: starts a cluster on this machine, on loopback only. It creates certificates, starts the nodes as
 * processes, prints commands to try, and stops all nodes on Ctrl-C. A node that is killed is not restarted, so that the
 * user can try a failure. The data is kept for the next start.
 *
 *   <dir>/certs   created once       <dir>/n1, n2, …   data          <dir>/n1.log, …   logs
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import { exitStatus } from "../../exit-status.ts";
import { runCommand } from "../../run-command.ts";

interface Flags {
  readonly nodes: number;
  readonly basePort: number;
  readonly dir?: string;
  readonly plaintext?: true;
}

export function register(program: Command): void {
  program
    .command("dev")
    .description("start a cluster on this machine, with certificates, and print commands to try")
    .option("--nodes <n>", "the number of nodes", whole(1, 9), 3)
    .option(
      "--base-port <port>",
      "the port of the first node; the others use the next ones",
      whole(1, 65_000),
      8080,
    )
    .addOption(
      new Option(
        "--dir <directory>",
        "the directory for data, logs and certificates (default: data/dev-PORT)",
      ),
    )
    .addOption(new Option("--plaintext", "no certificates, so that a browser needs no import"))
    .action((flags: Flags) => runCommand("dev", () => dev(flags)));
}

const whole =
  (low: number, high: number) =>
  (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= low && value <= high))
      throw new InvalidArgumentError(`It must be a number from ${low} to ${high}.`);
    return value;
  };

async function dev({ nodes, basePort, dir, plaintext }: Flags): Promise<number> {
  const { systemDisk } = await import("../../../lib/disk/system-disk.ts");
  const { join, resolve } = await import("node:path");
  const { DevNodes } = await import("../../dev-nodes.ts");
  const home = resolve(dir ?? `data/dev-${basePort}`);
  systemDisk.makeDirectory(home);
  const certs = plaintext ? undefined : join(home, "certs");
  if (certs !== undefined) await makeCertificates(certs);
  await using running = new DevNodes({ home, nodes, basePort, certs });
  const ended = running.start();
  console.error(`starting ${nodes} ${nodes === 1 ? "node" : "nodes"}, logs are in ${home}`);
  const stop = (): void => void running[Symbol.asyncDispose]();
  process.removeAllListeners("SIGINT");
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  const first = await Promise.race([running.ready.then(() => "ready" as const), ended]);
  if (first === "ready") {
    running.onNodeLost = (message) => console.error(message);
    process.stdout.write(welcome(basePort, nodes, certs, running.readyLines));
  }
  const failed = await ended;
  if (failed === undefined) return exitStatus.done;
  console.error(`tailrace dev: ${failed}`);
  return exitStatus.failed;
}

async function makeCertificates(directory: string): Promise<void> {
  const { existsSync, writeFileSync } = await import("node:fs");
  const { join } = await import("node:path");
  if (existsSync(join(directory, "policy.csv"))) return;
  const { makeCertificates } = await import("../../certs/files.ts");
  const { actions } = await import("../../../access/mod.ts");
  await makeCertificates({ directory, hosts: [], force: false });
  const rights = actions.filter((action) => action !== "peer");
  writeFileSync(join(directory, "policy.csv"), rights.map((right) => `p, root, *, ${right}\n`).join(""));
}

function welcome(
  basePort: number,
  nodes: number,
  certs: string | undefined,
  readyLines: ReadonlyMap<string, string>,
): string {
  const scheme = certs === undefined ? "http" : "https";
  const url = `${scheme}://localhost:${basePort}`;
  const other = `${scheme}://localhost:${basePort + Math.min(1, nodes - 1)}`;
  const curl =
    certs === undefined
      ? "curl"
      : `curl --cacert ${certs}/ca.pem --cert ${certs}/root-client.pem --key ${certs}/root-client-key.pem`;
  const tls =
    certs === undefined
      ? ""
      : ` --tls-ca-file ${certs}/ca.pem --tls-cert-file ${certs}/root-client.pem --tls-key-file ${certs}/root-client-key.pem`;
  const lines = [
    `dashboard  ${url}/ui/`,
    ...(certs === undefined ? [] : [`           after importing ${certs}/browser.p12, password tailrace`]),
    "",
    `${curl} -X POST ${url} -d '{"record":{"value":"TGV0J3MgR28gIzEK"}}'`,
    `${curl} '${other}/?offset=0'`,
    `npx tailrace servers --addr localhost:${basePort}${tls}`,
    "",
    ...[...readyLines].sort().map(([name, line]) => `${name}  ${line.replace(/^tailrace ready /, "")}`),
    "",
    "Kill a node (kill -9 PID) and the others continue. Ctrl-C stops all of them.",
  ];
  return `${lines.join("\n")}\n`;
}
