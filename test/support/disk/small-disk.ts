/**
 * A small disk that can be filled completely: a file system in memory, which only root can mount. It is unmounted at exit.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";

export class SmallDisk implements Disposable {
  readonly path: string;

  readonly #unmount = (): void => this[Symbol.dispose]();

  private constructor(path: string) {
    this.path = path;
    process.once("exit", this.#unmount);
  }

  /** Returns undefined if mounting is not allowed. The caller must report that. */
  static mount(path: string, bytes: number): SmallDisk | undefined {
    mkdirSync(path, { recursive: true });
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", path]);
    return status === 0 ? new SmallDisk(path) : undefined;
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** Fills the disk: no byte can be written. */
  fill(): void {
    const file = openSync(join(this.path, "ballast"), "w");
    const bytes = Buffer.alloc(256 * 1024);
    try {
      for (;;) writeSync(file, bytes);
    } catch (reason) {
      if ((reason as NodeJS.ErrnoException).code !== "ENOSPC") throw reason;
    } finally {
      closeSync(file);
    }
  }

  empty(): void {
    rmSync(join(this.path, "ballast"), { force: true });
  }

  [Symbol.dispose](): void {
    process.off("exit", this.#unmount);
    spawnSync("umount", ["-l", this.path]);
  }
}
