/**
 * `tailrace dev`: starts a cluster on this machine, on loopback only. It creates certificates, starts the nodes as
 * processes, prints commands to try, and stops all nodes on Ctrl-C. A node that is killed is not restarted, so that the
 * user can try a failure. The data is kept for the next start.
 *
 *   <dir>/certs   created once       <dir>/n1, n2, …   data          <dir>/n1.log, …   logs
 *   <dir>/profile.yaml   for --profile                 <dir>/curl    for curl -K: the certificates
 */
import { existsSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
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
  const { DevNodes } = await import("../../dev-nodes.ts");
  const home = resolve(dir ?? `data/dev-${basePort}`);
  systemDisk.makeDirectory(home);
  const certs = plaintext ? undefined : join(home, "certs");
  if (certs !== undefined) await makeCertificates(certs);
  writeShortcuts(home, basePort, nodes, certs);
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
    process.stdout.write(welcome({ home, basePort, nodes, certs, readyLines: running.readyLines }));
  }
  const failed = await ended;
  if (failed === undefined) return exitStatus.done;
  console.error(`tailrace dev: ${failed}`);
  return exitStatus.failed;
}

async function makeCertificates(directory: string): Promise<void> {
  if (existsSync(join(directory, "policy.csv"))) return;
  const { makeCertificates } = await import("../../certs/files.ts");
  const { actions } = await import("../../../access/mod.ts");
  await makeCertificates({ directory, hosts: [], force: false });
  const rights = actions.filter((action) => action !== "peer");
  writeFileSync(join(directory, "policy.csv"), rights.map((right) => `p, root, *, ${right}\n`).join(""));
}

/** What the commands below need besides the address: short, because the files have long names. */
function writeShortcuts(home: string, basePort: number, nodes: number, certs: string | undefined): void {
  const files =
    certs === undefined ? [] : ["ca", "root-client", "root-client-key"].map((name) => `certs/${name}.pem`);
  const named = (keys: readonly string[], line: (key: string, file: string) => string): string[] =>
    files.map((file, at) => line(keys[at]!, file));
  // A profile is for one address: one for each node, so that the commands reach those that are left.
  for (let at = 1; at <= nodes; at++) {
    const profile = [
      `# The profile of node n${at} of tailrace dev, for --profile.`,
      "profile: dev",
      "profiles:",
      "  dev:",
      `    addr: localhost:${basePort + at - 1}`,
      ...named(["tls-ca-file", "tls-cert-file", "tls-key-file"], (key, file) => `    ${key}: ${file}`),
    ];
    writeFileSync(join(home, profileName(at)), `${profile.join("\n")}\n`);
  }
  const curl = named(
    ["cacert", "cert", "key"],
    (key, file) => `${key} = ${JSON.stringify(join(home, file))}`,
  );
  writeFileSync(join(home, "curl"), curl.map((line) => `${line}\n`).join(""));
}

/** The file of the profile of the node n1, n2 and so on. */
const profileName = (at: number): string => (at === 1 ? "profile.yaml" : `profile-n${at}.yaml`);

interface Started {
  readonly home: string;
  readonly basePort: number;
  readonly nodes: number;
  readonly certs: string | undefined;
  readonly readyLines: ReadonlyMap<string, string>;
}

/** One short line for each thing to try, and for each node. */
function welcome({ home, basePort, nodes, certs, readyLines }: Started): string {
  const scheme = certs === undefined ? "http" : "https";
  const url = `${scheme}://localhost:${basePort}`;
  const other = `${scheme}://localhost:${basePort + Math.min(1, nodes - 1)}`;
  const from = relative(process.cwd(), home) || ".";
  const folder = from.startsWith("..") ? home : `./${from}`;
  const path = (name: string): string => quoted(`${folder}/${name}`);
  const curl = certs === undefined ? "curl" : `curl -K ${path("curl")}`;
  const lines = [
    `dashboard  ${url}/ui/${certs === undefined ? "" : `  (import ${path("certs/browser.p12")}, password tailrace)`}`,
    `append     ${curl} --data-binary 'hello' ${url}/logs/default`,
    `read       ${curl} '${other}/logs/default?from=0&format=text'`,
    `commands   npx tailrace servers --profile ${path(profileName(1))}`,
    ...(nodes === 1 ? [] : [`by n2      npx tailrace servers --profile ${path(profileName(2))}`]),
    ...[...readyLines].sort().map(([name, line]) => `${name.padEnd(10)} ${nodeLine(line)}`),
    "Kill a node (kill -9 PID) and the others continue. Ctrl-C stops all of them.",
  ];
  return `${lines.join("\n")}\n`;
}

/** The text as one word of a shell. */
const quoted = (text: string): string =>
  /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** The address, the ops port and the process of a ready line. */
function nodeLine(readyLine: string): string {
  const fact = (name: string): string => new RegExp(`\\b${name}=(\\S+)`).exec(readyLine)?.[1] ?? "";
  return `${fact("url")} ops=${fact("ops")} pid=${fact("pid")}`;
}
