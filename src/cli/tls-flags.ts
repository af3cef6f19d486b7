/**
 * The certificates of a client command, read and checked before anything is sent: a mistake is named here, where both
 * files are at hand, since a node that refuses a certificate says little.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Fault } from "../fault.ts";
import { systemClock } from "../lib/time/clock.ts";
import { usageFault } from "./exit-status.ts";

export interface TlsFlags {
  readonly tlsCaFile?: string;
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
}

/** PEM texts; those that were not given are absent. */
export interface TlsTexts {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/**
 * Reads the files.
 *
 * @throws Fault "config" for a file that cannot be read, is not PEM or does not fit the others, and "unauthenticated" for
 *   a certificate that is out of date
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
  if (!fits(certificate, texts.key ?? "", tlsKeyFile))
    throw wrong(`${tlsKeyFile} is not the key of ${tlsCertFile}`);
  const nowMs = systemClock.wallMs();
  const { validFromDate: from, validToDate: to } = certificate;
  if (to.getTime() <= nowMs) throw outdated(`${tlsCertFile} expired on ${to.toISOString()}`);
  if (from.getTime() > nowMs) {
    throw outdated(
      `${tlsCertFile} is not valid before ${from.toISOString()}; is this machine's clock right?`,
    );
  }
  return texts;
}

function certificateIn(text: string, path: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (cause) {
    throw wrong(`${path} holds no certificate in PEM`, cause);
  }
}

function fits(certificate: X509Certificate, key: string, path: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw wrong(`${path} is not an unencrypted private key in PEM`, cause);
  }
}

function read(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw wrong(`cannot read ${path} (${(cause as NodeJS.ErrnoException).code ?? "error"})`, cause);
  }
}

const wrong = (message: string, cause?: unknown): Fault => new Fault("config", { message, cause });
const outdated = (message: string): Fault => new Fault("unauthenticated", { message });
