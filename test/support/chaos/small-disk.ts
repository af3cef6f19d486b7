/**
 * A small disk that can be filled to the last byte: a file system in memory, which only root may mount.
 *
 * Never: left mounted.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";

export class SmallDisk implements Disposable {
  readonly path: string;

  readonly #last = (): void => this[Symbol.dispose]();

  private constructor(path: string) {
    this.path = path;
    process.once("exit", this.#last);
  }

  /** Undefined where this is not allowed: the caller says so loudly. */
  static mount(path: string, bytes: number): SmallDisk | undefined {
    mkdirSync(path, { recursive: true });
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", path]);
    return status === 0 ? new SmallDisk(path) : undefined;
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** Nothing can be written any more. */
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
    process.off("exit", this.#last);
    spawnSync("umount", ["-l", this.path]);
  }
}
