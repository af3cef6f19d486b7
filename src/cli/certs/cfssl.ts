/**
 * Parses the JSON files of CFSSL: certificate signing requests and signing profiles. A file in the output directory
 * replaces the default below. A test keeps the files in `certs/` of the repository equal to the defaults. Unknown fields
 * are ignored, invalid ones are rejected.
 */
import { Fault } from "../../fault.ts";

export interface KeyRequest {
  readonly algo: "ecdsa" | "rsa";
  /** Bits. */
  readonly size: number;
}

export interface CertificateRequest {
  readonly commonName: string;
  readonly hosts: readonly string[];
  readonly key: KeyRequest;
  /** Other parts of the name, in order: C, ST, L, O, OU. */
  readonly names: readonly (readonly [string, string])[];
  /** The validity of a CA. */
  readonly expiryMs: number | undefined;
}

export interface Profile {
  readonly expiryMs: number;
  readonly usages: readonly string[];
}

/** The profiles that `tailrace certs` uses. */
export const profileNames = ["server", "client", "peer"] as const;
export type Profiles = Readonly<Record<(typeof profileNames)[number], Profile>>;

/** The content of the files that are missing, by file name. */
export const cfsslDefaults = {
  "ca-csr.json": {
    CN: "Tailrace CA",
    key: { algo: "ecdsa", size: 256 },
    names: [{ O: "Tailrace", OU: "CA" }],
    ca: { expiry: "87600h" },
  },
  "ca-config.json": {
    signing: {
      profiles: {
        server: { expiry: "8760h", usages: ["signing", "key encipherment", "server auth"] },
        client: { expiry: "8760h", usages: ["signing", "key encipherment", "client auth"] },
        peer: { expiry: "8760h", usages: ["signing", "key encipherment", "server auth", "client auth"] },
      },
    },
  },
  "server-csr.json": {
    CN: "server",
    hosts: ["localhost", "127.0.0.1", "::1"],
    key: { algo: "ecdsa", size: 256 },
    names: [{ O: "Tailrace", OU: "Node" }],
  },
  "client-csr.json": {
    CN: "client",
    hosts: [""],
    key: { algo: "ecdsa", size: 256 },
    names: [{ O: "Tailrace", OU: "Client" }],
  },
} as const;
export type CfsslFile = keyof typeof cfsslDefaults;

/**
 * Parses a `*-csr.json`.
 * @throws Fault "config" with the names of the file and the field
 */
export function readRequest(json: unknown, file: string): CertificateRequest {
  const top = object(json, file, "the file");
  const key = object(top["key"], file, "key");
  const algo = key["algo"];
  const size = key["size"];
  if (algo !== "ecdsa" && algo !== "rsa") throw wrong(file, "key.algo", "ecdsa or rsa");
  const sizes = algo === "ecdsa" ? [256, 384, 521] : [2048, 3072, 4096];
  if (typeof size !== "number" || !sizes.includes(size)) throw wrong(file, "key.size", sizes.join(" or "));
  const commonName = top["CN"];
  if (typeof commonName !== "string" || commonName === "") throw wrong(file, "CN", "a name");
  const expiry = top["ca"] === undefined ? undefined : object(top["ca"], file, "ca")["expiry"];
  return {
    commonName,
    hosts: strings(top["hosts"] ?? [], file, "hosts").filter((host) => host !== ""),
    key: { algo, size },
    names: readNames(top["names"] ?? [], file),
    expiryMs: expiry === undefined ? undefined : readExpiry(expiry, file, "ca.expiry"),
  };
}

/**
 * Parses a `ca-config.json` with the profiles server, client and peer.
 * @throws Fault "config" with the names of the file and the field
 */
export function readProfiles(json: unknown, file: string): Profiles {
  const signing = object(object(json, file, "the file")["signing"], file, "signing");
  const profiles = object(signing["profiles"], file, "signing.profiles");
  const read = (name: string): Profile => {
    const profile = object(profiles[name], file, `signing.profiles.${name}`);
    return {
      expiryMs: readExpiry(profile["expiry"], file, `${name}.expiry`),
      usages: strings(profile["usages"], file, `${name}.usages`),
    };
  };
  return { server: read("server"), client: read("client"), peer: read("peer") };
}

function readNames(json: unknown, file: string): [string, string][] {
  if (!Array.isArray(json)) throw wrong(file, "names", "a list");
  const parts: [string, string][] = [];
  for (const entry of json as unknown[]) {
    const name = object(entry, file, "names");
    for (const part of ["C", "ST", "L", "O", "OU"]) {
      const value = name[part];
      if (typeof value === "string" && value !== "") parts.push([part, value]);
    }
  }
  return parts;
}

const unitsMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000 };

/** Parses a Go duration in hours, minutes and seconds, such as `8760h` or `1h30m`. */
function readExpiry(json: unknown, file: string, field: string): number {
  const text = String(json);
  if (!/^(\d+[hms])+$/.test(text)) throw wrong(file, field, "a duration such as 8760h");
  let total = 0;
  for (const [, count, unit = ""] of text.matchAll(/(\d+)([hms])/g)) {
    total += Number(count) * (unitsMs[unit] ?? 0);
  }
  return total;
}

function object(json: unknown, file: string, field: string): Readonly<Record<string, unknown>> {
  if (json === null || typeof json !== "object" || Array.isArray(json)) throw wrong(file, field, "an object");
  return json as Readonly<Record<string, unknown>>;
}

function strings(json: unknown, file: string, field: string): string[] {
  if (!Array.isArray(json) || !json.every((item) => typeof item === "string")) {
    throw wrong(file, field, "a list of strings");
  }
  return json as string[];
}

const wrong = (file: string, field: string, expected: string): Fault =>
  new Fault("config", { message: `${file}: ${field} must be ${expected}`, facts: { file, field } });
