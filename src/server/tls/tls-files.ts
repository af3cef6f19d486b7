/**
 * A certificate, its key and the CAs it trusts, read from PEM files and checked to fit.
 *
 * Never: keeps a key anywhere but in the options it hands to TLS.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Fault } from "../../fault.ts";

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
}

/** What the files held. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly certificate: X509Certificate;
  readonly authorities: readonly X509Certificate[];
}

/** Reads them. Throws Fault "config" naming the file that is missing, not PEM, or does not fit the others. */
export function readTlsFiles(files: TlsFiles): TlsMaterial {
  const cert = read(files.certFile);
  const key = read(files.keyFile);
  const ca = read(files.caFile);
  const [certificate] = certificatesIn(cert, files.certFile);
  const authorities = certificatesIn(ca, files.caFile);
  let fits = false;
  try {
    fits = certificate?.checkPrivateKey(createPrivateKey(key)) ?? false;
  } catch (cause) {
    throw wrong(files.keyFile, "is not an unencrypted private key in PEM", cause);
  }
  if (certificate === undefined || !fits) throw wrong(files.keyFile, `is not the key of ${files.certFile}`);
  return { cert, key, ca, certificate, authorities };
}

export const sameMaterial = (one: TlsMaterial, other: TlsMaterial): boolean =>
  one.cert === other.cert && one.key === other.key && one.ca === other.ca;

function certificatesIn(pem: string, path: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw wrong(path, "holds no certificate in PEM");
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw wrong(path, "holds a certificate that cannot be read", cause);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw wrong(path, `cannot be read (${(cause as NodeJS.ErrnoException).code ?? "error"})`, cause);
  }
}

const wrong = (path: string, why: string, cause?: unknown): Fault =>
  new Fault("config", { message: `${path} ${why}`, facts: { path }, cause });
