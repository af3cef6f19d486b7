/**
 * The reasons why a node is not ready. Each part of the node sets and clears its own reason by name.
 */
import type { Readiness } from "../api/mod.ts";

export class NodeReadiness implements Readiness {
  readonly #reasons = new Map<string, string>();
  readonly #listeners = new Set<() => void>();

  reasons(): readonly string[] {
    return [...this.#reasons.values()];
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sets the reason of the part `name`; undefined if that part is ready. */
  set(name: string, reason: string | undefined): void {
    if (this.#reasons.get(name) === reason) return;
    if (reason === undefined) this.#reasons.delete(name);
    else this.#reasons.set(name, reason);
    for (const listener of [...this.#listeners]) listener();
  }

  /** Resolves when no reason is left. */
  ready(): Promise<void> {
    if (this.#reasons.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const stop = this.onChange(() => {
        if (this.#reasons.size > 0) return;
        stop();
        resolve();
      });
    });
  }
}
