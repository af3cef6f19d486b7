/** Reads a certificate, its key and the CAs that it trusts from PEM files, and checks that they fit each other. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Fault } from "../../fault.ts";
import { errorText } from "../../lib/disk/disk.ts";

/** Paths of PEM files. */
export interface TlsFiles {
  /** The certificate, with the certificates of intermediate CAs behind it. */
  readonly certFile: string;
  /** The unencrypted private key of the certificate. */
  readonly keyFile: string;
  /** The CAs that the other side's certificate must come from. */
  readonly caFile: string;
}

/** The contents of TlsFiles. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly certificate: X509Certificate;
  readonly authorities: readonly X509Certificate[];
}

/** @throws Fault "config" naming the file that is missing, is not PEM, or does not fit the others */
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
    throw fileFault(files.keyFile, "is not an unencrypted private key in PEM", cause);
  }
  if (certificate === undefined || !fits) {
    throw fileFault(files.keyFile, `is not the key of ${files.certFile}`);
  }
  return { cert, key, ca, certificate, authorities };
}

export const sameMaterial = (one: TlsMaterial, other: TlsMaterial): boolean =>
  one.cert === other.cert && one.key === other.key && one.ca === other.ca;

function certificatesIn(pem: string, path: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw fileFault(path, "holds no certificate in PEM");
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw fileFault(path, "holds a certificate that cannot be read", cause);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw fileFault(path, `cannot be read: ${errorText(cause)}`, cause);
  }
}

const fileFault = (path: string, problem: string, cause?: unknown): Fault =>
  new Fault("config", { message: `${path} ${problem}`, facts: { path }, cause });
