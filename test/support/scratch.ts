/** Temporary directories for tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Creates an empty directory, which is removed on dispose. */
export function scratchDirectory(): { readonly path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), "tailrace-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Creates an empty directory that is removed after the test `t`; returns its path. */
export function scratch(t: { after(work: () => void): void }): string {
  const directory = scratchDirectory();
  t.after(() => directory[Symbol.dispose]());
  return directory.path;
}
