/**
 * The access control of a node, from `--acl-model-file` and `--acl-policy-file`. The files are read again when they
 * change. A file that is not valid is logged and changes nothing: the rules before it stay in force.
 */
import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { AccessControl, type AccessOptions, type PolicySource } from "../access/mod.ts";
import { Fault } from "../fault.ts";
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
  /** Reads the files again (SIGHUP). True when the rules changed; a file that is not valid is logged, not thrown. */
  reload(): Promise<boolean>;
}

/** Reads what the files say now. Throws Fault "config" when one cannot be read, or there is a model alone. */
export function readAccessFiles(files: AccessFiles): PolicySource | undefined {
  const { modelFile, policyFile } = files;
  if (policyFile === undefined) {
    if (modelFile === undefined) return undefined;
    throw new Fault("config", { message: "acl-model-file needs acl-policy-file beside it" });
  }
  const source = { policy: read(policyFile, "acl-policy-file"), policyName: basename(policyFile) };
  if (modelFile === undefined) return source;
  return { ...source, model: read(modelFile, "acl-model-file"), modelName: basename(modelFile) };
}

/** Opens access control over the files and watches them. Throws Fault "config" when they are not valid. */
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
      log.error({ err }, "access rules not reloaded, the ones before stay in force");
      return false;
    }
  };
  const paths = [files.modelFile, files.policyFile].filter((path) => path !== undefined);
  watching = watchFiles(
    paths.map((path) => resolve(path)),
    () => void reload(),
    { onError: (err) => log.warn({ err }, "access files are not watched, SIGHUP reloads them") },
  );
  return { access, reload, [Symbol.dispose]: () => watching?.[Symbol.dispose]() };
}

function read(path: string, flag: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "error";
    throw new Fault("config", { message: `--${flag} ${path} cannot be read (${code})`, cause });
  }
}
