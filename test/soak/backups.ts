/**
 * Backs up a running node to a new directory, verifies the copy, and removes the one before. If the node is restarted
 * meanwhile, the backup goes on at another one, in the same directory.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Fleet } from "../chaos/fleet.ts";
import { type Ended, tailrace } from "../support/process/process.ts";

const attemptsMax = 3;

export class Backups {
  readonly failures: string[] = [];
  /** Milliseconds and bytes of each backup that was verified, and how often it was begun. */
  readonly made: { readonly ms: number; readonly bytes: number; readonly attempts: number }[] = [];
  readonly #fleet: Fleet;
  readonly #directory: string;
  #last: string | undefined;

  constructor(fleet: Fleet, directory: string) {
    this.#fleet = fleet;
    this.#directory = directory;
  }

  async make(n: number): Promise<void> {
    const directory = join(this.#directory, `backup-${n}`);
    const began = performance.now();
    let attempts = 1;
    let copied = await this.#copy(n, directory);
    for (; copied.status !== 0 && attempts < attemptsMax; attempts++)
      copied = await this.#copy(n + attempts, directory);
    const ms = performance.now() - began;
    const verified = copied.status === 0 ? await tailrace(["verify", directory]) : copied;
    if (verified.status !== 0) {
      this.failures.push(`backup ${n}: ${verified.err}${verified.out}`.trim().slice(0, 500));
      return;
    }
    this.made.push({ ms, bytes: Number((JSON.parse(copied.out) as { bytes: number }).bytes), attempts });
    if (this.#last !== undefined) rmSync(this.#last, { recursive: true });
    this.#last = directory;
  }

  #copy(n: number, directory: string): Promise<Ended> {
    const { running, nodes } = this.#fleet;
    const node = running[n % running.length] ?? nodes[0]!;
    return tailrace(["backup", directory, "--addr", node.addr]);
  }
}
