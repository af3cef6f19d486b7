/**
 * Certificates of a new CA, made with `tailrace certs` as users make theirs.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClientTls } from "../../src/client/mod.ts";
import { tailrace } from "../support/process/process.ts";

export interface Credentials {
  /** Flags of `serve`. */
  readonly server: readonly string[];
  /** Flags of a policy that allows `root` all actions. The default policy allows no certificate to administer. */
  readonly policy: readonly string[];
  /** Flags of the client commands, with the certificate of `root`. */
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
