/** Volumes as the kubelet makes them: owned by root, with the group of the pod. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

let versions = 0;

/**
 * Writes the files of a Secret or ConfigMap. They are links through a link to a directory, which is swapped, so that a
 * program sees all new files at once.
 */
export function writeFiles(
  directory: string,
  files: Readonly<Record<string, string>>,
  { mode, group }: { readonly mode: number; readonly group: number },
): void {
  mkdirSync(directory, { recursive: true });
  const version = `..version-${++versions}`;
  mkdirSync(join(directory, version));
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, version, name);
    writeFileSync(path, text);
    chownSync(path, 0, group);
    chmodSync(path, mode);
  }
  symlinkSync(version, join(directory, "..new"));
  const present = readdirSync(directory);
  renameSync(join(directory, "..new"), join(directory, "..data"));
  for (const name of Object.keys(files))
    if (!present.includes(name)) symlinkSync(join("..data", name), join(directory, name));
  for (const name of present)
    if (name.startsWith("..version-"))
      if (name !== version) rmSync(join(directory, name), { recursive: true });
}

/** An empty directory of the pod. */
export function makeEmptyDirectory(path: string, group: number): void {
  mkdirSync(path, { recursive: true });
  chownSync(path, 0, group);
  chmodSync(path, 0o2777);
}

/** A new disk: a directory that belongs to root, with the directory that a file system of Linux has from the start. */
export function makeDisk(path: string, group: number): void {
  mkdirSync(path, { recursive: true });
  mkdirSync(join(path, "lost+found"), { mode: 0o700 });
  chownSync(path, 0, group);
  chmodSync(path, 0o2775);
}
