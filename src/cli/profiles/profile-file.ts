/**
 * The file of profiles: addresses and certificates of the clusters that a user works with. Pure.
 *
 *   profile: staging              # the profile that is used if none is named; optional
 *   profiles:
 *     staging:
 *       addr: node-a.example.org:8080
 *       tls-ca-file: staging/ca.pem          # relative to the folder of this file; ~/ is the home directory
 *       tls-cert-file: staging/client.pem
 *       tls-key-file: staging/client-key.pem
 *       token-file: staging/token
 *
 * Keys and tokens are named by their files. A message never quotes a text that could be a key itself.
 */

import { hint } from "../../agent/config/suggest.ts";
import { YamlFile } from "../../agent/config/yaml-file.ts";
import { isHostPort } from "../../lib/host-port.ts";

/** Names of files are as in the file of profiles, before relativeTo(). */
export interface Profile {
  readonly name: string;
  readonly addr?: string;
  readonly tlsCaFile?: string;
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
  /** The file that holds a token. */
  readonly tokenFile?: string;
}

export interface Profiles {
  readonly profiles: ReadonlyMap<string, Profile>;
  /** The profile that is used if none is named. */
  readonly usual: string | undefined;
}

const fields = {
  addr: "addr",
  "tls-ca-file": "tlsCaFile",
  "tls-cert-file": "tlsCertFile",
  "tls-key-file": "tlsKeyFile",
  "token-file": "tokenFile",
} as const;
type Key = keyof typeof fields;
const isKey = (key: string): key is Key => Object.hasOwn(fields, key);

const bytesMax = 64 * 1024;
const isProfileName = (name: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/.test(name);

/** @throws Fault "config" that names file and line */
export function parseProfiles(text: string, path: string): Profiles {
  const file = new YamlFile(text, path, { secret: true, bytesMax });
  const profiles = new Map<string, Profile>();
  let usual: { readonly name: string; readonly line: number } | undefined;
  for (const { key, value, line } of file.top(
    "the file must be a mapping with the keys profile and profiles",
  )) {
    if (key === "profile") {
      const name = file.scalar(value);
      if (typeof name !== "string" || !isProfileName(name))
        throw file.wrong(line, "profile must be the name of a profile", key);
      usual = { name, line };
    } else if (key === "profiles") {
      for (const entry of file.entries(value, "profiles must be a mapping of names to profiles", line))
        profiles.set(entry.key, profileOf(file, entry));
    } else {
      const known = hint(key, ["profile", "profiles"]) || ", expected profile and profiles";
      throw file.wrong(line, `unknown key ${file.quoted(key)}${known}`);
    }
  }
  if (usual !== undefined && !profiles.has(usual.name))
    throw file.wrong(usual.line, `there is no profile "${usual.name}"${known(profiles)}`, "profile");
  return { profiles, usual: usual?.name };
}

/** The names of the profiles, for a message. */
export const known = (profiles: ReadonlyMap<string, Profile>): string =>
  profiles.size === 0
    ? "; the file has no profiles"
    : `; the profiles are ${[...profiles.keys()].join(", ")}`;

function profileOf(file: YamlFile, { key: name, value, line }: ReturnType<YamlFile["top"]>[number]): Profile {
  if (!isProfileName(name) || name === "none")
    throw file.wrong(
      line,
      `${file.quoted(name)} cannot be the name of a profile: letters, digits, ._- and not none`,
    );
  const profile: { -readonly [F in (typeof fields)[Key]]?: string } = {};
  for (const entry of file.entries(value, `the profile "${name}" must be a mapping`, line)) {
    if (!isKey(entry.key)) {
      const names = Object.keys(fields);
      throw file.wrong(
        entry.line,
        `the profile "${name}" has no ${file.quoted(entry.key)}${hint(entry.key, names) || `, only ${names.join(", ")}`}`,
      );
    }
    const text = file.scalar(entry.value);
    if (typeof text !== "string" || text === "" || /[\r\n]|-----BEGIN/.test(text))
      throw file.wrong(
        entry.line,
        `${entry.key} of "${name}" must be ${entry.key === "addr" ? "HOST:PORT" : "the path of a file, not its content"}`,
        entry.key,
      );
    if (entry.key === "addr" && !isHostPort(text))
      throw file.wrong(entry.line, `addr of "${name}" must be HOST:PORT, not ${file.quoted(text)}`, "addr");
    profile[fields[entry.key]] = text;
  }
  const { tlsCertFile, tlsKeyFile } = profile;
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined))
    throw file.wrong(line, `the profile "${name}" needs both tls-cert-file and tls-key-file, or neither`);
  return { name, ...profile };
}
