/**
 * The file with the private key of an operator, and the list of the tokens that were issued with it.
 *
 *   FILE           the key, a private JWK with the id of the cluster (issue-token.ts)
 *   FILE.new       a key that is being added to the cluster
 *   FILE.issued    a line of JSON for each token: id, subject, scope, issued_ms, expires_ms, key. Not the token itself
 *
 * The default is token-key.json in the folder of the file of profiles. Only its owner may read a file with a key.
 */
import {
  appendFileSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { Fault } from "../../fault.ts";
import { errorCode, errorText } from "../../lib/disk/disk.ts";
import type { SigningKey } from "../../tokens/issue-token.ts";
import { usageFault } from "../exit-status.ts";
import { profilesFile } from "../profiles/select-profile.ts";

export interface IssuedToken {
  readonly id: string;
  readonly subject: string;
  readonly scope?: string | undefined;
  readonly issued_ms: number;
  readonly expires_ms: number;
  readonly key: string;
}

export const defaultKeyFile = (): string => join(dirname(profilesFile()), "token-key.json");

/** The file of a key that is being added. */
export const newKeyFile = (path: string): string => `${path}.new`;
const issuedFile = (path: string): string => `${path}.issued`;

/** Returns the key; undefined if there is no file. @throws Fault "config" for a file that others can read, or that is no key */
export function readKey(path: string): SigningKey | undefined {
  let text: string;
  try {
    const { mode } = statSync(path);
    if (process.platform !== "win32" && (mode & 0o077) !== 0)
      throw usageFault(`${path} can be read by others: chmod 600 ${path}`);
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    if (["ENOENT", "ENOTDIR"].includes(errorCode(cause))) return undefined;
    throw usageFault(`the key ${path} cannot be read: ${errorText(cause)}`);
  }
  const key = parsed(text);
  if (key === undefined)
    throw usageFault(`${path} is not a key of tokens; tailrace token keys rotate makes one`);
  return key;
}

function parsed(text: string): SigningKey | undefined {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const { kty, crv, x, d, kid, audience } = value ?? {};
  if (kty !== "OKP" || crv !== "Ed25519") return undefined;
  if (
    typeof x !== "string" ||
    typeof d !== "string" ||
    typeof kid !== "string" ||
    typeof audience !== "string"
  )
    return undefined;
  return { kty, crv, x, d, kid, audience };
}

/** Writes the key durably, readable by its owner only. */
export function writeKey(path: string, key: SigningKey): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const part = `${path}.part`;
    const file = openSync(part, "w", 0o600);
    try {
      writeSync(file, `${JSON.stringify(key)}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(part, path);
  } catch (cause) {
    throw usageFault(`the key ${path} cannot be written: ${errorText(cause)}`);
  }
}

/** The key that was added takes the place of the one before. */
export function replaceKey(path: string): void {
  renameSync(newKeyFile(path), path);
}

export function noteIssued(path: string, token: IssuedToken): void {
  appendFileSync(issuedFile(path), `${JSON.stringify(token)}\n`, { mode: 0o600 });
}

/** The tokens that were issued with this file, the oldest first. A line that is no token is passed over. */
export function issuedTokens(path: string): IssuedToken[] {
  let text: string;
  try {
    text = readFileSync(issuedFile(path), "utf8");
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return [];
    throw usageFault(`${issuedFile(path)} cannot be read: ${errorText(cause)}`);
  }
  return text.split("\n").flatMap((line) => {
    try {
      const token = JSON.parse(line) as Partial<IssuedToken> | null;
      return typeof token?.id === "string" && typeof token.subject === "string" ? [token as IssuedToken] : [];
    } catch {
      return [];
    }
  });
}
