/**
 * An ext4 file system with a journal, in a file that is mounted over a loop device: the disk of most users, also where the disk
 * of the machine has no journal. Only root can mount it. It is unmounted at exit.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The file is sparse: it takes the space that is used. */
const diskBytes = 2 * 1024 ** 3;

export class JournaledDisk implements Disposable {
  readonly path: string;
  readonly #directory: string;

  readonly #remove = (): void => this[Symbol.dispose]();

  private constructor(directory: string, path: string) {
    this.#directory = directory;
    this.path = path;
    process.once("exit", this.#remove);
  }

  /** Returns undefined, and removes everything, if mkfs.ext4 or mount is missing or not allowed. */
  static mount(): JournaledDisk | undefined {
    const directory = mkdtempSync(join(tmpdir(), "tailrace-bench-disk-"));
    const [image, path] = [join(directory, "image"), join(directory, "mounted")];
    writeFileSync(image, "");
    truncateSync(image, diskBytes);
    mkdirSync(path);
    const runs = (program: string, ...words: readonly string[]): boolean =>
      spawnSync(program, words, { stdio: "ignore" }).status === 0;
    if (
      runs("mkfs.ext4", "-q", "-F", "-O", "has_journal", image) &&
      runs("mount", "-o", "loop", image, path)
    ) {
      return new JournaledDisk(directory, path);
    }
    rmSync(directory, { recursive: true });
    return undefined;
  }

  [Symbol.dispose](): void {
    process.off("exit", this.#remove);
    if (spawnSync("umount", [this.path], { stdio: "ignore" }).status !== 0) return;
    rmSync(this.#directory, { recursive: true });
  }
}
