/**
 * Limits the attempts with tokens that are not valid: each address may fail so often, and then once a second. Memory is bounded:
 * the address that failed longest ago is forgotten. Pure.
 */

/** Attempts that may fail at once. */
const burst = 20;
/** Then one more after so many milliseconds. */
const refillMs = 1_000;
const addressesMax = 4_096;

export class FailedAttempts {
  /** Address → when all of its attempts are free again, monotonic milliseconds. The last one that failed is last. */
  readonly #freeMs = new Map<string, number>();

  /** Returns how long the address must wait before its next attempt, in ms; 0: it may try. */
  waitMs(address: string, nowMs: number): number {
    const freeMs = this.#freeMs.get(address);
    if (freeMs === undefined) return 0;
    if (freeMs <= nowMs) this.#freeMs.delete(address);
    return Math.max(0, freeMs - nowMs - (burst - 1) * refillMs);
  }

  /** An attempt of the address has failed. */
  failed(address: string, nowMs: number): void {
    const before = Math.max(nowMs, this.#freeMs.get(address) ?? nowMs);
    this.#freeMs.delete(address);
    // Attempts that began together can fail together.
    this.#freeMs.set(address, Math.min(before + refillMs, nowMs + 2 * burst * refillMs));
    if (this.#freeMs.size <= addressesMax) return;
    for (const oldest of this.#freeMs.keys()) {
      this.#freeMs.delete(oldest);
      break;
    }
  }

  get size(): number {
    return this.#freeMs.size;
  }
}
