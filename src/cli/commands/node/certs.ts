/**
 * `tailrace certs`: creates a CA, a certificate for nodes, the client certificates `root` and `nobody`, and a file for
 * browsers, offline. It replaces a file only with --force.
 */
import type { Command } from "commander";
import { runCommand } from "../../run-command.ts";

export function register(program: Command): void {
  program
    .command("certs")
    .description("create a CA and certificates for nodes, clients and browsers, offline")
    .option(
      "--out <directory>",
      "the directory to write to; CFSSL files such as ca-csr.json in it are read",
      "certs",
    )
    .option(
      "--host <name>",
      "a name or address of the nodes, in addition to localhost (repeatable)",
      collect,
      [],
    )
    .option(
      "--issue <cn>",
      "create a client certificate with the existing CA; without a CA, create all certificates, too",
    )
    .option("--force", "replace existing files")
    .option(
      "--p12-password <password>",
      "the password of browser.p12 (default: tailrace)",
      process.env["TAILRACE_P12_PASSWORD"],
    )
    .action((flags: Flags) => runCommand("certs", () => create(flags)));
}

async function create(flags: Flags): Promise<undefined> {
  const { makeCertificates } = await import("../../certs/files.ts");
  const files = await makeCertificates({
    directory: flags.out,
    hosts: flags.host,
    force: flags.force ?? false,
    ...(flags.issue === undefined ? {} : { issueFor: flags.issue }),
    ...(flags.p12Password === undefined ? {} : { p12Password: flags.p12Password }),
  });
  for (const { name, state, subject, expires } of files) {
    const until = expires === undefined ? "" : `  expires ${expires.toISOString().slice(0, 10)}`;
    console.log(
      `${state.padEnd(8)} ${name.padEnd(24)}${subject === undefined ? "" : `  ${subject}`}${until}`,
    );
  }
  if (files.some(({ name, state }) => name === "server.pem" && state !== "kept")) printNextSteps(flags.out);
}

interface Flags {
  readonly out: string;
  readonly host: readonly string[];
  readonly issue?: string;
  readonly force?: boolean;
  readonly p12Password?: string;
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

function printNextSteps(out: string): void {
  const tls = (kind: string): string => `${out}/${kind}`;
  console.error(`
A node:   npx tailrace serve --server-tls-cert-file ${tls("server.pem")} --server-tls-key-file ${tls("server-key.pem")} --server-tls-ca-file ${tls("ca.pem")}
curl:     curl --cacert ${tls("ca.pem")} --cert ${tls("root-client.pem")} --key ${tls("root-client-key.pem")} -X POST https://localhost:8080 -d '{"record":{"value":"TGV0J3MgR28gIzEK"}}'
Browser:  import ${tls("browser.p12")} (password tailrace, or that of --p12-password) and trust ${tls("ca.pem")}`);
}
