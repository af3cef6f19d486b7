/**
 * Is the node ready, and if not, why not: one reason under each name, of whoever has one.
 *
 * Never: asks anybody; whoever knows a reason tells it.
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

  /** Why the node is not ready, as far as `name` goes; undefined: it is. */
  set(name: string, reason: string | undefined): void {
    if (this.#reasons.get(name) === reason) return;
    if (reason === undefined) this.#reasons.delete(name);
    else this.#reasons.set(name, reason);
    for (const listener of [...this.#listeners]) listener();
  }

  /** Resolves when there is no reason any more. */
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
