/** Temporary directories for tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Creates an empty directory that is removed after the test `t`; returns its path. */
export function scratch(t: { after(work: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), "tailrace-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
