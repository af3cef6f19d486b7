/**
 * Finds the profile of a command. The file is $XDG_CONFIG_HOME/tailrace/config.yaml, or ~/.config/tailrace/config.yaml.
 *
 *   --profile NAME    the profile of that file
 *   --profile PATH    a text with a slash: the profile that the key `profile` of another file names
 *   --profile none    no profile
 *
 * Without --profile: TAILRACE_PROFILE, else the one that the key `profile` of the file names.
 */
import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { errorCode, errorText } from "../../lib/disk/disk.ts";
import { usageFault } from "../exit-status.ts";
import type { Profile } from "./profile-file.ts";

/** A profile with absolute paths, and the file that it is from. */
export interface SelectedProfile extends Profile {
  readonly file: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the user's profiles are. A relative XDG_CONFIG_HOME is ignored, as its specification says. */
export function profilesFile(environment: Environment = process.env): string {
  const { XDG_CONFIG_HOME: given = "" } = environment;
  const folder = isAbsolute(given) ? given : join(environment["HOME"] || home(), ".config");
  return join(folder, "tailrace", "config.yaml");
}

/** The root for a user that is not in /etc/passwd, as in many containers. */
function home(): string {
  try {
    return homedir();
  } catch {
    return "/";
  }
}

/**
 * Returns the profile that `stated` (the value of --profile) or the environment names; undefined if there is none.
 * @throws Fault "config" for a profile that is not there, and for a file that cannot be read or is not valid
 */
export async function selectProfile(
  stated: string | undefined,
  environment: Environment = process.env,
): Promise<SelectedProfile | undefined> {
  const name = stated ?? (environment["TAILRACE_PROFILE"] || undefined);
  const source = stated === undefined ? "TAILRACE_PROFILE" : "--profile";
  if (name === "none") return undefined;
  const isPath = name !== undefined && /[/\\]/.test(name);
  const file = isPath ? resolve(name) : profilesFile(environment);
  const text = read(file, name === undefined);
  if (text === undefined) return undefined;
  // Most commands find no file, and start faster without the library that reads it.
  const { known, parseProfiles } = await import("./profile-file.ts");
  const found = parseProfiles(text, file);
  const chosen = isPath || name === undefined ? found.usual : name;
  if (chosen === undefined) {
    if (!isPath) return undefined;
    throw usageFault(
      `${file} does not say which profile is used: add the key profile${known(found.profiles)}`,
    );
  }
  const profile = found.profiles.get(chosen);
  if (profile === undefined)
    throw usageFault(`${source}: there is no profile "${chosen}" in ${file}${known(found.profiles)}`);
  return { ...withPaths(profile, dirname(file)), file };
}

/** Undefined if the file is not there and `mayMiss`. */
function read(file: string, mayMiss: boolean): string | undefined {
  try {
    if (!statSync(file).isFile()) throw usageFault(`the file of profiles ${file} is not a regular file`);
    return readFileSync(file, "utf8");
  } catch (cause) {
    if (mayMiss && ["ENOENT", "ENOTDIR"].includes(errorCode(cause))) return undefined;
    throw usageFault(`the file of profiles ${file} cannot be read: ${errorText(cause)}`);
  }
}

function withPaths(profile: Profile, folder: string): Profile {
  const full = (path: string): string =>
    path.startsWith("~/") ? join(home(), path.slice(2)) : resolve(folder, path);
  const paths = (["tlsCaFile", "tlsCertFile", "tlsKeyFile", "tokenFile"] as const).flatMap((field) => {
    const path = profile[field];
    return path === undefined ? [] : [[field, full(path)] as const];
  });
  return { ...profile, ...Object.fromEntries(paths) };
}
