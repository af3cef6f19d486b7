/**
 * The access control of a node, from `--acl-model-file` and `--acl-policy-file`. The files are reloaded when they change.
 * An invalid file is logged and changes nothing: the previous rules stay in force.
 */
import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { AccessControl, type AccessOptions, type PolicySource } from "../access/mod.ts";
import { Fault } from "../fault.ts";
import { errorText } from "../lib/disk/disk.ts";
import { type FileWatch, watchFiles } from "../lib/file-watch/file-watch.ts";
import { type Logger, noLogger } from "../lib/telemetry.ts";

export interface AccessFiles {
  readonly modelFile?: string | undefined;
  readonly policyFile?: string | undefined;
}

export interface OpenAccessOptions extends AccessOptions {
  readonly log?: Logger;
}

export interface OpenAccess extends Disposable {
  readonly access: AccessControl;
  /** Reloads the files. Resolves to true if the rules changed. An invalid file is logged, not thrown. */
  reload(): Promise<boolean>;
}

/** Reads the files. @throws Fault "config" if one cannot be read, or a model is given without a policy */
export function readAccessFiles(files: AccessFiles): PolicySource | undefined {
  const { modelFile, policyFile } = files;
  if (policyFile === undefined) {
    if (modelFile === undefined) return undefined;
    throw new Fault("config", { message: "--acl-model-file needs --acl-policy-file" });
  }
  const source = { policy: read(policyFile, "acl-policy-file"), policyName: basename(policyFile) };
  if (modelFile === undefined) return source;
  return { ...source, model: read(modelFile, "acl-model-file"), modelName: basename(modelFile) };
}

/** Opens access control with the files and watches them. @throws Fault "config" if they are invalid */
export async function openAccess(files: AccessFiles, options: OpenAccessOptions = {}): Promise<OpenAccess> {
  const log = options.log ?? noLogger;
  const access = await AccessControl.open(readAccessFiles(files), options);
  let watching: FileWatch | undefined;
  const reload = async (): Promise<boolean> => {
    watching?.follow();
    try {
      const changed = await access.setPolicy(readAccessFiles(files));
      if (changed) log.info({ generation: access.generation }, "access rules reloaded");
      return changed;
    } catch (err) {
      log.error({ err }, "access rules not reloaded, the previous rules stay in force");
      return false;
    }
  };
  const paths = [files.modelFile, files.policyFile].filter((path) => path !== undefined);
  watching = watchFiles(
    paths.map((path) => resolve(path)),
    () => void reload(),
    { onError: (err) => log.warn({ err }, "access files cannot be watched, send SIGHUP to reload them") },
  );
  return { access, reload, [Symbol.dispose]: () => watching?.[Symbol.dispose]() };
}

function read(path: string, flag: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new Fault("config", { message: `--${flag} ${path} cannot be read: ${errorText(cause)}`, cause });
  }
}
