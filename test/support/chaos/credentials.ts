/**
 * Certificates of a fresh CA, made by the command that users make theirs with.
 *
 * Never: used again by another run.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClientTls } from "../../../src/client/mod.ts";
import { tailrace } from "../process.ts";

export interface Credentials {
  /** Flags of `serve`. */
  readonly server: readonly string[];
  /** And these, for a policy by which `root` may also administer: by the default one no certificate may. */
  readonly policy: readonly string[];
  /** Flags of the other commands, for one who may do everything. */
  readonly flags: readonly string[];
  /** The same for clients in this process. */
  readonly client: ClientTls;
}

export async function makeCertificates(directory: string): Promise<Credentials> {
  const { status, err } = await tailrace(["certs", "--out", directory]);
  if (status !== 0) throw new Error(`no certificates: ${err}`);
  const file = (name: string): string => join(directory, name);
  const flags = (prefix: string, name: string): string[] => [
    ...[`--${prefix}tls-ca-file`, file("ca.pem")],
    ...[`--${prefix}tls-cert-file`, file(`${name}.pem`)],
    ...[`--${prefix}tls-key-file`, file(`${name}-key.pem`)],
  ];
  const policy = file("policy.csv");
  writeFileSync(policy, "p, root, *, *\n");
  const text = (name: string): string => readFileSync(file(name), "utf8");
  return {
    server: flags("server-", "server"),
    policy: ["--acl-policy-file", policy],
    flags: flags("", "root-client"),
    client: { ca: text("ca.pem"), cert: text("root-client.pem"), key: text("root-client-key.pem") },
  };
}
