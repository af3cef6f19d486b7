/**
 * Certificates for tests, valid and invalid: with any authority, name and time.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Issued, issue, makeAuthority } from "../../../src/cli/certs/build.ts";
import { cfsslDefaults, readProfiles, readRequest } from "../../../src/cli/certs/cfssl.ts";
import type { TlsFiles } from "../../../src/server/tls/tls-files.ts";

const profiles = readProfiles(cfsslDefaults["ca-config.json"], "ca-config.json");
const caRequest = readRequest(cfsslDefaults["ca-csr.json"], "ca-csr.json");
const serverRequest = readRequest(cfsslDefaults["server-csr.json"], "server-csr.json");
const clientRequest = readRequest(cfsslDefaults["client-csr.json"], "client-csr.json");
const hourMs = 3_600_000;

export interface TestAuthority {
  readonly issued: Issued;
  /** A node's certificate, valid for localhost; by default it names every node. */
  node(commonName?: string, names?: readonly string[]): Promise<Issued>;
  /** A client's certificate, issued `agoMs` ago and valid for an hour from then. */
  client(commonName: string, options?: { readonly agoMs?: number }): Promise<Issued>;
}

export async function testAuthority(commonName = "Test CA"): Promise<TestAuthority> {
  const issued = await makeAuthority({ ...caRequest, commonName }, new Date(Date.now() - 24 * hourMs));
  return {
    issued,
    node: (name = "server", names = ["urn:tailrace:node:*"]) =>
      issue(issued, serverRequest, profiles.peer, new Date(), { commonName: name, names }),
    client: (name, { agoMs = 0 } = {}) =>
      issue(issued, clientRequest, { ...profiles.client, expiryMs: hourMs }, new Date(Date.now() - agoMs), {
        commonName: name,
      }),
  };
}

/** Writes a key pair and its trusted CA to `directory` with the prefix `name`. */
export function writeTlsFiles(directory: string, name: string, pair: Issued, trusted: Issued): TlsFiles {
  const files = {
    certFile: join(directory, `${name}.pem`),
    keyFile: join(directory, `${name}-key.pem`),
    caFile: join(directory, `${name}-ca.pem`),
  };
  writeFileSync(files.certFile, pair.certificatePem);
  writeFileSync(files.keyFile, pair.keyPem, { mode: 0o600 });
  writeFileSync(files.caFile, trusted.certificatePem);
  return files;
}
