/**
 * `tailrace dev`: a cluster on this machine in one command. Makes certificates, starts the nodes as processes, prints
 * what to try, and stops them all on Ctrl-C. A node that is killed meanwhile stays away, and the others go on: that is
 * what there is to try. Its data stays for the next time.
 *
 *   <dir>/certs   made once          <dir>/n1, n2, …   data          <dir>/n1.log, …   what they say
 *
 * Never: leaves a node running; serves off loopback.
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
    .description("a cluster on this machine: certificates made, dashboard and curl lines printed")
    .option("--nodes <n>", "how many", whole(1, 9), 3)
    .option("--base-port <port>", "of the first; the others follow", whole(1, 65_000), 8080)
    .addOption(new Option("--dir <directory>", "where it all lies (default: data/dev-PORT)"))
    .addOption(new Option("--plaintext", "without certificates: no import into the browser"))
    .action((flags: Flags) => runCommand("dev", () => dev(flags)));
}

const whole =
  (low: number, high: number) =>
  (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= low && value <= high)) throw new InvalidArgumentError(`a number in ${low} to ${high}`);
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
  console.error(`starting ${nodes} ${nodes === 1 ? "node" : "nodes"}, their logs are in ${home}`);
  const stop = (): void => void running[Symbol.asyncDispose]();
  process.removeAllListeners("SIGINT");
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  const first = await Promise.race([running.ready.then(() => "ready" as const), ended]);
  if (first === "ready") {
    running.goOnWithout = (lost) => console.error(lost);
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
  await makeCertificates({ directory, hosts: [], force: false });
  const rights = ["produce", "consume", "describe", "trim", "admin"];
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
    "Kill one (kill -9 PID) and the others go on. Ctrl-C stops all of them.",
  ];
  return `${lines.join("\n")}\n`;
}
