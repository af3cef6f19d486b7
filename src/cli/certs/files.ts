/**
 * The files of `tailrace certs`: reads the CFSSL requests, makes what the plan says, writes it. Nothing is written
 * before everything was made; a file appears whole, by rename; whatever holds a private key has mode 0600.
 *
 * Never: prints, decides what to replace (see plan).
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
  /** DNS names, addresses or URIs for server.pem, besides those of server-csr.json. */
  readonly hosts?: readonly string[];
  /** Make one more client certificate with this common name: where there is a CA, nothing else. */
  readonly issueFor?: string;
  readonly force?: boolean;
  readonly p12Password?: string;
  readonly now?: Date;
  /** The program that writes browser.p12; where it is missing our own writer does. Default `openssl`. */
  readonly openssl?: string;
}

export interface MadeFile {
  readonly name: string;
  readonly state: "made" | "replaced" | "kept";
  /** Of a certificate. */
  readonly subject?: string;
  readonly expires?: Date;
}

/** So that a node's certificate is a peer without a policy line. */
const nodeUri = "urn:tailrace:node:*";
const defaultP12Password = "tailrace";

/** Makes and writes what is missing, or all with force. Throws Fault "config" before anything was written. */
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

/** The CA, made or read, as `ca`, and the leaves by name. */
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
      // The node's certificate also calls other nodes, so it is a client too.
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

/** By openssl, or undefined where it is missing or fails. Secrets go by standard input and environment, not argv. */
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

/** A common name that is also a file name, and none of those that stand for callers without a certificate. */
function checkedName(commonName: string): string {
  if (/^\w[\w.@ -]{0,63}$/.test(commonName) && !/^(local|anonymous)$/.test(commonName)) return commonName;
  throw new Fault("config", { message: `"${commonName}" cannot be the name of a client` });
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
