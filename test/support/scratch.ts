/**
 * A directory of its own for a test, removed afterwards.
 *
 * Never: shared.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Makes it; answers its path. Hand in the test's context. */
export function scratch(t: { after(work: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), "tailrace-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
