/**
 * The certificates of a client command. They are checked before anything is sent: a node that rejects a certificate gives
 * no details.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Fault } from "../fault.ts";
import { errorText } from "../lib/disk/disk.ts";
import { systemClock } from "../lib/time/clock.ts";
import { usageFault } from "./exit-status.ts";

export interface TlsFlags {
  readonly tlsCaFile?: string;
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
}

/** PEM texts; undefined for flags that are not given. */
export interface TlsTexts {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/**
 * Reads and checks the files.
 * @throws Fault "config" for a file that cannot be read, is not PEM or does not match the others, "unauthenticated" for a
 *   certificate that has expired or is not valid yet
 */
export function readTls({ tlsCaFile, tlsCertFile, tlsKeyFile }: TlsFlags): TlsTexts {
  if (tlsCertFile !== undefined && tlsKeyFile === undefined)
    throw usageFault("--tls-cert-file needs --tls-key-file");
  if (tlsKeyFile !== undefined && tlsCertFile === undefined)
    throw usageFault("--tls-key-file needs --tls-cert-file");
  const texts = { ca: read(tlsCaFile), cert: read(tlsCertFile), key: read(tlsKeyFile) };
  if (tlsCaFile !== undefined) certificateIn(texts.ca ?? "", tlsCaFile);
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return texts;
  const certificate = certificateIn(texts.cert ?? "", tlsCertFile);
  if (!matches(certificate, texts.key ?? "", tlsKeyFile))
    throw invalid(`${tlsKeyFile} is not the private key of ${tlsCertFile}`);
  const nowMs = systemClock.wallMs();
  const { validFromDate: from, validToDate: to } = certificate;
  if (to.getTime() <= nowMs) throw outdated(`${tlsCertFile} expired on ${to.toISOString()}`);
  if (from.getTime() > nowMs) {
    throw outdated(
      `${tlsCertFile} is not valid before ${from.toISOString()}; check the clock of this machine`,
    );
  }
  return texts;
}

function certificateIn(text: string, path: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (cause) {
    throw invalid(`${path} does not contain a PEM certificate`, cause);
  }
}

function matches(certificate: X509Certificate, key: string, path: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw invalid(`${path} is not an unencrypted PEM private key`, cause);
  }
}

function read(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw invalid(`cannot read ${path}: ${errorText(cause)}`, cause);
  }
}

const invalid = (message: string, cause?: unknown): Fault => new Fault("config", { message, cause });
const outdated = (message: string): Fault => new Fault("unauthenticated", { message });
