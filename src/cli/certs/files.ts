/**
 * The files of `tailrace certs`: reads the CFSSL requests, creates what the plan says and writes it. It writes only when
 * everything has been created. A file appears complete, by rename. Files with a private key have mode 0600.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../fault.ts";
import { type Issued, issue, makeAuthority, readAuthority } from "./build.ts";
import { type CfsslFile, cfsslDefaults, readProfiles, readRequest } from "./cfssl.ts";
import { type Bundle, encodeP12 } from "./p12.ts";
import { bundleName, planCertificates } from "./plan.ts";

export interface CertsOptions {
  readonly directory: string;
  /** DNS names, addresses or URIs for server.pem, in addition to those of server-csr.json. */
  readonly hosts?: readonly string[];
  /** Common name of an additional client certificate. If there is a CA, only this certificate is created. */
  readonly issueFor?: string;
  /** Replace existing files. Default false. */
  readonly force?: boolean;
  /** Password of browser.p12. Default "tailrace". */
  readonly p12Password?: string;
  readonly now?: Date;
  /** The program that writes browser.p12. If it is missing, p12.ts does. Default `openssl`. */
  readonly openssl?: string;
}

export interface MadeFile {
  readonly name: string;
  readonly state: "made" | "replaced" | "kept";
  /** The subject of a certificate. */
  readonly subject?: string;
  readonly expires?: Date;
}

/** With this URI, the certificate of a node is a peer without a line in the policy. */
const nodeUri = "urn:tailrace:node:*";
const defaultP12Password = "tailrace";

/**
 * Creates and writes the missing files, or all files with `force`.
 * @throws Fault "config" before anything is written
 */
export async function makeCertificates(options: CertsOptions): Promise<MadeFile[]> {
  const { directory, issueFor } = options;
  const exists = (name: string): boolean => existsSync(join(directory, name));
  const isThere = (name: string): boolean => exists(`${name}.pem`);
  const more = issueFor === undefined ? [] : [checkedName(issueFor)];
  const wholeSet = issueFor === undefined || !["ca", "ca-key", "server", "root-client"].some(isThere);
  const clients = new Set(wholeSet ? ["root", "nobody", ...more] : more);
  const leaves = [...clients].map((commonName) => `${commonName}-client`);
  if (wholeSet) leaves.unshift("server");
  const plan = planCertificates(
    {
      leaves,
      wholeSet,
      force: options.force ?? false,
      hostsGiven: (options.hosts ?? []).length > 0,
    },
    exists,
  );

  const issued = await issueAll(options, plan.makeAuthority, plan.makeLeaves);
  const files: { name: string; bytes: string | Buffer; secret: boolean; of?: Issued }[] = [];
  for (const [name, made] of issued) {
    if (name === "ca" && !plan.makeAuthority) continue;
    files.push({ name: `${name}.pem`, bytes: made.certificatePem, secret: false, of: made });
    files.push({ name: `${name}-key.pem`, bytes: made.keyPem, secret: true });
  }
  if (plan.makeBundle) files.push({ name: bundleName, bytes: bundle(options, issued), secret: true });

  mkdirSync(directory, { recursive: true });
  const made = files.map(({ name, bytes, secret, of }): MadeFile => {
    const state = exists(name) ? "replaced" : "made";
    writeWhole(join(directory, name), bytes, secret);
    if (of === undefined) return { name, state };
    return { name, state, subject: of.certificate.subject, expires: of.certificate.notAfter };
  });
  const kept = [...(plan.makeAuthority ? [] : ["ca"]), ...leaves.filter((name) => !issued.has(name))];
  return [...kept.map((name): MadeFile => ({ name: `${name}.pem`, state: "kept" })), ...made];
}

/** Returns the new or existing CA as `ca`, and the new leaf certificates by name. */
async function issueAll(
  options: CertsOptions,
  newAuthority: boolean,
  leaves: readonly string[],
): Promise<Map<string, Issued>> {
  const { directory, now = new Date() } = options;
  const json = (name: CfsslFile): unknown => readJson(directory, name);
  const authority = newAuthority
    ? await makeAuthority(readRequest(json("ca-csr.json"), "ca-csr.json"), now)
    : await readAuthority(text(directory, "ca.pem"), text(directory, "ca-key.pem"));
  const profiles = readProfiles(json("ca-config.json"), "ca-config.json");
  const issued = new Map([["ca", authority]]);
  for (const name of leaves) {
    if (name === "server") {
      // A node also connects to other nodes, so its certificate is one for servers and clients.
      const request = readRequest(json("server-csr.json"), "server-csr.json");
      const names = [...(options.hosts ?? []), nodeUri];
      issued.set(name, await issue(authority, request, profiles.peer, now, { names }));
    } else {
      const request = readRequest(json("client-csr.json"), "client-csr.json");
      const commonName = name.replace(/-client$/, "");
      issued.set(name, await issue(authority, request, profiles.client, now, { commonName }));
    }
  }
  return issued;
}

function bundle(options: CertsOptions, issued: ReadonlyMap<string, Issued>): Buffer {
  const { directory } = options;
  const root = issued.get("root-client");
  const contents: Bundle = {
    certificatePem: root?.certificatePem ?? text(directory, "root-client.pem"),
    keyPem: root?.keyPem ?? text(directory, "root-client-key.pem"),
    authorityPem: issued.get("ca")?.certificatePem ?? text(directory, "ca.pem"),
    friendlyName: "Tailrace root",
    password: options.p12Password ?? defaultP12Password,
  };
  return opensslP12(options.openssl ?? "openssl", contents) ?? encodeP12(contents);
}

/**
 * Runs openssl. Returns undefined if it is missing or fails. Secrets are passed in standard input and the environment, not
 * in the arguments.
 */
function opensslP12(program: string, contents: Bundle): Buffer | undefined {
  const { status, stdout } = spawnSync(
    program,
    ["pkcs12", "-export", "-name", contents.friendlyName, "-passout", "env:TAILRACE_P12_PASSWORD"],
    {
      input: `${contents.keyPem}${contents.certificatePem}${contents.authorityPem}`,
      env: { ...process.env, TAILRACE_P12_PASSWORD: contents.password },
      stdio: ["pipe", "pipe", "ignore"],
      timeout: 20_000,
    },
  );
  return status === 0 && stdout.length > 0 ? stdout : undefined;
}

/** A valid name is also a file name, and none of the reserved subjects of clients without a certificate. */
function checkedName(commonName: string): string {
  if (/^\w[\w.@ -]{0,63}$/.test(commonName) && !/^(local|anonymous)$/.test(commonName)) return commonName;
  throw new Fault("config", { message: `"${commonName}" is not a valid name for a client certificate` });
}

function readJson(directory: string, name: CfsslFile): unknown {
  if (!existsSync(join(directory, name))) return cfsslDefaults[name];
  try {
    return JSON.parse(text(directory, name));
  } catch (cause) {
    throw new Fault("config", { message: `${name} is not JSON`, facts: { directory }, cause });
  }
}

const text = (directory: string, name: string): string => readFileSync(join(directory, name), "utf8");

function writeWhole(path: string, bytes: string | Buffer, secret: boolean): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, bytes, { mode: secret ? 0o600 : 0o644, flag: "wx" });
  renameSync(temporary, path);
}
